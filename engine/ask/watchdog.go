package ask

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/registry"
)

// Watchdog cancels a context when something was asked of a registry and no
// byte comes for the limit, or an answer does not end: the registry client of
// the library has no such limits of its own. While nothing is awaited (layers
// are unpacked, the image is committed) it sleeps.
type Watchdog struct {
	cancel  context.CancelCauseFunc
	limit   time.Duration
	answers answers

	mu     sync.Mutex
	timer  *time.Timer
	active map[string]bool // blobs of which bytes are missing, by digest: whether they are awaited
	got    int64           // bytes since the timer was set
}

// leastBytes have to come within the limit: a registry that sends a byte now
// and then is as good as silent.
const leastBytes = 1024

// Watch returns a context and its watchdog. It watches from the start, as something is asked first.
func Watch(ctx context.Context, limit time.Duration) (context.Context, *Watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &Watchdog{cancel: cancel, limit: limit, active: map[string]bool{}}
	w.timer = time.AfterFunc(limit, w.expire)
	ctx = w.answers.trace(ctx)
	go w.bound(ctx)
	return ctx, w
}

// bound cancels when an answer does not end, until ctx ends.
func (w *Watchdog) bound(ctx context.Context) {
	tick := time.NewTicker(answersPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if w.answers.endless() {
				w.cancel(fmt.Errorf("%w: it is longer than %d MiB", errEndless, longestDocument>>20))
				return
			}
		}
	}
}

// WithCause adds to an error why its context ended. That nobody but the
// Watchdog cancelled it must not show: a cancellation is the user's, and is not
// tried again.
func WithCause(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case err == nil, cause == nil:
		return err
	case errors.Is(err, context.Canceled) && !errors.Is(cause, context.Canceled):
		return fmt.Errorf("%w (%s)", cause, err.Error())
	case errors.Is(err, cause):
		return err
	}
	return errors.Join(cause, err)
}

// Asked takes into account that a URL is being asked for.
func (w *Watchdog) Asked(u *url.URL) {
	if _, digest, blob := strings.Cut(u.Path, "/blobs/"); blob {
		w.reading(digest)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Reset(w.limit)
}

// reading says that a blob is asked for.
func (w *Watchdog) reading(blob string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active[blob] = true
	w.timer.Reset(w.limit)
}

// Wait says that a blob is not read on until it is its turn to be unpacked, or
// that it is.
func (w *Watchdog) Wait(blob digest.Digest, waits bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.active[blob.String()]; !ok {
		return // all of it is here
	}
	w.active[blob.String()] = !waits
	w.set()
}

// set starts the time anew, unless nothing is awaited.
func (w *Watchdog) set() {
	w.got = 0
	for _, awaited := range w.active {
		if awaited {
			w.timer.Reset(w.limit)
			return
		}
	}
	w.timer.Stop()
}

// Rest says that nothing is awaited until something is asked for.
func (w *Watchdog) Rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}

// Alive says that a blob got n more bytes; done, that it has them all: what
// follows is unpacking.
func (w *Watchdog) Alive(blob string, n int64, done bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got += n
	switch {
	case done:
		delete(w.active, blob)
	case w.got < leastBytes:
		return
	}
	w.set()
}

// Has says that blobs have all their bytes, where no progress report says so.
func (w *Watchdog) Has(blobs ...digest.Digest) {
	for _, blob := range blobs {
		w.Alive(blob.String(), 0, true)
	}
}

// Note takes one progress report of the library's copy into account.
func (w *Watchdog) Note(p types.ProgressProperties) {
	blob := p.Artifact.Digest.String()
	switch p.Event {
	case types.ProgressEventNewArtifact: // its answer has begun
		w.answers.blob(1)
		w.reading(blob)
	case types.ProgressEventDone:
		w.answers.blob(-1)
		w.Alive(blob, 0, true)
	case types.ProgressEventSkipped:
		w.Alive(blob, 0, true)
	default:
		size := uint64(max(p.Artifact.Size, 0))
		if size > 0 && p.Offset > size {
			w.cancel(fmt.Errorf("the registry sends more than the %d bytes of %s", size, blob))
			return
		}
		w.Alive(blob, int64(p.OffsetUpdate), size > 0 && p.Offset == size)
	}
}

func (w *Watchdog) expire() {
	// While a credential helper is waited for, it is not the registry that is silent.
	left, hung := registry.Hung(w.limit)
	switch {
	case hung != nil:
		w.cancel(hung)
	case left > 0:
		w.timer.Reset(left)
	default:
		w.cancel(fmt.Errorf("%w for %s", ErrStalled, w.limit))
	}
}

// Cancel ends the context, for a reason of the caller's.
func (w *Watchdog) Cancel(why error) { w.cancel(why) }

// Stop ends the context: whatever it was for is over.
func (w *Watchdog) Stop() {
	w.timer.Stop()
	w.cancel(nil)
}
