//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/mpull/mpull/engine"
)

// bars draws one line for each layer under way, and below them one for all,
// once more than one is to come. A line is never wider than barColumns, so that
// a terminal made narrower, down to 80 columns, does not wrap what stands there
// already; at each redraw the library asks the terminal for its size.
type bars struct {
	w        io.Writer // the terminal
	options  []mpb.ContainerOption
	progress *mpb.Progress
	of       map[string]*gauge // by digest of the layer
	expected map[string]int64  // bytes of each layer to come, by digest
	total    *gauge            // nil while there is none
}

// Columns of a bar's line: "0822c8795ba2  [=====>---]  12.3MB/100MB 10.2MB/s 12s".
const (
	barFill    = 22
	barCounts  = 18
	barSpeed   = 12
	barETA     = 10
	barColumns = 14 + barFill + 2 + barCounts + barSpeed + barETA // 78: one less than what a terminal of 80 shows for sure
)

func newBars(w io.Writer, options ...mpb.ContainerOption) *bars {
	return &bars{
		w: w, of: map[string]*gauge{}, expected: map[string]int64{},
		options: append([]mpb.ContainerOption{mpb.WithOutput(w), mpb.WithWidth(barFill)}, options...),
	}
}

// expect makes the line of the total count these layers.
func (b *bars) expect(blobs []engine.Blob) {
	for _, blob := range blobs {
		b.expected[blob.Digest] = blob.Size
	}
	if b.total != nil {
		b.total.grow(b.sum())
	}
}

func (b *bars) sum() (bytes int64) {
	for _, size := range b.expected {
		bytes += size
	}
	return bytes
}

// layer shows how far a layer is.
func (b *bars) layer(l *engine.LayerEvent) {
	now := time.Now()
	one := b.of[l.Digest]
	if one == nil {
		if b.progress == nil {
			b.progress = mpb.New(b.options...)
		}
		one = newGauge(b.progress, shortDigest(l.Digest), l.Size, now)
		b.of[l.Digest] = one
		b.sumUp(now)
	}
	if b.total != nil && b.expected[l.Digest] > 0 {
		b.total.at(b.total.got+l.Offset-one.got, now)
	}
	switch l.State {
	case engine.LayerRead:
		one.at(l.Offset, now)
	case engine.LayerDone, engine.LayerPresent:
		one.got = l.Offset
		one.done(layerSummary(l, now.Sub(one.began)))
	}
}

// sumUp draws the line of the total, where there is more than one layer.
func (b *bars) sumUp(now time.Time) {
	if b.total == nil && len(b.expected) > 1 {
		// Begun without a size it does not end by itself: more may be expected.
		b.total = newGauge(b.progress, "total", 0, now, mpb.BarPriority(math.MaxInt))
		b.total.grow(b.sum())
	}
}

// Write prints lines above the bars.
func (b *bars) Write(text []byte) (int, error) {
	if b.progress == nil {
		return b.w.Write(text)
	}
	return b.progress.Write(text)
}

// finish draws the bars a last time, so that lines can follow them. What all
// came to is told by their lines: the total goes.
func (b *bars) finish() {
	if b.progress == nil {
		return
	}
	if b.total != nil {
		b.total.bar.Abort(true)
	}
	for _, one := range b.of {
		if !one.bar.Completed() {
			one.bar.Abort(false)
		}
	}
	b.progress.Wait()
	b.progress, b.total = nil, nil
	clear(b.of)
	clear(b.expected)
}

// gauge is one bar: of a layer, or of all. The library draws it from a goroutine
// of its own.
type gauge struct {
	bar   *mpb.Bar
	began time.Time
	got   int64 // bytes so far

	mu      sync.Mutex
	size    int64     // -1 when it is not known
	last    time.Time // when the speed was last measured
	counted int64     // bytes at that time
	speed   float64   // bytes a second, of late
	summary string    // what the line says once it is done
}

func newGauge(p *mpb.Progress, name string, size int64, now time.Time, options ...mpb.BarOption) *gauge {
	g := &gauge{began: now, last: now, size: size}
	unfinished := func(text func(left int64) string, width int) decor.Decorator {
		return decor.OnCompleteOrOnAbort(decor.Any(func(s decor.Statistics) string {
			return text(max(s.Total-s.Current, 0))
		}, decor.WC{W: width}), "")
	}
	g.bar = p.AddBar(max(size, 0), append(options,
		mpb.BarFillerTrim(), mpb.BarFillerClearOnComplete(), mpb.BarFillerClearOnAbort(),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-14s", name))),
		mpb.AppendDecorators(
			decor.OnCompleteOrOnAbort(decor.Name("  "), ""),
			decor.Any(g.amounts, decor.WC{W: barCounts, C: decor.DindentRight}),
			unfinished(g.speedText, barSpeed),
			unfinished(g.etaText, barETA),
		))...)
	return g
}

// speedAge is how many seconds make up most of the speed that is shown.
const speedAge = 3.0

// speedStep is the least time that a speed is measured over: layers of one total
// report microseconds after each other.
const speedStep = 100 * time.Millisecond

// at notes that so many bytes came.
func (g *gauge) at(got int64, now time.Time) {
	g.mu.Lock()
	switch took := now.Sub(g.last).Seconds(); {
	case took <= 0: // what was here when the bar began did not come now
		g.counted = got
	case took >= speedStep.Seconds():
		keep := math.Exp(-took / speedAge)
		if g.speed == 0 {
			keep = 0
		}
		g.speed = keep*g.speed + (1-keep)*float64(max(got-g.counted, 0))/took
		g.last, g.counted = now, got
	}
	g.mu.Unlock()
	g.got = got
	g.bar.SetCurrent(got)
}

func (g *gauge) grow(size int64) {
	g.mu.Lock()
	g.size = size
	g.mu.Unlock()
	g.bar.SetTotal(size, false)
}

func (g *gauge) done(summary string) {
	g.mu.Lock()
	g.summary = summary
	g.mu.Unlock()
	g.bar.SetTotal(-1, true)
}

func (g *gauge) amounts(s decor.Statistics) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case s.Completed:
		return g.summary
	case s.Aborted:
		return "interrupted"
	}
	return counts(s.Current, g.size)
}

func (g *gauge) speedText(int64) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return size(int64(g.speed)) + "/s"
}

func (g *gauge) etaText(left int64) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.speed < 1 || g.size < 0 {
		return "-"
	}
	return (time.Duration(float64(left) / g.speed * float64(time.Second))).Round(time.Second).String()
}

// counts is "12.3MB/100MB".
func counts(current, total int64) string {
	if total < 0 {
		return size(current)
	}
	return size(current) + "/" + size(total)
}

// layerSummary is what remains of a layer's progress in one line, after its
// digest.
func layerSummary(l *engine.LayerEvent, took time.Duration) string {
	if l.State == engine.LayerPresent {
		return "already here"
	}
	if took < time.Millisecond || l.Size < 0 {
		return size(max(l.Size, l.Offset))
	}
	return fmt.Sprintf("%s in %s, %s/s", size(l.Size), seconds(took), size(int64(float64(l.Size)/took.Seconds())))
}

// seconds prints a duration for people: 0.12s, 3.4s, 2m5s.
func seconds(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.2fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
