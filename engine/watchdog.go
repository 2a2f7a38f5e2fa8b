package engine

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/registry"
)

// watchdog cancels a context when something was asked of a registry and no
// byte comes for the limit: the registry client of the library has no such
// limit of its own. While nothing is awaited (layers are unpacked, the image is
// committed) it sleeps.
type watchdog struct {
	cancel context.CancelCauseFunc
	limit  time.Duration
	room   int64 // bytes that the heap may grow by while an answer is awaited

	mu     sync.Mutex
	timer  *time.Timer
	active map[string]int64 // blobs being read, by digest: heap when each was asked for, or answered
	got    int64            // bytes since the timer was set
	start  int64            // heap at the start
}

// answered is the state of a blob of which bytes have come.
const answered = -1

// leastBytes have to come within the limit: a registry that sends a byte now
// and then is as good as silent.
const leastBytes = 1024

// newWatchdog watches from the start, as something is asked first.
// An answer may take so much of the heap.
func newWatchdog(ctx context.Context, limit time.Duration, room int64) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{cancel: cancel, limit: limit, room: room, active: map[string]int64{}, start: heap()}
	w.timer = time.AfterFunc(limit, w.expire)
	go w.guardMemory(ctx)
	return ctx, w
}

// What the heap may grow by while an answer is awaited. Only the text of an
// error is read by the registry client without a bound, and a hostile one does
// not end.
const (
	documentRoom = 128 << 20 // all documents are bounded, at a few MiB
	layerRoom    = 512 << 20 // others may be unpacked meanwhile, with windows of up to 128 MiB
	// heapPoll is how often the heap is looked at.
	heapPoll = 100 * time.Millisecond
)

// errEndless is the cause when an answer takes more memory than any good one.
var errEndless = errors.New("the registry's answer does not end")

// guardMemory cancels when the heap grows by more than room while an answer
// is awaited, until ctx ends.
func (w *watchdog) guardMemory(ctx context.Context) {
	tick := time.NewTicker(heapPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if w.endless(heap()) {
				w.cancel(fmt.Errorf("%w: it took more than %d MiB of memory", errEndless, w.room>>20))
				return
			}
		}
	}
}

// endless tells whether the heap grew too much since what is awaited was asked.
func (w *watchdog) endless(heap int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.active) == 0 { // documents, which no unpacking goes beside
		return heap-w.start > w.room
	}
	for _, before := range w.active {
		if before != answered && heap-before > w.room {
			return true
		}
	}
	return false
}

// heap returns the bytes of the heap's objects.
func heap() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
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
		return fmt.Errorf("%w (%s)", cause, err.Error())
	case errors.Is(err, cause):
		return err
	}
	return errors.Join(cause, err)
}

// asked takes into account that a URL is being asked for.
func (w *watchdog) asked(u *url.URL) {
	if _, digest, blob := strings.Cut(u.Path, "/blobs/"); blob {
		w.reading(digest)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Reset(w.limit)
}

// reading says that a blob is asked for.
func (w *watchdog) reading(blob string) {
	now := heap()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active[blob] = now
	w.timer.Reset(w.limit)
}

// rest says that nothing is awaited until something is asked for.
func (w *watchdog) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}

// alive says that a blob got n more bytes; done, that it has them all: what
// follows is unpacking.
func (w *watchdog) alive(blob string, n int64, done bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got += n
	if _, ok := w.active[blob]; ok && n > 0 {
		w.active[blob] = answered
	}
	switch {
	case done:
		delete(w.active, blob)
	case w.got < leastBytes:
		return
	}
	w.got = 0
	if len(w.active) == 0 {
		w.timer.Stop()
		return
	}
	w.timer.Reset(w.limit)
}

// has says that blobs have all their bytes, where no progress report says so.
func (w *watchdog) has(blobs ...digest.Digest) {
	for _, blob := range blobs {
		w.alive(blob.String(), 0, true)
	}
}

// note takes one progress report of the library's copy into account.
func (w *watchdog) note(p types.ProgressProperties) {
	blob := p.Artifact.Digest.String()
	switch p.Event {
	case types.ProgressEventNewArtifact:
		w.reading(blob)
	case types.ProgressEventDone, types.ProgressEventSkipped:
		w.alive(blob, 0, true)
	default:
		size := uint64(max(p.Artifact.Size, 0))
		if size > 0 && p.Offset > size {
			w.cancel(fmt.Errorf("the registry sends more than the %d bytes of %s", size, blob))
			return
		}
		w.alive(blob, int64(p.OffsetUpdate), size > 0 && p.Offset == size)
	}
}

func (w *watchdog) expire() {
	// While a credential helper is waited for, it is not the registry that is silent.
	if hung := registry.Hung(w.limit); hung != nil {
		w.cancel(hung)
		return
	}
	w.cancel(fmt.Errorf("%w for %s", errStalled, w.limit))
}

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}
