package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.podman.io/image/v5/types"
)

// idleLimit is how long a download may deliver no byte. The registry client
// of the library has no such limit of its own.
const idleLimit = 60 * time.Second

// watchdog cancels a context when blobs are being read and none of them gets a
// byte for the limit. While nothing is being read (layers are unpacked, the
// image is committed) it waits.
type watchdog struct {
	cancel context.CancelCauseFunc
	limit  time.Duration

	mu     sync.Mutex
	timer  *time.Timer
	active map[string]bool // blobs being read
}

func newWatchdog(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{cancel: cancel, limit: limit, active: map[string]bool{}}
	w.timer = time.AfterFunc(limit, w.expire)
	return ctx, w
}

// reading says that a blob is asked for.
func (w *watchdog) reading(blob string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active[blob] = true
	w.timer.Reset(w.limit)
}

// alive says that a blob got bytes; done, that it has them all: what follows
// is unpacking.
func (w *watchdog) alive(blob string, done bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if done {
		delete(w.active, blob)
	}
	if len(w.active) == 0 {
		w.timer.Stop()
		return
	}
	w.timer.Reset(w.limit)
}

// note takes one progress report of the library's copy into account.
func (w *watchdog) note(p types.ProgressProperties) {
	blob := p.Artifact.Digest.String()
	switch p.Event {
	case types.ProgressEventNewArtifact:
		w.reading(blob)
	case types.ProgressEventDone, types.ProgressEventSkipped:
		w.alive(blob, true)
	default:
		if p.OffsetUpdate > 0 { // a report without a byte is no sign of life
			w.alive(blob, p.Artifact.Size > 0 && p.Offset >= uint64(p.Artifact.Size))
		}
	}
}

func (w *watchdog) expire() {
	w.cancel(fmt.Errorf("%w for %s", errStalled, w.limit))
}

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}
