package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// allEvents writes one event of each type.
func allEvents(w *eventWriter) {
	w.event(engine.Event{Resolved: &engine.ResolvedEvent{Reference: "docker.io/library/a:1", Layers: 2, Bytes: 10}})
	w.event(engine.Event{Layer: &engine.LayerEvent{Digest: "sha256:aa", State: engine.LayerRead, Offset: 4, Size: 9}})
	w.event(engine.Event{Retry: &engine.RetryEvent{Err: errors.New("it broke"), Wait: 1500 * time.Millisecond, Tries: 2}})
	w.event(engine.Event{Moved: &engine.MovedEvent{Name: "a:1", To: "bb", Loser: &store.Image{ID: "cc", Names: []string{"a:1"}}, Fate: engine.Fate{Decision: gc.Decision{Alone: 77}, Dangling: true}}})
	w.event(engine.Event{Note: &engine.NoteEvent{Text: "look\x1b[31m here\u202e\x7f\U000e0041"}})
	w.pulled(engine.PullResult{ID: "bb", Name: "a:1"})
	w.write("restored", engine.Restored{ID: "cc", Name: "a:1", Moved: true})
	w.plan(&gc.Plan{Bytes: 5, Images: []gc.Decision{{ID: "cc", Goes: true}}, Leftovers: []gc.Leftover{{Goes: true}, {}}})
	w.pruned(&gc.Result{Reclaimed: 5, Outcomes: []gc.Outcome{{Kind: "image", ID: "cc", Status: gc.Removed, Bytes: 5}, {Status: gc.Gone}}})
	w.failed(usagef("wrong"))
}

func readEvents(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	events := map[string]map[string]any{}
	for line := range strings.Lines(text) {
		var ev map[string]any
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("not JSON: %v: %q", err, line)
		}
		kind, _ := ev["type"].(string)
		if _, seen := events[kind]; !seen {
			events[kind] = ev
		}
	}
	return events
}

func TestEvents(t *testing.T) {
	var out bytes.Buffer
	w := newEventWriter(&out)
	w.now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	allEvents(w)
	events := readEvents(t, out.String())
	for kind, ev := range events {
		if ev["version"] != float64(eventVersion) || ev["time"] != "2023-11-14T22:13:20Z" {
			t.Errorf("%s: head is %v %v", kind, ev["version"], ev["time"])
		}
	}
	for _, want := range []struct {
		kind, field string
		value       any
	}{
		{"resolved", "bytes", 10.0}, {"layer", "offset", 4.0}, {"layer", "bytes", 9.0}, {"layer", "state", "read"},
		{"retry", "waitSeconds", 1.5}, {"retry", "retriesLeft", 2.0}, {"displaced", "bytes", 77.0}, {"displaced", "dangling", true},
		{"displaced", "loser", map[string]any{"id": "cc"}}, {"note", "text", "look\x1b[31m here\u202e\x7f\U000e0041"},
		{"pulled", "id", "bb"}, {"restored", "moved", true}, {"plan", "items", 2.0}, {"plan", "bytes", 5.0},
		{"removed", "status", "removed"}, {"removed", "bytes", 5.0}, {"pruned", "reclaimed", 5.0}, {"pruned", "items", 1.0},
		{"error", "exitCode", 125.0}, {"error", "error", "wrong"},
	} {
		if got := events[want.kind][want.field]; !reflect.DeepEqual(got, want.value) {
			t.Errorf("%s.%s is %v, not %v", want.kind, want.field, got, want.value)
		}
	}
	if i := strings.IndexFunc(out.String(), func(r rune) bool { return steers(r) && r != '\n' }); i >= 0 {
		t.Errorf("a character that steers a terminal came through at %d: %q", i, out.String())
	}
}

// TestEventsAreDocumented holds docs/events.md against what is written: each
// type has a heading, each field of it a line below.
func TestEventsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, part := range strings.Split(string(doc), "\n### ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		sections[strings.Trim(name, "`")] = text
	}
	var out bytes.Buffer
	allEvents(newEventWriter(&out))
	events := readEvents(t, out.String())
	for kind, ev := range events {
		for field := range ev {
			if field == "version" || field == "time" || field == "type" {
				continue
			}
			if !regexp.MustCompile("(?m)^- .*`" + field + "`").MatchString(sections[kind]) {
				t.Errorf("docs/events.md, section %s, does not have the field %s", kind, field)
			}
		}
	}
	for kind := range sections {
		if events[kind] == nil && kind != "check" {
			t.Errorf("docs/events.md describes %q, which is never written", kind)
		}
	}
}

func FuzzPlainJSON(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b]0;x\x07", "\u202e", "\U000e0041\x7f\x9b", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		doc, err := json.Marshal(map[string]string{"s": s})
		if err != nil {
			t.Fatal(err)
		}
		safe := plainJSON(doc)
		var before, after map[string]string
		if err := json.Unmarshal(doc, &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(safe, &after); err != nil {
			t.Fatalf("no JSON any more: %v: %q", err, safe)
		}
		if before["s"] != after["s"] {
			t.Fatalf("it said %q, and says %q", before["s"], after["s"])
		}
		if bytes.ContainsFunc(safe, func(r rune) bool { return steers(r) && r != '\n' && r != '\t' }) {
			t.Fatalf("it steers: %q", safe)
		}
	})
}
