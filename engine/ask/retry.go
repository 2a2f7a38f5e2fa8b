package ask

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/docker/distribution/registry/api/errcode"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/signature"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
)

// Retry says how often something that failed in passing is tried again: a
// request for documents, and each blob that mpull unpacks itself. It is counted
// anew whenever a try got further than those before it.
type Retry struct {
	Times int           // tries after the first; negative means none
	Idle  time.Duration // how long a registry may send nothing before a try has failed; 0 means a minute
	Delay time.Duration // before the first retry, doubled after each up to 16 times and a minute; 0 means one second
}

const (
	defaultIdle  = time.Minute
	defaultDelay = time.Second
	maxDelay     = time.Minute
	maxGrowth    = 16 // times the first delay: four retries double it
	// vanishedTries bounds retries after another tool removed a layer or image
	// that was just relied on: it cannot be kept from doing so again.
	vanishedTries = 20
	// disturbedTries bounds retries of what an image could bring about itself.
	disturbedTries = 3
)

// IdleLimit is Idle, or what stands for it where it is not set.
func (r Retry) IdleLimit() time.Duration {
	if r.Idle > 0 {
		return r.Idle
	}
	return defaultIdle
}

// Do calls f until it succeeds, fails for good, or the tries are used up.
func (r Retry) Do(ctx context.Context, a *Asker, f func() error) error {
	return r.Persist(ctx, a, func() int64 { return 0 }, f)
}

// Persist is Do for work of which a try that fails keeps what it reached: one
// that reached more than any before it gives all tries, and the first delay,
// back. What can be reached is bounded, and so are the tries.
func (r Retry) Persist(ctx context.Context, a *Asker, reached func() int64, f func() error) error {
	t := r.start(a, reached())
	for {
		err := f()
		if err == nil {
			return nil
		}
		if err := t.again(ctx, err, reached); err != nil {
			return err
		}
	}
}

// tries are those of one piece of work.
type tries struct {
	asker                        *Asker
	retry                        Retry
	wait                         *backoff.ExponentialBackOff
	most                         int64
	left, vanished, disturbances int
}

func (r Retry) start(a *Asker, reached int64) *tries {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.Multiplier = r.Delay, 2
	if r.Delay <= 0 {
		wait.InitialInterval = defaultDelay
	}
	wait.MaxInterval = min(maxGrowth*wait.InitialInterval, maxDelay)
	wait.Reset()
	return &tries{
		asker: a, retry: r, wait: wait, most: reached,
		left: max(r.Times, 0), vanished: vanishedTries, disturbances: disturbedTries,
	}
}

// again waits until it is time to try again after err. It returns the error to
// end with where there is no next try.
func (t *tries) again(ctx context.Context, err error, reached func() int64) error {
	if ctx.Err() != nil {
		return err
	}
	var pause time.Duration
	switch {
	case store.IsGone(err) && t.vanished > 0:
		t.vanished--
		pause = time.Duration(vanishedTries-t.vanished) * 10 * time.Millisecond
	case disturbed(err) && t.disturbances > 0:
		t.disturbances--
		pause = 100 * time.Millisecond
	case !passing(err):
		return err
	default:
		if now := reached(); now > t.most {
			t.most, t.left = now, max(t.retry.Times, 0)
			t.wait.Reset()
		}
		if t.left == 0 {
			return err
		}
		t.left--
		pause = t.wait.NextBackOff()
		if t.asker.Retrying != nil {
			t.asker.Retrying(err, pause, t.left)
		}
	}
	select {
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), err)
	case <-time.After(pause):
		return nil
	}
}

// disturbed tells whether err is one of the forms in which the library says, in
// words only, that another process took something away in the middle of a
// pull: a layer that was to be reused, or was put there a moment ago, and the
// staging directory of a layer being unpacked, which a process that opens the
// store sweeps when it comes between making and locking it.
func disturbed(err error) bool {
	text := err.Error()
	return (strings.Contains(text, "trying to reuse blob ") || strings.Contains(text, "layer for blob ")) && strings.Contains(text, " not found") ||
		strings.Contains(text, "unpacking failed (error: exit status 1; output: ") && strings.Contains(text, ": "+unix.ENOENT.Error())
}

// passing tells whether err may go away by itself. What the user, the image,
// the policy or the disk decides does not.
func passing(err error) bool {
	switch {
	case errors.As(err, new(*registry.RefusedError)), errors.As(err, new(*usedUpError)), errors.As(err, new(*registry.HelperError)),
		errors.As(err, new(*platform.NotFoundError)), errors.As(err, new(*registry.ShortNameError)),
		errors.As(err, new(docker.ErrUnauthorizedForCredentials)), errors.As(err, new(signature.PolicyRequirementError)),
		errors.Is(err, store.ErrReadOnly), errors.Is(err, context.Canceled),
		errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT), errors.Is(err, unix.EROFS), errors.Is(err, unix.EACCES):
		return false
	}
	if status, ok := errors.AsType[*registry.StatusError](err); ok {
		return status.Code >= http.StatusInternalServerError || status.Code == http.StatusTooManyRequests
	}
	if unexpected, ok := errors.AsType[docker.UnexpectedHTTPStatusError](err); ok {
		return unexpected.StatusCode >= http.StatusInternalServerError
	}
	var coded errcode.ErrorCoder
	if errors.As(err, &coded) {
		status := coded.ErrorCode().Descriptor().HTTPStatusCode
		return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests
	}
	return isTransport(err)
}
