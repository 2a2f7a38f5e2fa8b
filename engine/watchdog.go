package engine

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.podman.io/image/v5/types"
)

// watchdog cancels a context when something was asked of a registry and no
// byte comes for the limit: the registry client of the library has no such
// limit of its own. While nothing is awaited (layers are unpacked, the image is
// committed) it sleeps.
type watchdog struct {
	cancel context.CancelCauseFunc
	limit  time.Duration

	mu     sync.Mutex
	timer  *time.Timer
	active map[string]uint64 // bytes so far of each blob asked for, by digest
	got    uint64            // bytes since the timer was set
}

// leastBytes have to come within the limit: a registry that sends a byte now
// and then is as good as silent.
const leastBytes = 1024

// newWatchdog watches from the start, as something is asked first.
func newWatchdog(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{cancel: cancel, limit: limit, active: map[string]uint64{}}
	w.timer = time.AfterFunc(limit, w.expire)
	return ctx, w
}

// watched runs f, which may take the idle limit in all.
func watched(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	ctx, watch := newWatchdog(ctx, limit)
	defer watch.stop()
	return withCause(ctx, f(ctx))
}

// withCause adds to an error why its context ended. That nobody but the
// watchdog cancelled it must not show: a cancellation is the user's, and is not
// tried again.
func withCause(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case err == nil, cause == nil:
		return err
	case errors.Is(err, context.Canceled) && !errors.Is(cause, context.Canceled):
		return fmt.Errorf("%w (%v)", cause, err)
	case errors.Is(err, cause):
		return err
	}
	return errors.Join(cause, err)
}

// asked takes into account that a URL is being asked for.
func (w *watchdog) asked(u *url.URL) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, digest, blob := strings.Cut(u.Path, "/blobs/"); blob {
		w.active[digest] = 0
	}
	w.timer.Reset(w.limit)
}

// note takes one progress report of the library's copy into account.
func (w *watchdog) note(p types.ProgressProperties) {
	blob := p.Artifact.Digest.String()
	switch p.Event {
	case types.ProgressEventNewArtifact:
		w.progress(blob, 0, p.Artifact.Size)
	case types.ProgressEventDone, types.ProgressEventSkipped:
		w.finished(blob)
	default:
		w.progress(blob, p.Offset, p.Artifact.Size)
	}
}

// progress says how many bytes of a blob have come; size is -1 when it is not
// known.
func (w *watchdog) progress(blob string, offset uint64, size int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, known := w.active[blob]
	if offset > before {
		w.got += offset - before
	}
	w.active[blob] = offset
	switch {
	case size > 0 && offset > uint64(size):
		w.cancel(fmt.Errorf("the registry sends more than the %d bytes of %s", size, blob))
		return
	case size > 0 && offset == uint64(size):
		delete(w.active, blob) // all is here; what follows is unpacking
	case known && w.got < leastBytes:
		return
	}
	w.rearm()
}

// finished says that nothing more of a blob is awaited.
func (w *watchdog) finished(blob string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.active, blob)
	w.rearm()
}

// rearm sets the timer anew while something is awaited.
func (w *watchdog) rearm() {
	w.got = 0
	if len(w.active) == 0 {
		w.timer.Stop()
		return
	}
	w.timer.Reset(w.limit)
}

func (w *watchdog) expire() {
	w.cancel(fmt.Errorf("%w for %s", errStalled, w.limit))
}

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}
