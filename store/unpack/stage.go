package unpack

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// stager turns blobs into staged layers. Its methods may run at the same time.
type stager struct {
	store   storage.Store
	open    Opener
	opts    Options
	chunks  *sync.Pool
	packers *sync.Pool          // of gzip.Writer, for records
	ids     *idtools.IDMappings // of the owners of files
	survey  *Survey             // of layers that the library unpacks; nil where the driver stages them
	commits bool                // staged layers go to Library.Commit
	bytes   atomic.Int64        // unpacked so far, all layers
	entries atomic.Int64

	partly *partly                    // with Chunked
	listed func(context.Context) bool // there is something to take files from
}

// differ lets a function fill the staging directory that the driver makes.
type differ func(dest string, options *archive.TarOptions, differ *graphdriver.DifferOptions) (graphdriver.DriverWithDifferOutput, error)

// ApplyDiff implements graphdriver.Differ.
func (d differ) ApplyDiff(dest string, options *archive.TarOptions, differ *graphdriver.DifferOptions) (graphdriver.DriverWithDifferOutput, error) {
	return d(dest, options, differ)
}

// Close implements graphdriver.Differ.
func (d differ) Close() error { return nil }

// staged is a layer that waits to be applied or given to CleanupStagedLayer, or
// to be unpacked by the library.
type staged struct {
	*graphdriver.DriverWithDifferOutput
	spooled *spooled
	fetched bool // from where the opener reads, not from the store
}

// prepare stages what feed writes.
func (s *stager) prepare(ctx context.Context, index int, l Layer, feed feed) (made staged, err error) {
	if s.spools() {
		made.spooled, err = s.spool(ctx, index, l, feed)
		return made, err
	}
	made.DriverWithDifferOutput, err = s.fill(index, l, func(to target) (graphdriver.DriverWithDifferOutput, error) {
		return s.unpack(ctx, l, to, feed)
	})
	return made, err
}

// stage unpacks one layer: out of the store where that has the blob already,
// on top of other layers, else by fetching it. No store lock is held meanwhile.
func (s *stager) stage(ctx context.Context, index int, l Layer) (staged, error) {
	if made, ok, err := s.stageTwin(ctx, index, l); ok || err != nil {
		return made, err
	}
	if output, err := s.stageChunked(ctx, index, l); output != nil || err != nil {
		return staged{DriverWithDifferOutput: output, fetched: true}, err
	}
	for {
		var got blobRead
		made, err := s.prepare(ctx, index, l, s.fetch(index, l, &got))
		if err == nil || ctx.Err() != nil || !got.doubtful(err) {
			made.fetched = true
			return made, err
		}
		if s.opts.OnRead != nil {
			s.opts.OnRead(index, -got.size)
		}
	}
}

// blobRead is what was read of where the opener reads.
type blobRead struct {
	body io.ReadCloser
	size int64
}

// doubtful tells whether an error may come of bytes that were kept from an
// earlier reading. They are forgotten then.
func (b *blobRead) doubtful(err error) bool {
	kept, ok := b.body.(Resumed)
	return ok && (errors.As(err, new(*MismatchError)) || errors.As(err, new(*UnsupportedError)) || errors.As(err, new(*LimitError))) && kept.GiveUp()
}

// target is where and how the driver wants the files of a layer.
type target struct {
	dest, scratch string // a directory of its own, and one for other files beside it
	manner
}

