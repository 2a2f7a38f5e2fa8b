//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/VividCortex/ewma"
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

// expect adds layers to those that the line of the total counts.
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
		one.here(l.Offset)
		if b.summed(l) {
			b.total.here(l.Offset)
		}
	}
	if b.summed(l) {
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

// summed tells whether a layer is part of the total.
func (b *bars) summed(l *engine.LayerEvent) bool { return b.total != nil && b.expected[l.Digest] > 0 }

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

// finish draws the bars a last time, so that lines can follow them. The bar of
// the total disappears: by then each layer's line says what it came to.
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
	speed ewma.MovingAverage // bytes a second
	began time.Time
	got   int64 // bytes so far

	last    time.Time // when the speed was last measured
	counted int64     // bytes at that time

	mu      sync.Mutex
	size    int64  // -1 when it is not known
	summary string // what the line says once it is done
}

// speedAge is over how many readings the speed is averaged.
const speedAge = 30

// speedStep is the least time between readings: layers of one total report
// microseconds after each other.
const speedStep = 100 * time.Millisecond

func newGauge(p *mpb.Progress, name string, size int64, now time.Time, options ...mpb.BarOption) *gauge {
	g := &gauge{began: now, last: now, size: size, speed: decor.NewThreadSafeMovingAverage(ewma.NewMovingAverage(speedAge))}
	unfinished := func(d decor.Decorator) decor.Decorator { return decor.OnCompleteOrOnAbort(d, "") }
	g.bar = p.AddBar(max(size, 0), append(options,
		mpb.BarFillerTrim(), mpb.BarFillerClearOnComplete(), mpb.BarFillerClearOnAbort(),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-14s", name))),
		mpb.AppendDecorators(
			unfinished(decor.Name("  ")),
			decor.Any(g.amounts, decor.WC{W: barCounts, C: decor.DindentRight}),
			unfinished(decor.Any(g.speedText, decor.WC{W: barSpeed})),
			unfinished(decor.Any(g.etaText, decor.WC{W: barETA})),
		))...)
	return g
}

// here adds bytes that were there before the pull: they do not count as speed.
func (g *gauge) here(n int64) {
	g.got, g.counted = g.got+n, g.counted+n
	g.bar.IncrInt64(n)
}

// at notes that so many bytes came.
func (g *gauge) at(got int64, now time.Time) {
	g.got = got
	g.bar.SetCurrent(got)
	if took := now.Sub(g.last); took >= speedStep {
		g.speed.Add(float64(max(got-g.counted, 0)) / took.Seconds())
		g.counted, g.last = got, now
	}
}

// speedText is the speed in the units of all other sizes: the library's own
// decorator has KB where they have kB.
func (g *gauge) speedText(decor.Statistics) string { return size(int64(g.speed.Value())) + "/s" }

func (g *gauge) etaText(s decor.Statistics) string {
	speed := g.speed.Value()
	if speed < 1 || s.Total <= 0 {
		return "-"
	}
	left := float64(max(s.Total-s.Current, 0))
	return time.Duration(left / speed * float64(time.Second)).Round(time.Second).String()
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
	came, of := l.Size, ""
	if l.Offset > 0 && l.Offset < l.Size { // it came in parts
		came, of = l.Offset, " of "+size(l.Size)
	}
	return fmt.Sprintf("%s%s in %s, %s/s", size(came), of, seconds(took), size(int64(float64(came)/took.Seconds())))
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
