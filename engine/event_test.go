package engine

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/preflight"
)

// TestEventSaysWhatItIs prints each kind of event: a line that begins with its
// kind, and no addresses.
func TestEventSaysWhatItIs(t *testing.T) {
	arm := platform.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	for want, ev := range map[string]Event{
		"resolved: alpine:3.15 for linux/arm/v7, 2 layers, 7 bytes":            {Resolved: &ResolvedEvent{Reference: "alpine:3.15", Platform: arm, Layers: 2, Bytes: 7}},
		"layer: sha256:1 of alpine:3.15 is read, 3 of 7 bytes":                 {Layer: &LayerEvent{Reference: "alpine:3.15", Digest: "sha256:1", State: LayerRead, Offset: 3, Size: 7}},
		"retry: in 2s, 1 tries left, after: gone":                              {Retry: &RetryEvent{Err: errors.New("gone"), Wait: 2 * time.Second, Tries: 1}},
		"displaced: alpine:3.15 is now abc":                                    {Moved: &MovedEvent{Name: "alpine:3.15", To: "abc"}},
		"check: alpine:3.15 is exec-format-error: it is for another processor": {Check: &preflight.Result{Image: "alpine:3.15", Verdict: preflight.ExecFormatError, Reason: "it is for another processor"}},
		"note: mind this": {Note: &NoteEvent{Text: "mind this"}},
		"debug: or this":  {Debug: &NoteEvent{Text: "or this"}},
		"nothing":         {},
	} {
		if got := ev.String(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	for i := range reflect.TypeFor[Event]().NumField() {
		var ev Event
		field := reflect.ValueOf(&ev).Elem().Field(i)
		field.Set(reflect.New(field.Type().Elem()))
		if kind := ev.Kind(); kind == "" {
			t.Errorf("an event with %s alone has no kind", reflect.TypeFor[Event]().Field(i).Name)
		} else if field.Type() != reflect.TypeFor[*RetryEvent]() && !strings.HasPrefix(ev.String(), kind+": ") {
			t.Errorf("%s: %q", kind, ev.String())
		}
	}
}