// fill has the driver make a staging directory, and fills that.
func (s *stager) fill(index int, l Layer, unpack func(target) (graphdriver.DriverWithDifferOutput, error)) (*graphdriver.DriverWithDifferOutput, error) {
	var options graphdriver.ApplyDiffWithDifferOpts
	options.Mappings = s.ids
	output, err := s.store.PrepareStagedLayer(&options, differ(
		func(dest string, options *archive.TarOptions, differ *graphdriver.DifferOptions) (graphdriver.DriverWithDifferOutput, error) {
			if differ == nil || differ.Format != graphdriver.DifferOutputFormatDir {
				return graphdriver.DriverWithDifferOutput{}, &UnsupportedError{Reason: "the driver does not store plain directories"}
			}
			return unpack(target{dest, differ.StagingDirectory, mannerOf(options)})
		}))
	if err == nil {
		return output, nil
	}
	if output != nil && output.Target != "" {
		err = errors.Join(err, s.store.CleanupStagedLayer(output))
	}
	return nil, fmt.Errorf("layer %d (%s): %w", index+1, l.Digest, err)
}

// feed starts what writes a layer's tar into a stream, and what was read for
// that, as it came, to tee. It returns what ends that early, and what is to be
// verified when all of it was written.
type feed func(ctx context.Context, group *errgroup.Group, layer *stream, tee io.Writer) (stop func() error, verify func() error, err error)

// pipe runs the pipeline of one layer: write its tar, hash it, and take it, each
// in its own goroutine. What is read for it goes to tee too. It returns the size
// of the tar.
func (s *stager) pipe(ctx context.Context, l Layer, feed feed, tee io.Writer, take func(context.Context, io.Reader) error) (size int64, err error) {
	group, ctx := errgroup.WithContext(ctx)
	layer := newStream(ctx, s.chunks, 2)
	stop, verify, err := feed(ctx, group, layer, tee)
	if err != nil {
		return 0, err
	}
	stop = sync.OnceValue(stop)
	defer func() { err = errors.Join(err, stop()) }()
	// Closing is what ends a Read in progress.
	defer context.AfterFunc(ctx, func() { _ = stop() })()

	hash := sha256.New()
	group.Go(func() (err error) {
		size, err = layer.readers[0].WriteTo(hash)
		return err
	})
	group.Go(func() error { return take(ctx, layer.readers[1]) })
	if err := group.Wait(); err != nil {
		return size, err
	}
	return size, errors.Join(verify(), same("DiffID", l.DiffID, hash))
}

// unpack has a layer unpacked.
func (s *stager) unpack(ctx context.Context, l Layer, to target, feed feed) (out graphdriver.DriverWithDifferOutput, err error) {
	record, err := s.newRecord(to.scratch)
	if err != nil {
		return out, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, record.file.Close())
		}
	}()
	var recorded int64
	size, err := s.pipe(ctx, l, feed, io.Discard, func(_ context.Context, tar io.Reader) (err error) {
		recorded, err = s.untar(tar, to, record, &out)
		return err
	})
	if err != nil {
		return out, err
	}
	if out.TarSplit, err = s.finish(record); err != nil {
		return out, err
	}
	out.Size = size
	out.CompressedDigest, out.UncompressedDigest = l.Digest, l.DiffID
	if recorded != size {
		return out, refuse("recording", fmt.Errorf("it ends within its last block: %w", errTorn))
	}
	return out, nil
}

// fetch feeds what the opener reads: it hashes the blob and decompresses it.
func (s *stager) fetch(index int, l Layer, got *blobRead) feed {
	return func(ctx context.Context, group *errgroup.Group, layer *stream, tee io.Writer) (stop, verify func() error, err error) {
		body, err := s.open(ctx, l)
		if err != nil {
			return nil, nil, err
		}
		got.body = body
		blob, hash := newStream(ctx, s.chunks, 1), sha256.New()
		group.Go(func() (err error) {
			got.size, err = s.readBlob(index, l, body, blob, io.MultiWriter(hash, tee))
			return err
		})
		group.Go(func() error { return s.decompress(ctx, index, blob.readers[0], layer, s.countBytes) })
		return body.Close, func() error {
			if l.Size >= 0 && got.size != l.Size {
				return &MismatchError{"blob size", fmt.Sprint(l.Size), fmt.Sprint(got.size)}
			}
			return same("blob digest", l.Digest, hash)
		}, nil
	}
}

