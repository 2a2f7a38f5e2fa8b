package unpack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/chunked"
	"golang.org/x/sys/unix"
)

// Chunked says how the layers are fetched of which only parts need come: such a
// layer lists its files (zstd:chunked), and those that other layers of the store
// have are taken from there. The list of any other layer's files is left in the
// store for the next such layer.
type Chunked struct {
	PullOptions map[string]string // of storage.conf; see containers-storage.conf(5)
	Parts       PartsOpener       // nil: blobs are read whole
	// Like are IDs of layers that have much in common with those to be fetched.
	// Where nobody has listed their files, that is done before anything is fetched.
	Like  []string
	Debug func(text string) // told why a layer comes whole after all
}

const (
	// chunkedMark is the annotation that has the digest of a layer's list.
	chunkedMark = "io.github.containers.zstd-chunked.manifest-checksum"
	// maxDescription bounds a layer's list and its tar-split record, each,
	// compressed and not: the library has both in memory.
	maxDescription = 128 << 20
	// descriptionWindow is how far these may look back.
	descriptionWindow = 8 << 20
)

var errLongDescription = errors.New("the list of its files is too long")

// partly is a store for which parts of layers are fetched, whatever it says
// itself. Layers keep being known by their contents: the option by which they
// need not be is not passed on, nor the one that makes any layer such a one.
type partly struct {
	storage.Store
	options map[string]string
}

// PullOptions implements storage.Store.
func (p *partly) PullOptions() map[string]string { return p.options }

func newPartly(store storage.Store, options map[string]string) *partly {
	return &partly{store, map[string]string{
		"enable_partial_images": "true",
		"use_hard_links":        options["use_hard_links"],
		"ostree_repos":          options["ostree_repos"],
	}}
}

// prepareChunked lists what is like the layers to come, and tells whether there
// is anything to take files from.
func (s *stager) prepareChunked(ctx context.Context) bool {
	for _, id := range s.opts.Chunked.Like {
		if err := s.list(ctx, id); err != nil && ctx.Err() == nil {
			s.opts.Chunked.debug(fmt.Sprintf("the files of layer %s are not listed: %v", id, err))
		}
	}
	return lists(s.store)
}

func (c *Chunked) debug(text string) {
	if c.Debug != nil {
		c.Debug(text)
	}
}

// stageChunked has the library put a layer together out of files of other
// layers and parts of its blob. The library checks each file against the list,
// the list against the manifest, and the tar that comes of both against nothing:
// that is done here. It returns nothing where the layer has to come whole.
func (s *stager) stageChunked(ctx context.Context, index int, l Layer) (*graphdriver.DriverWithDifferOutput, error) {
	c := s.opts.Chunked
	if c == nil || c.Parts == nil || s.spools() || s.ids != nil || l.Annotations[chunkedMark] == "" || !s.listed(ctx) {
		return nil, nil
	}
	is := newListedTree()
	p := &pieces{ctx: ctx, layer: l, open: c.Parts, onRead: func(n int64) {
		if s.opts.OnRead != nil {
			s.opts.OnRead(index, n)
		}
		is.read += n
	}, judge: func(description [][]byte) error { return s.judge(description, is) }}
	output, err := s.assemble(ctx, l, p, is)
	if err == nil {
		return output, nil
	}
	var limit *LimitError
	switch {
	case ctx.Err() != nil:
		return nil, errors.Join(err, context.Cause(ctx))
	case errors.As(err, &limit):
		return nil, fmt.Errorf("layer %d (%s): %w", index+1, l.Digest, err)
	}
	// The blob as a whole decides, and is counted instead.
	c.debug(fmt.Sprintf("layer %s comes whole: %v", l.Digest, err))
	s.bytes.Add(-is.bytes)
	s.entries.Add(-is.entries)
	if s.opts.OnRead != nil {
		s.opts.OnRead(index, -is.read)
	}
	return nil, nil
}

func (s *stager) assemble(ctx context.Context, l Layer, p *pieces, is *listedTree) (*graphdriver.DriverWithDifferOutput, error) {
	library, err := chunked.NewDiffer(ctx, s.partly, l.Digest, l.Size, l.Annotations, p)
	if err != nil {
		return nil, err
	}
	output, err := s.store.PrepareStagedLayer(nil, differ(func(dest string, options *archive.TarOptions, o *graphdriver.DifferOptions) (output graphdriver.DriverWithDifferOutput, err error) {
		to := mannerOf(options)
		if to.mask != nil {
			return output, errors.New("the store gives all files one mode (force_mask)")
		}
		if output, err = library.ApplyDiff(dest, options, o); err == nil {
			err = is.amend(dest, to)
		}
		return output, err
	}))
	if err == nil && output.UncompressedDigest != l.DiffID {
		err = &MismatchError{"DiffID", l.DiffID.String(), output.UncompressedDigest.String()}
	}
	if err == nil {
		err = s.pack(output)
	}
	if err != nil && output != nil && output.Target != "" {
		err = errors.Join(err, s.store.CleanupStagedLayer(output))
	}
	if err = errors.Join(err, library.Close()); err != nil {
		return nil, err
	}
	return output, nil
}

// judge refuses a layer by its description: its list and, with that, its
// tar-split record. Nothing ends the library once it writes a file of zeros.
func (s *stager) judge(description [][]byte, is *listedTree) error {
	var files, chunks int64
	err := decoded(description[0], func(r io.Reader) error {
		return eachListed(r, func(e *described) error {
			if e.Size < 0 || e.ChunkSize < 0 || e.Size > maxSparse || e.ChunkSize > maxSparse {
				return fmt.Errorf("its list names a file of %d bytes, with a part of %d", e.Size, e.ChunkSize)
			}
			files, chunks = files+e.Size, chunks+e.ChunkSize
			is.entries++
			return errors.Join(is.add(e), s.countEntry())
		})
	})
	for _, record := range description[1:] {
		if err == nil {
			err = decoded(record, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
		}
	}
	if err != nil {
		return err
	}
	is.bytes = max(files, chunks)
	if n := s.bytes.Add(is.bytes); s.opts.MaxBytes > 0 && n > s.opts.MaxBytes {
		return &LimitError{"unpacked bytes", s.opts.MaxBytes}
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(s.store.GraphRoot(), &disk); err != nil {
		return err
	}
	if free := disk.Bavail * uint64(disk.Bsize); uint64(is.bytes) > free {
		return fmt.Errorf("its files have %d bytes, and %d are free", is.bytes, free)
	}
	return nil
}

// decoded reads what is compressed with zstd, within the bounds of a description.
func decoded(data []byte, read func(io.Reader) error) error {
	plain, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(descriptionWindow))
	if err != nil {
		return err
	}
	defer plain.Close()
	limited := &io.LimitedReader{R: plain, N: maxDescription + 1}
	if err = read(limited); limited.N == 0 {
		return errLongDescription
	}
	return err
}
