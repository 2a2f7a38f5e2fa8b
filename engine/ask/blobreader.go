package ask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/unpack"
)

// blobReader reads one blob of a registry. Where the connection breaks it asks
// for the rest, so that whoever unpacks it, and those who read others beside,
// need not begin anew. (Before that the library itself asks for the rest, once,
// and after each megabyte.) With a keeper, what it reads is kept for the next
// pull, and what an earlier pull kept is not asked for.
type blobReader struct {
	ctx    context.Context //nolint:containedctx // io.Reader takes none
	cancel context.CancelFunc
	layer  unpack.Layer
	open   openBlob
	tries  *tries
	watch  *Watchdog
	keep   *Keeper // nil: nothing is kept

	part    *store.Partial // nil: nothing is kept of this blob
	resumed int64          // bytes that an earlier pull kept
	offset  int64          // bytes given
	looked  int64          // offset at which the disk was looked at

	mu     sync.Mutex // Close comes from another goroutine than Read
	body   io.ReadCloser
	coming bool // bytes of body may come
	closed bool
}

// openBlob asks for a blob from an offset on. The answer may begin before that,
// at another one.
type openBlob func(ctx context.Context, offset int64) (body io.ReadCloser, at int64, err error)

// step is how many bytes more a try must have brought to count as one that got
// further: each may begin at the first byte again.
const step = 1 << 20

// newBlobReader asks for the blob at once, unless some of it was kept.
func newBlobReader(ctx context.Context, l unpack.Layer, t *tries, watch *Watchdog, keep *Keeper, open openBlob) (*blobReader, error) {
	r := &blobReader{layer: l, tries: t, watch: watch, keep: keep, open: open}
	r.ctx, r.cancel = context.WithCancel(ctx)
	if keep != nil {
		r.part = keep.part(l, watch)
	}
	if r.part != nil {
		r.resumed = r.part.Size()
	}
	for r.resumed == 0 {
		err := r.reopen()
		if err == nil {
			break
		}
		if err := r.again(err); err != nil {
			r.release()
			return nil, err
		}
	}
	return r, nil
}

func (r *blobReader) Read(p []byte) (int, error) {
	if r.offset < r.resumed {
		n, err := r.part.ReadAt(p[:min(int64(len(p)), r.resumed-r.offset)], r.offset)
		r.offset += int64(n)
		if n > 0 || err == nil {
			return n, nil
		}
		return 0, fmt.Errorf("reading what was kept of the layer %s: %w", r.layer.Digest, err)
	}
	for {
		if r.offset == r.resumed && r.resumed == r.layer.Size {
			return 0, io.EOF // all of it was kept
		}
		err := r.reopen()
		if err == nil {
			var n int
			n, err = r.body.Read(p)
			r.take(p[:n])
			if err == io.EOF { //nolint:errorlint // io.Reader's own, never wrapped
				r.watch.Has(r.layer.Digest)
				r.mu.Lock()
				r.came()
				r.mu.Unlock()
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

// take counts bytes that came, and keeps them.
func (r *blobReader) take(p []byte) {
	r.offset += int64(len(p))
	if r.part == nil || len(p) == 0 {
		return
	}
	err := r.part.Append(p)
	if err == nil && r.offset-r.looked >= keepPoll {
		r.looked = r.offset
		// No more is kept than beside what has to come anyway has room.
		if disk, diskErr := store.DiskOf(r.keep.w.Root()); diskErr != nil || disk.Free <= disk.Reserve() {
			err = errors.New("the disk has no room for it")
		}
	}
	if err != nil {
		r.keep.asker.debug(fmt.Sprintf("nothing is kept of the layer %s: %v", r.layer.Digest, err))
		r.part = nil
		r.keep.drop(r.layer.Digest, r.watch)
	}
}

// GiveUp implements unpack.Resumed.
func (r *blobReader) GiveUp() bool {
	if r.part != nil {
		r.keep.drop(r.layer.Digest, r.watch)
	}
	if r.resumed > 0 {
		r.keep.asker.debug(fmt.Sprintf("layer %s: what was kept of it does not fit, it is read anew", r.layer.Digest))
	}
	return r.resumed > 0
}

// reopen makes sure that there is a body, at the offset.
func (r *blobReader) reopen() error {
	if r.body != nil {
		return nil
	}
	r.watch.reading(r.layer.Digest.String())
	body, at, err := r.open(r.ctx, r.offset)
	if err != nil {
		return err
	}
	r.watch.answers.blob(1)
	r.mu.Lock()
	r.body, r.coming = body, true
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return errors.Join(os.ErrClosed, r.drop())
	}
	alive := told(func(n int64) { r.watch.Alive(r.layer.Digest.String(), n, false) })
	if _, err := io.CopyN(alive, body, r.offset-at); err != nil {
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
	r.watch.Has(r.layer.Digest)
	if r.tries.again(r.ctx, fmt.Errorf("reading the layer %s: %w", r.layer.Digest, err), func() int64 { return r.offset / step }) == nil {
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
	r.came()
	err := r.body.Close()
	r.body = nil
	return err
}

// came says that nothing more comes of the answer. mu is held.
func (r *blobReader) came() {
	if r.coming {
		r.coming = false
		r.watch.answers.blob(-1)
	}
}

// release ends what newBlobReader began, where it returns no reader.
func (r *blobReader) release() {
	r.cancel()
	if r.part != nil {
		r.keep.release(r.layer.Digest, r.watch)
	}
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
	r.came()
	return r.body.Close()
}

// usedUpError is an error after which a blob was tried as often as the user
// wants: the pull around it does not try again.
type usedUpError struct{ error }

// UsedUp returns err as one after which nothing is tried again.
func UsedUp(err error) error { return &usedUpError{err} }

func (e *usedUpError) Unwrap() error { return e.error }
