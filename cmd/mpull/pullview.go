package main

import (
	"fmt"
	"time"

	"github.com/docker/go-units"
	"github.com/sirupsen/logrus"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/platform"
)

// pullView shows a pull's events on standard error: bars on a terminal, lines
// elsewhere.
type pullView struct {
	s     *streams
	quiet bool
	bars  *mpb.Progress
	of    map[string]*mpb.Bar // by digest
}

func newPullView(s *streams, quiet bool) *pullView {
	return &pullView{s: s, quiet: quiet, of: map[string]*mpb.Bar{}}
}

// event shows one event. The engine calls it from one goroutine at a time.
func (v *pullView) event(ev engine.Event) {
	switch {
	case ev.Debug != nil:
		logrus.Debug(ev.Debug.Text)
	case ev.Note != nil:
		v.line("%s", ev.Note.Text)
	case v.quiet:
	case ev.Resolved != nil:
		r := ev.Resolved
		why := ""
		if r.Rule != "" && r.Rule != platform.RuleExact && r.Rule != platform.RuleBaseline {
			why = " (" + r.Rule.Text() + ")"
		}
		if r.Present {
			v.line("%s for %s is here already%s", r.Reference, r.Platform, why)
			return
		}
		v.line("Pulling %s for %s%s: %s, %s", r.Reference, r.Platform, why, plural(r.Layers, "layer"), size(r.Bytes))
	case ev.Check != nil:
		v.line("On this machine it ends with: %s", verdictLine(ev.Check))
	case ev.Layer != nil:
		v.layer(ev.Layer)
	case ev.Retry != nil:
		v.line("Trying again in %s (%s left): %s", ev.Retry.Wait.Round(100*time.Millisecond), plural(ev.Retry.Tries, "retry"), oneLine(ev.Retry.Err.Error()))
	case ev.Moved != nil:
		v.moved(ev.Moved)
	}
}

func (v *pullView) layer(l *engine.LayerEvent) {
	if !v.s.errTerminal {
		switch l.State {
		case engine.LayerDone:
			v.line("%s  %s", shortDigest(l.Digest), size(l.Size))
		case engine.LayerPresent:
			v.line("%s  already here", shortDigest(l.Digest))
		}
		return
	}
	bar := v.of[l.Digest]
	if bar == nil {
		if v.bars == nil {
			v.bars = mpb.New(mpb.WithOutput(v.s.rawErr), mpb.WithWidth(40))
		}
		bar = v.bars.AddBar(max(l.Size, 0),
			mpb.PrependDecorators(decor.Name(shortDigest(l.Digest)+"  ")),
			mpb.AppendDecorators(decor.OnComplete(decor.CountersKibiByte("% .1f / % .1f"), "done")))
		v.of[l.Digest] = bar
	}
	switch l.State {
	case engine.LayerRead:
		bar.SetCurrent(l.Offset)
	case engine.LayerDone, engine.LayerPresent:
		bar.SetTotal(-1, true)
	}
}

// moved tells what a pull displaced and how to undo it.
func (v *pullView) moved(m *engine.MovedEvent) {
	v.finishBars()
	tellMoved(v.s, m)
}

// tellMoved says which image lost a name, and the commands that give it back
// or free its bytes.
func tellMoved(s *streams, m *engine.MovedEvent) {
	loser := m.Loser
	fmt.Fprintf(s.err, "%s moved; it was %.12s for %s\n", escape(m.Name), loser.ID, orNone(loser.Platform()))
	switch {
	case m.Kept != "":
		fmt.Fprintf(s.err, "  that image is kept as %s\n", escape(m.Kept))
	case len(loser.Names) > 1:
		fmt.Fprintf(s.err, "  that image still has %s\n", plural(len(loser.Names)-1, "other name"))
	default:
		fmt.Fprintf(s.err, "  that image is dangling now and holds %s\n", size(m.Bytes))
	}
	fmt.Fprintf(s.err, "  give the name back:  mpull restore %.12s\n", loser.ID)
	if m.Kept == "" && len(loser.Names) == 1 {
		fmt.Fprintf(s.err, "  free the space:      mpull prune\n")
	}
}

func (v *pullView) line(format string, args ...any) {
	v.finishBars()
	fmt.Fprintf(v.s.err, format+"\n", args...)
}

// finishBars draws the bars a last time, so that lines can follow them.
func (v *pullView) finishBars() {
	if v.bars == nil {
		return
	}
	for _, b := range v.of {
		if !b.Completed() {
			b.Abort(false)
		}
	}
	v.bars.Wait()
	v.bars = nil
	clear(v.of)
}

func (v *pullView) close() { v.finishBars() }

func shortDigest(d string) string {
	const prefix = len("sha256:")
	if len(d) > prefix+12 {
		return d[prefix : prefix+12]
	}
	return d
}

// size prints bytes as podman does: decimal units, three digits.
func size(n int64) string {
	if n < 0 {
		return "unknown size"
	}
	return units.HumanSizeWithPrecision(float64(n), 3)
}

func plural(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case one[len(one)-1] == 'y':
		return fmt.Sprintf("%d %sies", n, one[:len(one)-1])
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func orNone(s string) string {
	if s == "" {
		return "an unknown platform"
	}
	return s
}
