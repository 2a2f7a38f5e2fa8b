package engine

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"
)

func TestWatchdogPhases(t *testing.T) {
	const limit = time.Minute
	for _, c := range []struct {
		name    string
		do      func(w *watchdog)
		stalled bool
	}{
		{"nothing is answered", func(*watchdog) { time.Sleep(2 * limit) }, true},
		{"bytes keep coming", func(w *watchdog) {
			w.reading("a")
			for range 10 {
				time.Sleep(limit / 2)
				w.alive("a", leastBytes, false)
			}
		}, false},
		{"a byte now and then", func(w *watchdog) {
			w.reading("a")
			for range 10 {
				time.Sleep(limit / 2)
				w.alive("a", 1, false)
			}
		}, true},
		{"one of two is silent while the other is unpacked", func(w *watchdog) {
			w.reading("a")
			w.reading("b")
			w.alive("a", 10, true)
			time.Sleep(2 * limit)
		}, true},
		{"its turn comes late", func(w *watchdog) {
			w.rest()
			time.Sleep(10 * limit)
			w.reading("a")
			time.Sleep(limit / 2)
		}, false},
		{"its turn comes late, and nothing is answered", func(w *watchdog) {
			w.rest()
			time.Sleep(10 * limit)
			w.reading("a")
			time.Sleep(2 * limit)
		}, true},
		{"all is unpacked", func(w *watchdog) {
			w.reading("a")
			w.alive("a", 10, true)
			time.Sleep(10 * limit)
		}, false},
		{"a blob is asked for and no header comes", func(w *watchdog) {
			w.alive("x", 0, true)
			w.asked(&url.URL{Path: "/v2/app/blobs/sha256:abc"})
			time.Sleep(2 * limit)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, w := newWatchdog(t.Context(), limit, documentRoom)
				defer w.stop()
				c.do(w)
				synctest.Wait()
				if got := errors.Is(context.Cause(ctx), errStalled); got != c.stalled {
					t.Errorf("stalled: %v, cause %v", got, context.Cause(ctx))
				}
			})
		})
	}
}

func TestWatchdogUnpacking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := newWatchdog(t.Context(), time.Minute, documentRoom)
		defer w.stop()
		blob := digest.FromString("a")
		w.asked(&url.URL{Path: "/v2/app/blobs/" + blob.String()})
		w.asked(&url.URL{Path: "/v2/app/blobs/sha256:config"})
		w.has(blob, "sha256:config")
		time.Sleep(time.Hour)
		if ctx.Err() != nil {
			t.Errorf("unpacking for an hour counts as silence: %v", context.Cause(ctx))
		}
	})
}

func TestWatchdogMemory(t *testing.T) {
	_, w := newWatchdog(t.Context(), time.Hour, documentRoom)
	defer w.stop()
	w.start = 0
	check := func(what string, heap int64, want bool) {
		t.Helper()
		if got := w.endless(heap); got != want {
			t.Errorf("%s: %v", what, got)
		}
	}
	check("little before any blob", documentRoom, false)
	check("much before any blob", documentRoom+1, true)
	w.reading("a")
	w.active["a"] = 1 << 30
	check("much before this blob was asked for", 1<<30+documentRoom, false)
	check("much since", 1<<30+documentRoom+1, true)
	w.alive("a", 1, false)
	check("it is read", 1<<40, false)
	w.reading("b")
	w.active["b"] = 0
	check("another is awaited", documentRoom+1, true)
}

func TestWatchdogRefusesMoreThanPromised(t *testing.T) {
	ctx, w := newWatchdog(t.Context(), time.Hour, documentRoom)
	defer w.stop()
	p := types.ProgressProperties{Event: types.ProgressEventRead, Offset: 11, OffsetUpdate: 11}
	p.Artifact.Size = 10
	w.note(p)
	if ctx.Err() == nil {
		t.Error("a blob of 11 bytes for 10 goes on")
	}
}

// A stall is tried again; the user's interrupt is not.
func TestWithCause(t *testing.T) {
	ctx, w := newWatchdog(t.Context(), time.Hour, documentRoom)
	w.expire()
	err := withCause(ctx, context.Canceled)
	if errors.Is(err, context.Canceled) || !passing(err) {
		t.Errorf("%v counts as an interrupt", err)
	}
	user, cancel := context.WithCancel(t.Context())
	cancel()
	if err := withCause(user, context.Canceled); !errors.Is(err, context.Canceled) || passing(err) {
		t.Errorf("%v does not count as an interrupt", err)
	}
}
