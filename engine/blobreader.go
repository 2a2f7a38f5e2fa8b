package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"
)

// blobReader reads one blob of a registry. Where the connection breaks it asks
// for the blob again and drops what it has given before, so that whoever
// unpacks it, and those who read others beside, need not begin anew. (Before
// that the library itself asks for the rest, once, and after each megabyte.)
type blobReader struct {
	ctx    context.Context //nolint:containedctx // io.Reader takes none
	cancel context.CancelFunc
	digest digest.Digest
	open   func(context.Context) (io.ReadCloser, error)
	tries  *tries
	watch  *watchdog

	offset int64 // bytes given

	mu     sync.Mutex // Close comes from another goroutine than Read
	body   io.ReadCloser
	closed bool
}

// step is how many bytes more a try must have brought to count as one that got
// further: each begins at the first byte again.
const step = 1 << 20

// newBlobReader asks for the blob at once.
func newBlobReader(ctx context.Context, d digest.Digest, t *tries, watch *watchdog, open func(context.Context) (io.ReadCloser, error)) (*blobReader, error) {
	r := &blobReader{digest: d, tries: t, watch: watch, open: open}
	r.ctx, r.cancel = context.WithCancel(ctx)
	for {
		err := r.reopen()
		if err == nil {
			return r, nil
		}
		if err := r.again(err); err != nil {
			r.cancel()
			return nil, err
		}
	}
}

func (r *blobReader) Read(p []byte) (int, error) {
	for {
		err := r.reopen()
		if err == nil {
			var n int
			n, err = r.body.Read(p)
			r.offset += int64(n)
			if err == io.EOF { //nolint:errorlint // io.Reader's own, never wrapped
				r.watch.has(r.digest)
				return n, err
			}
			if n > 0 || err == nil {
				return n, nil // an error after these comes again with the next call
			}
		}
		if err := r.again(err); err != nil {
			return 0, err
		}
	}
}

// reopen makes sure that there is a body, at the offset.
func (r *blobReader) reopen() error {
	if r.body != nil {
		return nil
	}
	r.watch.reading(r.digest.String())
	body, err := r.open(r.ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.body = body
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return errors.Join(os.ErrClosed, r.drop())
	}
	if _, err := io.CopyN(aliveWriter{r}, body, r.offset); err != nil {
		if err == io.EOF { //nolint:errorlint // io.CopyN's own
			err = io.ErrUnexpectedEOF // it was longer the last time
		}
		return err
	}
	return nil
}

// again waits before the next try, or returns the error that the reading ends with.
func (r *blobReader) again(err error) error {
	_ = r.drop() // it is broken
	r.watch.has(r.digest)
	if r.tries.again(r.ctx, fmt.Errorf("reading the layer %s: %w", r.digest, err), func() int64 { return r.offset / step }) == nil {
		return nil
	}
	if r.ctx.Err() == nil && passing(err) {
		return &usedUpError{err}
	}
	return err
}

func (r *blobReader) drop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.body == nil {
		return nil
	}
	err := r.body.Close()
	r.body = nil
	return err
}

// Close may be called while Read waits, which then ends.
func (r *blobReader) Close() error {
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}

// aliveWriter tells the watchdog of bytes that are dropped.
type aliveWriter struct{ *blobReader }

func (w aliveWriter) Write(p []byte) (int, error) {
	w.watch.alive(w.digest.String(), int64(len(p)), false)
	return len(p), nil
}

// usedUpError is an error after which a blob was tried as often as the user
// wants: the pull around it does not try again.
type usedUpError struct{ error }

func (e *usedUpError) Unwrap() error { return e.error }
