package unpack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/vbatts/tar-split/tar/asm"
	splitstorage "github.com/vbatts/tar-split/tar/storage"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/store/inflate"
)

// Tar opens the tar of a layer of the store, put together again from the
// directory of its files and its tar-split record. It is the one way in which
// mpull reads a layer back. Whatever lies in the directory, reading stays inside
// it, opens regular files only, takes no more of each than the record says, and
// ends with ctx: the library's own way holds the lock on all layers meanwhile,
// follows ".." and links out of the layer, and waits for a FIFO.
//
// Whether the bytes are those that were unpacked, their digest tells.
func Tar(ctx context.Context, dir, record string) (io.ReadCloser, error) {
	return tarIn(ctx, dir, record, nil)
}

// tarIn is Tar of files that lie in the directory where place tells, nil under
// their names.
func tarIn(ctx context.Context, dir, record string, place func(name string) string) (io.ReadCloser, error) {
	f, err := os.Open(record)
	if err != nil {
		return nil, err
	}
	files, err := openTree(dir)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	plain, err := inflate.NewReader(bufio.NewReaderSize(f, copyBuffer))
	if err != nil {
		files.close()
		return nil, errors.Join(fmt.Errorf("reading the tar-split record: %w", err), f.Close())
	}
	read, write := io.Pipe()
	t := &tarReader{PipeReader: read, done: make(chan struct{})}
	t.stop = context.AfterFunc(ctx, func() { _ = write.CloseWithError(context.Cause(ctx)) })
	go func() {
		defer close(t.done)
		defer f.Close()
		defer files.close()
		r := &rereader{tree: files, Unpacker: splitstorage.NewJSONUnpacker(plain), out: holes{out: write}, lossy: &t.lossy, place: place}
		_ = write.CloseWithError(asm.WriteOutputTarStream(r, r, &r.out)) // always nil
	}()
	return t, nil
}

// tarReader is a tar that is being put together.
type tarReader struct {
	*io.PipeReader
	stop  func() bool
	done  chan struct{}
	lossy atomic.Bool
}

// Lossy tells of a tar that was opened by Tar and read to its end whether it has
// a sparse file whose map its record lacks (GNU tar's PAX format 1.0, which has
// the map among the contents). The files are what they were, by their checksums,
// and yet the tar is another one.
func Lossy(tar io.Reader) bool {
	t, ok := tar.(*tarReader)
	return ok && t.lossy.Load()
}

// Close ends a Read in progress and waits until all files are closed.
func (t *tarReader) Close() error {
	t.stop()
	err := t.PipeReader.Close()
	<-t.done
	return err
}

// rereader hands tar-split the entries of a record and the files that they name.
type rereader struct {
	*tree
	splitstorage.Unpacker
	size    int64 // of the file that tar-split asks for next
	headers headers
	out     holes // what tar-split writes to
	lossy   *atomic.Bool
	place   func(name string) string // nil: under its name
}

// Next implements storage.Unpacker of tar-split.
func (r *rereader) Next() (*splitstorage.Entry, error) {
	e, err := r.Unpacker.Next()
	if err != nil {
		return e, err
	}
	r.size, r.out.file = e.Size, false
	if e.Type == splitstorage.SegmentType {
		r.headers.add(e.Payload)
		return e, nil
	}
	spans, sparse, ok := r.headers.end(e.Size)
	r.out.file, r.out.spans, r.out.at = sparse, spans, 0
	if !ok {
		r.lossy.Store(true)
	}
	return e, nil
}

// Get implements storage.FileGetter of tar-split. What a later entry of the
// same layer, or somebody else, put in a file's place is not read.
func (r *rereader) Get(name string) (io.ReadCloser, error) {
	if r.place != nil {
		name = r.place(name)
	}
	dir, base := split(name)
	parent, err := r.open(dir)
	if err != nil {
		return nil, err
	}
	e := entry{parent, base}
	st, err := e.lstat()
	if err != nil {
		return nil, &os.PathError{Op: "lstat", Path: name, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != r.size {
		return nil, fmt.Errorf("%q is no longer the file of %d bytes that it was", name, r.size)
	}
	// Should it be another one by now, it is one that does not block.
	fd, err := unix.Openat(parent, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "openat", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, r.size), f}, nil
}
