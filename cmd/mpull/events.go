//go:build linux

package main

import (
	"encoding/json"
	"io"
	"time"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/gc"
)

// eventVersion is the version of the events' form; docs/events.md describes
// it. New fields and types may come without a new version.
const eventVersion = 1

// eventHead begins every event.
type eventHead struct {
	Version int       `json:"version"`
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
}

// The bodies of events, where no type of package engine is one; docs/events.md has
// the meaning of each field.
type (
	resolvedBody struct {
		Reference string `json:"reference"`
		Platform  string `json:"platform"`
		Rule      string `json:"rule"`
		Layers    int    `json:"layers"`
		Bytes     int64  `json:"bytes"`
		Present   bool   `json:"present"`
	}
	retryBody struct {
		Error       string  `json:"error"`
		WaitSeconds float64 `json:"waitSeconds"`
		RetriesLeft int     `json:"retriesLeft"`
	}
	partyBody struct {
		ID       string `json:"id"`
		Digest   string `json:"digest,omitempty"`
		Platform string `json:"platform,omitempty"`
	}
	displacedBody struct {
		Name     string    `json:"name"`
		To       string    `json:"to"`
		Loser    partyBody `json:"loser"`
		Dangling bool      `json:"dangling"`
		Kept     string    `json:"kept,omitempty"`
		Bytes    int64     `json:"bytes"`
	}
	checkBody struct {
		Name     string `json:"name"`
		ID       string `json:"id"`
		Verdict  string `json:"verdict"`
		ExitCode int    `json:"exitCode"`
		Reason   string `json:"reason,omitempty"`
	}
	pulledBody struct {
		Name     string `json:"name,omitempty"`
		ID       string `json:"id"`
		Digest   string `json:"digest,omitempty"`
		Platform string `json:"platform"`
		Present  bool   `json:"present"`
	}
	planBody struct {
		Items int   `json:"items"`
		Bytes int64 `json:"bytes"`
	}
	prunedBody struct {
		Items     int   `json:"items"`
		Reclaimed int64 `json:"reclaimed"`
	}
	errorBody struct {
		Error    string `json:"error"`
		Hint     string `json:"hint,omitempty"`
		ExitCode int    `json:"exitCode"`
	}
)

// eventWriter writes events as JSON lines.
type eventWriter struct {
	w   io.Writer
	now func() time.Time
}

func newEventWriter(w io.Writer) *eventWriter {
	return &eventWriter{w: w, now: time.Now}
}

// write writes one event: the head's fields, then the body's.
func (e *eventWriter) write(kind string, body any) {
	head, err := json.Marshal(eventHead{Version: eventVersion, Time: e.now().UTC(), Type: kind})
	if err != nil {
		return
	}
	rest, err := json.Marshal(body)
	if err != nil {
		return
	}
	line := append(head[:len(head)-1], ',')
	line = append(line, rest[1:]...)
	// Whoever listens may be gone; that ends no pull.
	_, _ = e.w.Write(append(plainJSON(line), '\n'))
}

// event writes what an engine says.
func (e *eventWriter) event(ev engine.Event) {
	switch kind := ev.Kind(); kind {
	case engine.KindResolved:
		r := ev.Resolved
		e.write(kind, resolvedBody{r.Reference, r.Platform.String(), string(r.Rule), r.Layers, r.Bytes, r.Present})
	case engine.KindLayer:
		e.write(kind, ev.Layer)
	case engine.KindRetry:
		r := ev.Retry
		e.write(kind, retryBody{r.Err.Error(), r.Wait.Seconds(), r.Tries})
	case engine.KindMoved:
		m := ev.Moved
		e.write(kind, displacedBody{
			Name: m.Name, To: m.To, Loser: partyBody{m.Loser.ID, m.Loser.Digest.String(), m.Loser.Platform()},
			Dangling: m.Fate.Dangling, Kept: m.Kept, Bytes: m.Fate.Alone,
		})
	case engine.KindNote:
		e.write(kind, ev.Note)
	case engine.KindCheck:
		e.write(kind, checkBody{ev.Check.Image, ev.Check.ID, string(ev.Check.Verdict), ev.Check.ExitCode, ev.Check.Reason})
	}
}

func (e *eventWriter) pulled(r engine.PullResult) {
	e.write("pulled", pulledBody{r.Name, r.ID, r.Digest.String(), r.Platform.String(), r.Present})
}

func (e *eventWriter) plan(p *gc.Plan) {
	items := len(p.Removals())
	for _, l := range p.Leftovers {
		if l.Goes {
			items++
		}
	}
	e.write("plan", planBody{items, p.Bytes})
}

func (e *eventWriter) pruned(r *gc.Result) {
	removed := 0
	for _, o := range r.Outcomes {
		e.write("removed", o)
		if o.Status == gc.Removed {
			removed++
		}
	}
	e.write("pruned", prunedBody{removed, r.Reclaimed})
}

func (e *eventWriter) note(text string) { e.write(engine.KindNote, engine.NoteEvent{Text: text}) }

func (e *eventWriter) failed(err error) {
	e.write("error", errorBody{err.Error(), hint(err), exitCode(err)})
}
