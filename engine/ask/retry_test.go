package ask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/docker/distribution/registry/api/errcode"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/signature"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
)

func TestPassing(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{unix.ECONNRESET, true},
		{fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), true},
		{ErrStalled, true},
		{&net.DNSError{IsTemporary: true}, true},
		{&net.DNSError{IsNotFound: true}, false},
		{docker.UnexpectedHTTPStatusError{StatusCode: 503}, true},
		{docker.UnexpectedHTTPStatusError{StatusCode: 404}, false},
		{docker.ErrTooManyRequests, true},
		{errcode.ErrorCodeUnavailable.WithMessage("x"), true},
		{errcode.ErrorCodeDenied.WithMessage("x"), false},
		{docker.ErrUnauthorizedForCredentials{}, false},
		{signature.PolicyRequirementError("no"), false},
		{&platform.NotFoundError{}, false},
		{&registry.ShortNameError{}, false},
		{fmt.Errorf("writing: %w", unix.ENOSPC), false},
		{errors.Join(unix.ECONNRESET, unix.ENOSPC), false},
		{store.ErrReadOnly, false},
		{context.Canceled, false},
		{errors.New("something else"), false},
	} {
		if got := passing(tt.err); got != tt.want {
			t.Errorf("passing(%v) = %v", tt.err, got)
		}
	}
}

// TestRetry counts tries; delays are a nanosecond and nobody waits.
func TestRetry(t *testing.T) {
	broken, final := error(unix.ECONNRESET), errors.New("no such manifest")
	gone := fmt.Errorf("layer: %w", storage.ErrLayerUnknown)
	for _, tt := range []struct {
		name  string
		retry Retry
		errs  []error // the last is repeated
		tries int
		want  error
	}{
		{"at once", Retry{Times: 3}, []error{nil}, 1, nil},
		{"twice", Retry{Times: 3}, []error{broken, broken, nil}, 3, nil},
		{"used up", Retry{Times: 2}, []error{broken}, 3, broken},
		{"none", Retry{}, []error{broken}, 1, broken},
		{"negative", Retry{Times: -4}, []error{broken}, 1, broken},
		{"for good", Retry{Times: 9}, []error{broken, final}, 2, final},
		{"vanished without a retry", Retry{}, []error{gone, gone, nil}, 3, nil},
	} {
		tt.retry.Delay = time.Nanosecond
		events, tries := 0, 0
		e := &Asker{Retrying: func(error, time.Duration, int) { events++ }}
		err := tt.retry.Do(t.Context(), e, func() error {
			tries++
			return tt.errs[min(tries, len(tt.errs))-1]
		})
		if tries != tt.tries || !errors.Is(err, tt.want) {
			t.Errorf("%s: %d tries, %v; want %d, %v", tt.name, tries, err, tt.tries, tt.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	err := Retry{Times: 5, Delay: time.Hour}.Do(ctx, &Asker{}, func() error { tries++; cancel(); return broken })
	if tries != 1 || !errors.Is(err, broken) {
		t.Errorf("after the end of the context: %d tries, %v", tries, err)
	}
}

// TestRetryGoesOn gives all tries back for each step that was reached.
func TestRetryGoesOn(t *testing.T) {
	broken := error(unix.ECONNRESET)
	for _, tt := range []struct {
		name    string
		reached []int64 // after each try; the last is repeated
		tries   int
	}{
		{"nothing", []int64{0}, 3},
		{"a step in each", []int64{1, 2, 3, 4, 5}, 7},
		{"a step now and then", []int64{0, 1, 1, 2}, 6},
		{"back and forth", []int64{1, 0, 1, 0, 1}, 3},
	} {
		tries := 0
		at := func() int64 {
			if tries == 0 {
				return 0
			}
			return tt.reached[min(tries, len(tt.reached))-1]
		}
		err := Retry{Times: 2, Delay: time.Nanosecond}.Persist(t.Context(), &Asker{}, at, func() error { tries++; return broken })
		if tries != tt.tries || !errors.Is(err, broken) {
			t.Errorf("%s: %d tries, %v; want %d", tt.name, tries, err, tt.tries)
		}
	}
}
