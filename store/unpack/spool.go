package unpack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sync/errgroup"
)

// Library is what is needed to have the library unpack layers, where the driver
// cannot stage them.
type Library struct {
	// Spool returns an empty file, which nobody finds and which goes when it is closed.
	Spool func() (*os.File, error)
	// Tar opens the tar of a layer of the store.
	Tar func(ctx context.Context, id string) (io.ReadCloser, error)
	// Put unpacks a layer and makes sure that it could be read back. intact tells
	// of the directory that has its files, without reading them, that they are
	// what the tar says; where it does not, they may be.
	Put func(ctx context.Context, id, parent string, options *storage.LayerOptions, tar io.Reader, intact func(dir string) bool) error
	// Commit makes layers of the store out of staged ones, several at once. It
	// tells for each whether it did, which it does not where the store has the
	// layer, nor of those from the first on that fails. Nil leaves layers to the
	// library, one after the other.
	Commit func(ctx context.Context, layers []*Ready) (made []bool, err error)
	// Room limits the bytes of all sparse files: what is free on the disk.
	Room int64
}

// spools tells that a layer is staged as a file, out of which the library unpacks it.
func (s *stager) spools() bool { return s.survey != nil }

// spooled is a layer in a file, checked and surveyed.
type spooled struct {
	file *os.File // as it came, or the tar of its twin
	size int64    // of the blob; negative when it is not known
	inventory
}

func (s *spooled) close() {
	s.forget()
	_ = s.file.Close() // it has no name: nothing is lost
}

// spool writes a layer to a file on its way through the survey, so that one
// reading shows all that has to be known before the library unpacks it.
func (s *stager) spool(ctx context.Context, index int, l Layer, feed feed) (_ *spooled, err error) {
	file, err := s.opts.Library.Spool()
	if err != nil {
		return nil, err
	}
	made := &spooled{file: file, size: l.Size}
	defer func() {
		if err != nil {
			made.close()
		}
	}()
	_, err = s.pipe(ctx, l, feed, file, func(ctx context.Context, tar io.Reader) error {
		return s.look(ctx, tar, &made.inventory)
	})
	if err != nil {
		return nil, fmt.Errorf("layer %d (%s): %w", index+1, l.Digest, err)
	}
	return made, nil
}

// look surveys a tar, and notes what is in it.
func (s *stager) look(ctx context.Context, tar io.Reader, in *inventory) error {
	buffered := bufio.NewReaderSize(tar, copyBuffer)
	if head, _ := buffered.Peek(10); archive.DetectCompression(head) != archive.Uncompressed {
		return &UnsupportedError{Reason: "the library would take its tar for a compressed one"}
	}
	p := &passage{in: buffered, out: io.Discard, inventory: inventory{names: &s.survey.names}}
	err := s.survey.walk(ctx, &tally{p, s.survey}, p)
	*in = p.inventory
	if err != nil && ctx.Err() != nil {
		return errStopped
	}
	return refuse("reading tar", err)
}

// put has the library unpack a layer, unless another process has made it. It
// is decompressed beside that, by what decompressed it before: the library sees
// the bytes that were surveyed and no others, and no more of them when ctx ends.
func (f *fetcher) put(ctx context.Context, i int, made staged) (applied bool, err error) {
	from := made.spooled
	defer from.close()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if f.whole(i) {
		return false, nil
	}
	if _, err := from.file.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	options := &storage.LayerOptions{OriginalDigest: f.layers[i].Digest, UncompressedDigest: f.layers[i].DiffID}
	if from.size >= 0 {
		options.OriginalSize = &from.size
	}
	parent := ""
	if i > 0 {
		parent = f.chain[i-1]
	}
	group, reading := errgroup.WithContext(ctx)
	reading, stop := context.WithCancel(reading)
	tar := newStream(reading, f.chunks, 1)
	group.Go(func() error {
		return f.decompress(reading, i, from.file, tar, func([]byte) error { return nil })
	})
	err = f.opts.Library.Put(ctx, f.chain[i], parent, options, tar.readers[0], from.intact)
	stop()
	if failed := group.Wait(); err != nil && failed != nil && !errors.Is(failed, errStopped) {
		err = failed
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, storage.ErrDuplicateID):
		return false, nil
	case err != nil:
		return false, f.parentGone(i, err)
	}
	return true, nil
}
