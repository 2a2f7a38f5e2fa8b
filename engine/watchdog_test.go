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
		{"it waits to be unpacked", func(w *watchdog) {
			w.reading("a")
			w.wait("a", true)
			time.Sleep(10 * limit)
			w.wait("a", false)
			time.Sleep(limit / 2)
		}, false},
		{"it waited to be unpacked, and nothing comes then", func(w *watchdog) {
			w.reading("a")
			w.wait("a", true)
			w.wait("a", false)
			time.Sleep(2 * limit)
		}, true},
		{"all of it came before it waited", func(w *watchdog) {
			w.reading("a")
			w.alive("a", 10, true)
			w.wait("a", true)
			w.wait("a", false)
			time.Sleep(10 * limit)
		}, false},
		{"one waits while another is silent", func(w *watchdog) {
			w.reading("a")
			w.reading("b")
			w.wait("a", true)
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
				ctx, w := newWatchdog(t.Context(), limit)
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
		ctx, w := newWatchdog(t.Context(), time.Minute)
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

func TestWatchdogRefusesMoreThanPromised(t *testing.T) {
	ctx, w := newWatchdog(t.Context(), time.Hour)
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
	ctx, w := newWatchdog(t.Context(), time.Hour)
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
