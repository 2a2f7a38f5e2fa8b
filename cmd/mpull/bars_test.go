package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

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
		{engine.LayerDone, 200_000, 9_500_000, 2 * time.Second, "200kB of 9.5MB in 2.0s, 100kB/s"},
		{engine.LayerDone, 0, 9_500_000, 2 * time.Second, "9.5MB in 2.0s, 4.75MB/s"},
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

// TestBarsSumUp holds that several layers have a line for all of them while they
// come, which counts each once, and that nothing of it remains.
func TestBarsSumUp(t *testing.T) {
	var out bytes.Buffer
	b := newBars(&out, mpb.WithAutoRefresh(), mpb.WithWidth(barColumns))
	b.expect([]engine.Blob{{Digest: "sha256:aaaaaaaaaaaaaaaa", Size: 4_000_000}, {Digest: "sha256:bbbbbbbbbbbbbbbb", Size: 6_000_000}})
	b.expect([]engine.Blob{{Digest: "sha256:bbbbbbbbbbbbbbbb", Size: 6_000_000}}) // of another image too
	read := func(d string, offset, size int64) {
		b.layer(&engine.LayerEvent{Digest: d, State: engine.LayerRead, Offset: offset, Size: size})
	}
	read("sha256:aaaaaaaaaaaaaaaa", 3_000_000, 4_000_000)
	read("sha256:bbbbbbbbbbbbbbbb", 1_000_000, 6_000_000)
	read("sha256:aaaaaaaaaaaaaaaa", 1_000_000, 4_000_000)                                                            // it is read anew
	b.layer(&engine.LayerEvent{Digest: "sha256:cccccccccccccccc", State: engine.LayerRead, Offset: 900, Size: 1000}) // a config
	if got := b.total.got; got != 2_000_000 {
		t.Errorf("the total is %d", got)
	}
	if got := b.total.amounts(decor.Statistics{Current: b.total.got}); got != "2MB/10MB" {
		t.Errorf("the total says %q", got)
	}
	b.layer(&engine.LayerEvent{Digest: "sha256:aaaaaaaaaaaaaaaa", State: engine.LayerDone, Offset: 4_000_000, Size: 4_000_000})
	b.layer(&engine.LayerEvent{Digest: "sha256:bbbbbbbbbbbbbbbb", State: engine.LayerDone, Offset: 6_000_000, Size: 6_000_000})
	if b.total.bar.Completed() {
		t.Error("the total is complete, and cannot grow")
	}
	b.expect([]engine.Blob{{Digest: "sha256:dddddddddddddddd", Size: 5_000_000}})
	if got := b.total.amounts(decor.Statistics{Current: b.total.got}); got != "10MB/15MB" {
		t.Errorf("with another image the total says %q", got)
	}
	b.finish()
	rest := out.String()[strings.LastIndex(out.String(), "cccccccccccc"):]
	if strings.Contains(rest, "total") {
		t.Errorf("the total remains:\n%q", rest)
	}
}

func TestAmount(t *testing.T) {
	fetch := []engine.Blob{{Digest: "a", Size: 60_000_000}, {Digest: "b", Size: 3_000_000}}
	for want, r := range map[string]engine.ResolvedEvent{
		"2 layers, 63MB":                                                         {Layers: 2, Bytes: 63_000_000, Fetch: fetch},
		"3 of 5 layers here, 63MB to go":                                         {Layers: 5, Bytes: 100_000_000, Here: 3, Fetch: fetch},
		"2 layers, 63MB, of which an interrupted pull left 12MB":                 {Layers: 2, Bytes: 63_000_000, Fetch: fetch, Kept: 12_000_000},
		"3 of 5 layers here, 63MB to go, of which an interrupted pull left 12MB": {Layers: 5, Bytes: 100_000_000, Here: 3, Fetch: fetch, Kept: 12_000_000},
	} {
		if got := amount(&r); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestBarsFitEightyColumns(t *testing.T) {
	if barColumns > 79 {
		t.Errorf("a bar has %d columns", barColumns)
	}
}

// TestSpeedOfATotalIsNotThatOfAMoment holds that layers which report just after
// each other do not make the speed of all of them what one brought in between,
// nor does what was there before.
func TestSpeedOfATotalIsNotThatOfAMoment(t *testing.T) {
	began := time.Now()
	total := newGauge(mpb.New(mpb.WithOutput(io.Discard)), "total", 100<<20, began)
	total.here(50 << 20)
	for step := range 4 {
		at := began.Add(time.Duration(step) * time.Second)
		for layer := range 4 {
			total.at(50<<20+int64(step*4+layer+1)<<16, at.Add(time.Duration(layer)*time.Microsecond))
		}
	}
	if got, most := total.speed.Value(), float64(5<<16); got <= 0 || got > most {
		t.Errorf("four layers of 64 KiB a second each make %.0f bytes a second", got)
	}
	total.bar.Abort(true)
}
