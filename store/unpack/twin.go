package unpack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/vbatts/tar-split/tar/asm"
	splitstorage "github.com/vbatts/tar-split/tar/storage"
	graphdriver "go.podman.io/storage/drivers"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// stageTwin unpacks a layer out of one that the store made from the same blob
// and that has other layers below it, so that the blob need not come again. It
// returns nothing where there is none, and where that one cannot be read or is
// damaged: then the blob is fetched after all, and counts against the limits
// once more.
func (s *stager) stageTwin(ctx context.Context, index int, l Layer) (*graphdriver.DriverWithDifferOutput, error) {
	twin := s.twin(l)
	if twin == "" {
		return nil, nil
	}
	output, err := s.fill(index, l, func(dest, scratch string) (graphdriver.DriverWithDifferOutput, error) {
		return s.unpack(ctx, l, dest, scratch, s.reread(twin))
	})
	var limit *LimitError
	var unsupported *UnsupportedError
	switch {
	case ctx.Err() != nil:
		return output, errors.Join(err, context.Cause(ctx))
	case errors.As(err, &limit), errors.As(err, &unsupported):
		return nil, err
	}
	return output, nil // nil after other errors
}

// twin returns the ID of a layer of the store that was made from the blob of l,
// "" when there is none. Its record says so: both digests were checked when it
// was made.
func (s *stager) twin(l Layer) string {
	layers, err := s.store.LayersByUncompressedDigest(l.DiffID)
	if err != nil {
		return ""
	}
	for _, t := range layers {
		if t.CompressedDigest == l.Digest && len(t.UIDMap) == 0 && len(t.GIDMap) == 0 {
			return t.ID
		}
	}
	return ""
}

// reread feeds the tar of a layer of the store, put together again from its
// files and its tar-split record. The library's own way to do so holds the lock
// on all layers meanwhile, follows ".." out of the layer, and waits for a FIFO.
func (s *stager) reread(id string) feed {
	return func(_ context.Context, group *errgroup.Group, layer *stream) (stop, verify func() error, err error) {
		driver, err := s.store.GraphDriver()
		if err != nil {
			return nil, nil, err
		}
		metadata, err := driver.Metadata(id)
		if err != nil {
			return nil, nil, err
		}
		record, err := os.Open(filepath.Join(s.store.GraphRoot(), driver.String()+"-layers", id+".tar-split.gz"))
		if err != nil {
			return nil, nil, err
		}
		plain, err := newGzip(bufio.NewReaderSize(record, copyBuffer))
		if err != nil {
			return nil, nil, errors.Join(err, record.Close())
		}
		files, err := openTree(metadata["UpperDir"])
		if err != nil {
			return nil, nil, errors.Join(err, plain.Close(), record.Close())
		}
		tar, write := io.Pipe()
		group.Go(func() error {
			defer files.close()
			defer plain.Close()
			err := asm.WriteOutputTarStream(treeFiles{files}, splitstorage.NewJSONUnpacker(plain), write)
			return write.CloseWithError(err) // nil
		})
		group.Go(func() error { return layer.fill(tar, s.countBytes) })
		stop = func() error { return errors.Join(tar.Close(), record.Close()) }
		return stop, func() error { return nil }, nil
	}
}

// treeFiles opens the files of a layer for tar-split.
type treeFiles struct{ *tree }

// Get implements storage.FileGetter of tar-split. What a later entry of the
// same layer put in a file's place is not opened.
func (t treeFiles) Get(name string) (io.ReadCloser, error) {
	dir, base := split(name)
	parent, err := t.open(dir)
	if err != nil {
		return nil, err
	}
	e := entry{parent, base}
	if st, err := e.lstat(); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("%s is no file: %w", name, errors.Join(err, os.ErrInvalid))
	}
	// Should it be another one by now, it is one that does not block.
	fd, err := unix.Openat(parent, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "openat", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}
