package engine

import (
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

// LayerEvent is progress of one blob.
type LayerEvent struct {
	Reference string
	Digest    string
	State     LayerState
	Offset    int64 // bytes so far
	Size      int64 // bytes in all, -1 when not known
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
	Entry *store.Displacement
	Kept  string // the repo@digest name that keeps the loser, "" when none was asked for
	Fate  Fate   // of the loser: what a prune would do with it now
}

// NoteEvent is one line that the user should read, such as a warning; as
// Event.Debug, one that only a search for a cause needs.
type NoteEvent struct {
	Text string
}
