//go:build linux

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/mpull/mpull/engine"
)

// bars draws one line for each layer under way. A line is never wider than
// barColumns, so that a terminal made narrower, down to 80 columns, does not
// wrap what stands there already; at each redraw the library asks the terminal
// for its size.
type bars struct {
	w        io.Writer // the terminal
	options  []mpb.ContainerOption
	progress *mpb.Progress
	of       map[string]*layerBar // by digest
}

// Columns of a bar's line: "0822c8795ba2  [=====>---]  12.3MB/100MB 10.2 MB/s 12s".
const (
	barFill    = 22
	barCounts  = 18
	barSpeed   = 12
	barETA     = 10
	barColumns = 14 + barFill + 2 + barCounts + barSpeed + barETA // 78: one less than what a terminal of 80 shows for sure
)

// speedAge is over how many readings speed and time left are averaged.
const speedAge = 30

type layerBar struct {
	bar     *mpb.Bar
	began   time.Time
	read    time.Time // when the last bytes came
	summary string    // what the line says once the layer is done
}

func newBars(w io.Writer, options ...mpb.ContainerOption) *bars {
	return &bars{w: w, of: map[string]*layerBar{}, options: append([]mpb.ContainerOption{mpb.WithOutput(w), mpb.WithWidth(barFill)}, options...)}
}

// layer shows how far a layer is.
func (b *bars) layer(l *engine.LayerEvent) {
	now := time.Now()
	one := b.of[l.Digest]
	if one == nil {
		one = b.add(l, now)
	}
	switch l.State {
	case engine.LayerRead:
		one.bar.EwmaSetCurrent(l.Offset, now.Sub(one.read))
		one.read = now
	case engine.LayerDone, engine.LayerPresent:
		one.summary = layerSummary(l, now.Sub(one.began))
		one.bar.SetTotal(-1, true)
	}
}

func (b *bars) add(l *engine.LayerEvent, now time.Time) *layerBar {
	if b.progress == nil {
		b.progress = mpb.New(b.options...)
	}
	one := &layerBar{began: now, read: now}
	amounts := func(s decor.Statistics) string {
		switch {
		case s.Completed:
			return one.summary
		case s.Aborted:
			return "interrupted"
		}
		return counts(s.Current, l.Size)
	}
	unfinished := func(d decor.Decorator) decor.Decorator { return decor.OnCompleteOrOnAbort(d, "") }
	one.bar = b.progress.AddBar(max(l.Size, 0),
		mpb.BarFillerTrim(), mpb.BarFillerClearOnComplete(), mpb.BarFillerClearOnAbort(),
		mpb.PrependDecorators(decor.Name(shortDigest(l.Digest)+"  ")),
		mpb.AppendDecorators(
			unfinished(decor.Name("  ")),
			decor.Any(amounts, decor.WC{W: barCounts, C: decor.DindentRight}),
			unfinished(decor.EwmaSpeed(decor.SizeB1000(0), "% .1f", speedAge, decor.WC{W: barSpeed})),
			unfinished(decor.EwmaETA(decor.ET_STYLE_GO, speedAge, decor.WC{W: barETA})),
		),
	)
	b.of[l.Digest] = one
	return one
}

// Write prints lines above the bars.
func (b *bars) Write(text []byte) (int, error) {
	if b.progress == nil {
		return b.w.Write(text)
	}
	return b.progress.Write(text)
}

// finish draws the bars a last time, so that lines can follow them.
func (b *bars) finish() {
	if b.progress == nil {
		return
	}
	for _, one := range b.of {
		if !one.bar.Completed() {
			one.bar.Abort(false)
		}
	}
	b.progress.Wait()
	b.progress = nil
	clear(b.of)
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
