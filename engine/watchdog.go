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
	active map[string]uint64 // bytes so far of each blob being read
}

func newWatchdog(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{cancel: cancel, limit: limit, active: map[string]uint64{}}
	w.timer = time.AfterFunc(limit, w.expire)
	return ctx, w
}

// note takes one progress report of the copy into account.
func (w *watchdog) note(p types.ProgressProperties) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := p.Artifact.Digest.String()
	before, known := w.active[id]
	switch p.Event {
	case types.ProgressEventNewArtifact:
		w.active[id] = 0
	case types.ProgressEventDone, types.ProgressEventSkipped:
		delete(w.active, id)
	default:
		if known && p.Offset == before {
			return // a report without a byte is no sign of life
		}
		w.active[id] = p.Offset
		if p.Artifact.Size > 0 && p.Offset >= uint64(p.Artifact.Size) {
			delete(w.active, id) // all is here; what follows is unpacking
		}
	}
	if len(w.active) == 0 {
		w.timer.Stop()
	} else {
		w.timer.Reset(w.limit)
	}
}

func (w *watchdog) expire() {
	w.cancel(fmt.Errorf("%w for %s", errStalled, w.limit))
}

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}
