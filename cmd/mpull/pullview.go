//go:build linux

package main

import (
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/preflight"
)

// pullView shows a pull's events on standard error: bars, lines, or JSON.
type pullView struct {
	s     *streams
	verb  string               // what is done, as its lines begin
	quiet bool                 // only what needs the user's attention
	mute  bool                 // -q: of that only warnings
	bars  *bars                // nil when none are drawn
	began map[string]time.Time // of layers shown as lines, by digest
}

func (p *program) newPullView(verb string, quiet bool) *pullView {
	v := &pullView{s: p.streams, verb: verb, mute: quiet, quiet: quiet || p.progress == progressNone, began: map[string]time.Time{}}
	if p.progress == progressAuto {
		v.bars = newBars(p.rawErr)
	}
	return v
}

// event shows one event. The engine calls it from one goroutine at a time.
func (v *pullView) event(ev engine.Event) {
	switch {
	case ev.Debug != nil:
		logrus.Debug(ev.Debug.Text)
	case v.s.events != nil:
		v.s.events.event(ev)
	case ev.Note != nil:
		v.line("%s", ev.Note.Text)
	case ev.Moved != nil && !v.mute:
		v.close()
		tellMoved(v.s, ev.Moved)
	case v.quiet:
	case ev.Resolved != nil:
		v.resolved(ev.Resolved)
	case ev.Layer != nil && v.bars != nil:
		v.bars.layer(ev.Layer)
	case ev.Layer != nil:
		v.layer(ev.Layer)
	case ev.Retry != nil:
		v.line("Trying again in %s (%s left): %s", ev.Retry.Wait.Round(100*time.Millisecond), plural(ev.Retry.Tries, "retry"), oneLine(ev.Retry.Err.Error()))
	}
}

func (v *pullView) resolved(r *engine.ResolvedEvent) {
	why := ""
	if r.Rule != "" && r.Rule != platform.RuleExact && r.Rule != platform.RuleBaseline {
		why = " (" + r.Rule.Text() + ")"
	}
	if r.Present {
		v.line("%s for %s is here already%s", r.Reference, orNone(r.Platform.String()), why)
		return
	}
	if v.bars != nil {
		v.bars.expect(r.Fetch)
	}
	v.line("%s %s for %s%s: %s", v.verb, r.Reference, orNone(r.Platform.String()), why, amount(r))
}

// amount says what a pull is going to fetch, and what it need not.
func amount(r *engine.ResolvedEvent) string {
	var toGo int64
	for _, blob := range r.Fetch {
		toGo += blob.Size
	}
	text := plural(r.Layers, "layer") + ", " + size(r.Bytes)
	if r.Here > 0 {
		text = fmt.Sprintf("%d of %s here, %s to go", r.Here, plural(r.Layers, "layer"), size(toGo))
	}
	if r.Kept > 0 {
		text += fmt.Sprintf(", of which an interrupted pull left %s", size(r.Kept))
	}
	return text
}

// end closes the view with what came of it: one image that would not start here
// has a line, several have a table.
func (v *pullView) end(results []engine.PullResult) {
	v.close()
	switch {
	case v.quiet || v.s.events != nil || len(results) == 0:
	case len(results) > 1:
		arrivals(results).write(v.s.err)
	case results[0].Check != nil && results[0].Check.Verdict != preflight.Native && !results[0].Check.DataOnly:
		v.line("On this machine it ends with: %s", verdictLine(results[0].Check))
	}
}

// arrivals is the table of what came: which platform, and whether it starts here.
func arrivals(results []engine.PullResult) *table {
	t := &table{head: []string{"PLATFORM", "IMAGE ID", "SIZE", "STARTS HERE", "NAME"}}
	for _, r := range results {
		t.add(orDash(r.Platform.String()), imageID(r.ID, false), size(r.Size), startsHere(r.Check), orDash(shortName(r.Name)))
	}
	return t
}

// startsHere is a prediction in a cell.
func startsHere(r *preflight.Result) string {
	switch {
	case r == nil:
		return "not known"
	case r.DataOnly:
		return "no command"
	case r.Verdict == preflight.Native:
		return "yes"
	case r.Verdict == preflight.Emulated:
		return "emulated"
	case r.Verdict == preflight.Unknown:
		return "not known"
	}
	return "no: " + string(r.Verdict)
}

// layer shows a layer as one line, once it is done.
func (v *pullView) layer(l *engine.LayerEvent) {
	if _, ok := v.began[l.Digest]; !ok {
		v.began[l.Digest] = time.Now()
	}
	if l.State == engine.LayerDone || l.State == engine.LayerPresent {
		v.line("%s  %s", shortDigest(l.Digest), layerSummary(l, time.Since(v.began[l.Digest])))
	}
}

// line prints a line, above the bars when there are some.
func (v *pullView) line(format string, args ...any) {
	text := fmt.Sprintf(format+"\n", args...)
	if v.bars == nil {
		fmt.Fprint(v.s.err, text)
		return
	}
	fmt.Fprint(escaper{v.bars}, text)
}

// close draws the bars a last time, so that lines can follow them.
func (v *pullView) close() {
	if v.bars != nil {
		v.bars.finish()
	}
}

// tellMoved says which image lost a name, and the commands that give it back
// or free its bytes.
func tellMoved(s *streams, m *engine.MovedEvent) {
	loser := m.Loser
	fmt.Fprintf(s.err, "%s moved; it was %.12s%s\n", escape(m.Name), loser.ID, forWhat(loser.Platform(), loser.IsList))
	switch {
	case m.Kept != "":
		fmt.Fprintf(s.err, "  that image is kept as %s\n", escape(m.Kept))
	case len(m.Fate.Names) > 0:
		fmt.Fprintf(s.err, "  that image still has %s\n", plural(len(m.Fate.Names), "other name"))
	case m.Fate.Goes:
		fmt.Fprintf(s.err, "  that image is dangling now and holds %s\n", size(m.Fate.Alone))
	default:
		fmt.Fprintf(s.err, "  that image has no name now, and a prune keeps it: %s\n", escape(whyStays(&m.Fate.Decision)))
	}
	fmt.Fprintf(s.err, "  give the name back:  mpull restore %.12s\n", loser.ID)
	if m.Fate.Goes {
		fmt.Fprintf(s.err, "  free the space:      mpull prune\n")
	}
}