// Nameless returns an empty file without a name in a directory.
func Nameless(dir string) (*os.File, error) {
	if f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600); err == nil {
		return f, nil
	}
	// The file system cannot make one: it has a name for a moment.
	f, err := os.CreateTemp(dir, ".mpull-spool-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (s *stager) readBlob(index int, l Layer, body io.Reader, to *stream, as io.Writer) (size int64, err error) {
	err = to.fill(body, func(p []byte) error {
		size += int64(len(p))
		if l.Size >= 0 && size > l.Size {
			return &MismatchError{"blob size", fmt.Sprint(l.Size), "larger"}
		}
		if s.opts.OnRead != nil {
			s.opts.OnRead(index, int64(len(p)))
		}
		_, err := as.Write(p)
		return err
	})
	return size, err
}

func (s *stager) decompress(ctx context.Context, index int, blob io.Reader, to *stream, each func([]byte) error) error {
	plain, err := decompress(blob, func(window int64) (func(), error) {
		return s.opts.Group.window(ctx, window, func(waits bool) {
			if s.opts.OnWait != nil {
				s.opts.OnWait(index, waits)
			}
		})
	})
	if err != nil {
		return refuse("decompressing", err)
	}
	defer plain.Close()
	if err := to.fill(plain, each); err != nil {
		return refuse("decompressing", err)
	}
	// A decoder may be content before its input ends; the blob's digest
	// covers all of it.
	_, err = io.Copy(io.Discard, blob)
	return err
}

func (s *stager) countBytes(p []byte) error {
	return count(&s.bytes, int64(len(p)), "unpacked bytes", s.opts.MaxBytes)
}

// untar returns how many bytes of the tar are in the record or in a file.
func (s *stager) untar(tar io.Reader, to target, record io.Writer, out *graphdriver.DriverWithDifferOutput) (int64, error) {
	tree, err := openTree(to.dest)
	if err != nil {
		return 0, err
	}
	defer tree.close()
	if err := to.own(tree.root); err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(record, chunkSize)
	u := newUntarrer(tar, tree, to.manner, w, s.countEntry)
	if s.opts.Chunked != nil {
		u.list = &lister{}
	}
	if err := u.run(); err != nil {
		return 0, err
	}
	out.UIDs, out.GIDs = slices.Sorted(maps.Keys(u.uids)), slices.Sorted(maps.Keys(u.gids))
	out.RootDirMode = to.rootMode(u.files.root)
	if u.list != nil {
		data, err := u.list.data()
		if err != nil {
			return 0, err
		}
		if data != nil {
			out.BigData = map[string][]byte{ListKey: data}
		}
	}
	return u.recorded, w.Flush()
}

func (s *stager) countEntry() error { return count(&s.entries, 1, "entries", s.opts.MaxEntries) }

func same(what string, want digest.Digest, h hash.Hash) error {
	if got := digest.NewDigest(digest.SHA256, h); got != want {
		return &MismatchError{what, want.String(), got.String()}
	}
	return nil
}

// inherit gives a staged layer without an entry for its root the owner that
// PutLayer gives it, the one of the layer below. The driver itself takes care
// of the mode, but where an attribute of the layer below says what was meant.
func inherit(driver graphdriver.Driver, output *graphdriver.DriverWithDifferOutput, parent string) error {
	if parent == "" || output.RootDirMode != nil {
		return nil
	}
	metadata, err := driver.Metadata(parent)
	if err != nil {
		return err
	}
	if meant, err := idtools.GetContainersOverrideXattr(metadata["UpperDir"]); err == nil {
		output.RootDirMode = &meant.Mode
		return errors.Join(os.Chown(output.Target, meant.IDs.UID, meant.IDs.GID), os.Chmod(output.Target, meant.Mode))
	}
	below, err := os.Stat(metadata["UpperDir"])
	if err != nil {
		return err
	}
	owner := below.Sys().(*syscall.Stat_t)
	return os.Chown(output.Target, int(owner.Uid), int(owner.Gid))
}
