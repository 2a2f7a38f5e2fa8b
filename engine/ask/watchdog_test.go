package ask

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
		do      func(w *Watchdog)
		stalled bool
	}{
		{"nothing is answered", func(*Watchdog) { time.Sleep(2 * limit) }, true},
		{"bytes keep coming", func(w *Watchdog) {
			w.reading("a")
			for range 10 {
				time.Sleep(limit / 2)
				w.Alive("a", leastBytes, false)
			}
		}, false},
		{"a byte now and then", func(w *Watchdog) {
			w.reading("a")
			for range 10 {
				time.Sleep(limit / 2)
				w.Alive("a", 1, false)
			}
		}, true},
		{"one of two is silent while the other is unpacked", func(w *Watchdog) {
			w.reading("a")
			w.reading("b")
			w.Alive("a", 10, true)
			time.Sleep(2 * limit)
		}, true},
		{"its turn comes late", func(w *Watchdog) {
			w.Rest()
			time.Sleep(10 * limit)
			w.reading("a")
			time.Sleep(limit / 2)
		}, false},
		{"its turn comes late, and nothing is answered", func(w *Watchdog) {
			w.Rest()
			time.Sleep(10 * limit)
			w.reading("a")
			time.Sleep(2 * limit)
		}, true},
		{"it waits to be unpacked", func(w *Watchdog) {
			w.reading("a")
			w.Wait("a", true)
			time.Sleep(10 * limit)
			w.Wait("a", false)
			time.Sleep(limit / 2)
		}, false},
		{"it waited to be unpacked, and nothing comes then", func(w *Watchdog) {
			w.reading("a")
			w.Wait("a", true)
			w.Wait("a", false)
			time.Sleep(2 * limit)
		}, true},
		{"all of it came before it waited", func(w *Watchdog) {
			w.reading("a")
			w.Alive("a", 10, true)
			w.Wait("a", true)
			w.Wait("a", false)
			time.Sleep(10 * limit)
		}, false},
		{"one waits while another is silent", func(w *Watchdog) {
			w.reading("a")
			w.reading("b")
			w.Wait("a", true)
			time.Sleep(2 * limit)
		}, true},
		{"all is unpacked", func(w *Watchdog) {
			w.reading("a")
			w.Alive("a", 10, true)
			time.Sleep(10 * limit)
		}, false},
		{"a blob is asked for and no header comes", func(w *Watchdog) {
			w.Alive("x", 0, true)
			w.Asked(&url.URL{Path: "/v2/app/blobs/sha256:abc"})
			time.Sleep(2 * limit)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, w := Watch(t.Context(), limit)
				defer w.Stop()
				c.do(w)
				synctest.Wait()
				if got := errors.Is(context.Cause(ctx), ErrStalled); got != c.stalled {
					t.Errorf("stalled: %v, cause %v", got, context.Cause(ctx))
				}
			})
		})
	}
}

func TestWatchdogUnpacking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := Watch(t.Context(), time.Minute)
		defer w.Stop()
		blob := digest.FromString("a")
		w.Asked(&url.URL{Path: "/v2/app/blobs/" + blob.String()})
		w.Asked(&url.URL{Path: "/v2/app/blobs/sha256:config"})
		w.Has(blob, "sha256:config")
		time.Sleep(time.Hour)
		if ctx.Err() != nil {
			t.Errorf("unpacking for an hour counts as silence: %v", context.Cause(ctx))
		}
	})
}

func TestWatchdogRefusesMoreThanPromised(t *testing.T) {
	ctx, w := Watch(t.Context(), time.Hour)
	defer w.Stop()
	p := types.ProgressProperties{Event: types.ProgressEventRead, Offset: 11, OffsetUpdate: 11}
	p.Artifact.Size = 10
	w.Note(p)
	if ctx.Err() == nil {
		t.Error("a blob of 11 bytes for 10 goes on")
	}
}

// A stall is tried again; the user's interrupt is not.
func TestWithCause(t *testing.T) {
	ctx, w := Watch(t.Context(), time.Hour)
	w.expire()
	err := WithCause(ctx, context.Canceled)
	if errors.Is(err, context.Canceled) || !passing(err) {
		t.Errorf("%v counts as an interrupt", err)
	}
	user, cancel := context.WithCancel(t.Context())
	cancel()
	if err := WithCause(user, context.Canceled); !errors.Is(err, context.Canceled) || passing(err) {
		t.Errorf("%v does not count as an interrupt", err)
	}
}
