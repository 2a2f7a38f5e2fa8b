package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"

	"github.com/mpull/mpull/engine"
)

func TestLayerSummary(t *testing.T) {
	for _, tt := range []struct {
		state        engine.LayerState
		offset, size int64
		took         time.Duration
		want         string
	}{
		{engine.LayerPresent, 0, 5, time.Second, "already here"},
		{engine.LayerDone, 2_000_000, 2_000_000, 0, "2MB"},
		{engine.LayerDone, 2_000_000, 2_000_000, 500 * time.Millisecond, "2MB in 0.50s, 4MB/s"},
		{engine.LayerDone, 300, 300, 90 * time.Second, "300B in 1m30s, 3B/s"},
		{engine.LayerDone, 700, -1, time.Second, "700B"},
	} {
		got := layerSummary(&engine.LayerEvent{State: tt.state, Offset: tt.offset, Size: tt.size}, tt.took)
		if got != tt.want {
			t.Errorf("%s %d of %d in %s: %q, not %q", tt.state, tt.offset, tt.size, tt.took, got, tt.want)
		}
	}
}

// TestBarsLeaveOneLineEach draws what a pull draws, and looks at what remains.
func TestBarsLeaveOneLineEach(t *testing.T) {
	var out bytes.Buffer
	b := newBars(&out, mpb.WithAutoRefresh(), mpb.WithWidth(barColumns))
	for _, d := range []string{"sha256:aaaaaaaaaaaaaaaa", "sha256:bbbbbbbbbbbbbbbb", "sha256:cccccccccccccccc"} {
		b.layer(&engine.LayerEvent{Digest: d, State: engine.LayerRead, Offset: 1000, Size: 4_000_000_000})
	}
	b.layer(&engine.LayerEvent{Digest: "sha256:aaaaaaaaaaaaaaaa", State: engine.LayerDone, Offset: 4_000_000_000, Size: 4_000_000_000})
	b.layer(&engine.LayerEvent{Digest: "sha256:bbbbbbbbbbbbbbbb", State: engine.LayerPresent, Size: 4_000_000_000})
	b.finish()
	for _, want := range []string{"aaaaaaaaaaaa  4GB", "bbbbbbbbbbbb  already here", "cccccccccccc  interrupted"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not there:\n%s", want, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if w := runewidth.StringWidth(strings.TrimSpace(line)); w > barColumns {
			t.Errorf("a line has %d columns: %q", w, line)
		}
	}
	b.finish() // a second time does nothing
	if _, err := b.Write([]byte("a line\n")); err != nil || !strings.HasSuffix(out.String(), "a line\n") {
		t.Errorf("after the bars: %v %q", err, out.String())
	}
}

func TestBarsFitEightyColumns(t *testing.T) {
	if barColumns > 79 {
		t.Errorf("a bar has %d columns", barColumns)
	}
}
