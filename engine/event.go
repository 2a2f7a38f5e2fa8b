package engine

import (
	"fmt"
	"time"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/store"
)

// Event is something that a person or a program watching wants to know while
// a use case runs. Exactly one of its fields is set.
type Event struct {
	Resolved *ResolvedEvent
	Layer    *LayerEvent
	Retry    *RetryEvent
	Moved    *MovedEvent
	Check    *preflight.Result // of a pull or load: what keeps an image from starting here as it is
	Note     *NoteEvent
	Debug    *NoteEvent
}

// Kinds of events, as String and docs/events.md name them.
const (
	KindResolved = "resolved"
	KindLayer    = "layer"
	KindRetry    = "retry"
	KindMoved    = "displaced"
	KindCheck    = "check"
	KindNote     = "note"
	KindDebug    = "debug"
)

// Kind tells which of the fields is set, "" when none is.
func (e Event) Kind() string {
	kind, _ := e.told()
	return kind
}

// String is one line about the event, for a log. What it quotes of registries
// and images is not made safe for a terminal.
func (e Event) String() string {
	kind, text := e.told()
	if kind == "" {
		return "nothing"
	}
	return kind + ": " + text()
}

func (e Event) told() (kind string, text func() string) {
	say := func(format string, args ...any) func() string {
		return func() string { return fmt.Sprintf(format, args...) }
	}
	switch {
	case e.Resolved != nil:
		r := e.Resolved
		return KindResolved, say("%s for %s, %d layers, %d bytes", r.Reference, r.Platform, r.Layers, r.Bytes)
	case e.Layer != nil:
		l := e.Layer
		return KindLayer, say("%s of %s is %s, %d of %d bytes", l.Digest, l.Reference, l.State, l.Offset, l.Size)
	case e.Retry != nil:
		return KindRetry, say("in %s, %d tries left, after: %v", e.Retry.Wait, e.Retry.Tries, e.Retry.Err)
	case e.Moved != nil:
		return KindMoved, say("%s is now %s", e.Moved.Name, e.Moved.To)
	case e.Check != nil:
		return KindCheck, say("%s is %s: %s", e.Check.Image, e.Check.Verdict, e.Check.Reason)
	case e.Note != nil:
		return KindNote, say("%s", e.Note.Text)
	case e.Debug != nil:
		return KindDebug, say("%s", e.Debug.Text)
	}
	return "", nil
}

// ResolvedEvent says that a reference was read and an instance chosen.
type ResolvedEvent struct {
	Reference string
	Platform  platform.Platform
	Rule      platform.Rule
	Layers    int
	Bytes     int64  // compressed, of all layers
	Here      int    // layers that the store has already
	Fetch     []Blob // the others
	Kept      int64  // bytes of them that an interrupted pull left
	Present   bool   // the store has it already
}

// Blob is something to fetch.
type Blob struct {
	Digest string
	Size   int64 // compressed; 0 when it is not known
}

// LayerState is how far a layer is.
type LayerState string

// States of a layer or config blob.
const (
	LayerStarted LayerState = "started"
	LayerRead    LayerState = "read" // some bytes came in
	LayerDone    LayerState = "done"
	LayerPresent LayerState = "present" // it was there already
)

// LayerEvent is progress of one blob. JSON names are stable.
type LayerEvent struct {
	Reference string     `json:"reference"`
	Digest    string     `json:"digest"`
	State     LayerState `json:"state"`
	Offset    int64      `json:"offset"` // bytes so far
	Size      int64      `json:"bytes"`  // bytes in all, -1 when not known
}

// RetryEvent says that something failed and is tried again.
type RetryEvent struct {
	Err   error
	Wait  time.Duration
	Tries int // still left
}

// MovedEvent says that a name passed from one image to another.
type MovedEvent struct {
	Name  string
	To    string // image ID
	Loser *store.Image
	Kept  string // the repo@digest name that keeps the loser, "" when none was asked for
	Fate  Fate   // of the loser: what a prune would do with it now
}

// NoteEvent is one line that the user should read, such as a warning; as
// Event.Debug, one that only a search for a cause needs.
type NoteEvent struct {
	Text string `json:"text"`
}
