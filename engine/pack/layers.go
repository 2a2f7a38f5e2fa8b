package pack

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
	"golang.org/x/sync/errgroup"

	"github.com/mpull/mpull/engine/archive"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/unpack"
)

// packing compresses the layers of one image for an archive: as their originals
// were, where that can be found out.
//
// The smallest layer tells. Where no compressor gives its original, the manifest
// is another one anyway, and nothing more is guessed. Else the others are
// compressed in the same way, and otherwise only as long as all smaller ones
// could be made again. What becomes of a layer depends on the image alone, not
// on which is ready first.
type packing struct {
	*saving
	packs []*pack // smallest first, each blob once
	best  string  // the compressor of the smallest layer, "" when that is lost
}

// pack is one layer on its way.
type pack struct {
	id     string
	diffID digest.Digest
	info   manifest.LayerInfo
	size   int64 // uncompressed

	ready chan struct{} // closed when what follows is set
	fits  bool          // the blob is the original
	blob  imgspecv1.Descriptor
	file  *os.File // of the blob; nil when it is in the archive already
	err   error
}

// layers writes the layers of an image and returns their descriptors, bottom
// first.
func (w *saving) layers(ctx context.Context, img *store.Image, p *parts) (_ []imgspecv1.Descriptor, err error) {
	pk := &packing{saving: w}
	infos := p.manifest.LayerInfos()
	byKey := map[blobKey]*pack{}
	for i, info := range infos {
		key := blobKey{img.Config.DiffIDs[i], info.Digest}
		if byKey[key] == nil {
			byKey[key] = &pack{id: p.chain[i].ID, diffID: key.diffID, info: info, size: p.chain[i].UncompressedSize, ready: make(chan struct{})}
			pk.packs = append(pk.packs, byKey[key])
		}
	}
	slices.SortStableFunc(pk.packs, func(a, b *pack) int { return cmp.Compare(a.size, b.size) })
	if err := pk.run(ctx); err != nil {
		return nil, err
	}
	out := make([]imgspecv1.Descriptor, len(infos))
	for i, info := range infos {
		out[i] = byKey[blobKey{img.Config.DiffIDs[i], info.Digest}].blob
	}
	return out, nil
}

// run packs all layers, several at a time, and writes them in their order.
func (p *packing) run(ctx context.Context) (err error) {
	todo := slices.Clone(p.packs)
	for _, l := range p.packs {
		if p.known(l) {
			todo = slices.DeleteFunc(todo, func(t *pack) bool { return t == l })
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	places := make(chan struct{}, packsAtOnce()) // until a layer is in the archive
	defer func() {
		cancel()
		_ = group.Wait() // its errors are those of the layers
		for _, l := range todo {
			if l.file != nil {
				err = errors.Join(err, l.file.Close())
			}
		}
	}()
	if err := p.guess(ctx, todo); err != nil {
		return err
	}
	guessed := make([]bool, len(todo))
	for n, l := range todo {
		guessed[n] = l.fits
	}
	started := make(chan struct{})
	go func() {
		defer close(started)
		for n, l := range todo {
			if guessed[n] {
				continue
			}
			select {
			case places <- struct{}{}:
				group.Go(func() error { return p.pack(ctx, l, todo[:n]) })
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() {
		cancel()
		<-started
	}()
	for n, l := range todo {
		select {
		case <-l.ready:
		case <-ctx.Done():
			<-started
			if err := group.Wait(); err != nil {
				return err
			}
			return context.Cause(ctx)
		}
		if err := p.write(l); err != nil {
			return err
		}
		if !guessed[n] {
			<-places
		}
	}
	return nil
}

// packsAtOnce is how many layers are compressed, or wait to be written, at the
// same time.
func packsAtOnce() int { return runtime.NumCPU() }

// known takes a layer that an image before had too.
func (p *packing) known(l *pack) bool {
	l.blob = imgspecv1.Descriptor{MediaType: ociLayerType(l.info.MediaType), Digest: l.info.Digest, Size: l.info.Size}
	d, ok := p.blobs[blobKey{l.diffID, l.info.Digest}]
	switch {
	case ok:
		l.blob = d
	case !p.out.Has(l.info.Digest):
		return false
	}
	l.fits = l.blob.Digest == l.info.Digest
	close(l.ready)
	return true
}

// guess finds out how the smallest layers were compressed: with all compressors
// at the same time, and with more layers as long as several give the original,
// as they may of a tiny one.
func (p *packing) guess(ctx context.Context, todo []*pack) error {
	var names []string // that gave the original of each layer so far
	for n, l := range todo {
		candidates := archive.Compressors(l.info.MediaType)
		if n > 0 {
			candidates = slices.DeleteFunc(candidates, func(c archive.Compressor) bool { return !slices.Contains(names, c.Name) })
		}
		fitting, err := p.tryAll(ctx, l, candidates)
		if err != nil || len(fitting) == 0 {
			return err
		}
		close(l.ready)
		names, p.best = fitting, fitting[0]
		if len(fitting) == 1 {
			return nil
		}
	}
	return nil
}

// tellingSize is from which size on no two compressors give the same.
const tellingSize = 1 << 20

// tryAll compresses a layer with each of the compressors, and returns the names
// of those that give the original. It is packed then.
func (p *packing) tryAll(ctx context.Context, l *pack, candidates []archive.Compressor) (fitting []string, err error) {
	files := make([]*os.File, len(candidates))
	var group errgroup.Group
	group.SetLimit(packsAtOnce())
	trying, found := context.WithCancel(ctx)
	defer found()
	for n, c := range candidates {
		group.Go(func() (err error) {
			files[n], err = p.original(trying, l, c)
			switch {
			case files[n] != nil && l.size >= tellingSize:
				found()
			case ctx.Err() == nil && trying.Err() != nil:
				err = nil // another one is the right one
			}
			return err
		})
	}
	err = group.Wait()
	for n, f := range files {
		switch {
		case f == nil:
			continue
		case l.file == nil && err == nil:
			l.file, l.fits = f, true
		default:
			err = errors.Join(err, f.Close())
		}
		fitting = append(fitting, candidates[n].Name)
	}
	return fitting, err
}

// pack compresses one layer; smaller are those before it.
func (p *packing) pack(ctx context.Context, l *pack, smaller []*pack) error {
	defer close(l.ready)
	l.err = p.packAs(ctx, l, smaller)
	return l.err
}

func (p *packing) packAs(ctx context.Context, l *pack, smaller []*pack) (err error) {
	for n, c := range p.candidates(l) {
		if n > 0 && !allFit(smaller) {
			break
		}
		if l.file, err = p.original(ctx, l, c); err != nil || l.file != nil {
			l.fits = l.file != nil
			return err
		}
	}
	l.file, l.blob, err = p.spooled(ctx, l, archive.Fallback(), 0)
	l.blob.MediaType = imgspecv1.MediaTypeImageLayerGzip
	return err
}

// candidates are the compressors to try with a layer: none when the smallest
// layer is lost, else first what gave that.
func (p *packing) candidates(l *pack) []archive.Compressor {
	if p.best == "" {
		return nil
	}
	all := archive.Compressors(l.info.MediaType)
	slices.SortStableFunc(all, func(a, b archive.Compressor) int {
		switch p.best {
		case a.Name:
			return -1
		case b.Name:
			return 1
		}
		return 0
	})
	return all
}

// allFit waits for layers, and tells whether all could be made again.
func allFit(packs []*pack) bool {
	fit := true
	for _, l := range packs {
		<-l.ready
		fit = fit && l.fits
	}
	return fit
}

// original compresses a layer into a temporary file; nil when that is not the
// original.
func (p *packing) original(ctx context.Context, l *pack, c archive.Compressor) (*os.File, error) {
	file, blob, err := p.spooled(ctx, l, c, l.info.Size)
	if errors.Is(err, errTooLong) {
		return nil, nil
	}
	if err == nil && blob.Digest != l.info.Digest {
		return nil, file.Close()
	}
	return file, err
}

// spooled compresses a layer into a temporary file. Where most is not 0, it
// gives up with errTooLong once that has more bytes.
func (p *packing) spooled(ctx context.Context, l *pack, c archive.Compressor, most int64) (file *os.File, blob imgspecv1.Descriptor, err error) {
	if file, err = p.spool(); err != nil {
		return nil, blob, err
	}
	sum := digest.Canonical.Digester()
	pieces := bufio.NewWriterSize(io.MultiWriter(file, sum.Hash()), pieceSize) // Go's gzip writes 240 bytes at a time
	to := &shortWriter{pieces, 0, most}
	if err := errors.Join(p.compress(ctx, to, l.id, l.diffID, c), pieces.Flush()); err != nil {
		return nil, blob, errors.Join(err, file.Close())
	}
	blob.Digest, blob.Size = sum.Digest(), to.n
	return file, blob, nil
}

// pieceSize is in how many bytes at a time a compressed layer is written.
const pieceSize = 64 << 10

// errTooLong says that a compressor is not the one of the original.
var errTooLong = errors.New("longer than the original")

// shortWriter counts bytes, and takes no more than most unless that is 0.
type shortWriter struct {
	io.Writer
	n, most int64
}

func (w *shortWriter) Write(p []byte) (int, error) {
	if w.n += int64(len(p)); w.most > 0 && w.n > w.most {
		return 0, errTooLong
	}
	return w.Writer.Write(p)
}

// write puts a layer that is packed into the archive.
func (p *packing) write(l *pack) error {
	if l.err != nil {
		return l.err
	}
	p.blobs[blobKey{l.diffID, l.info.Digest}] = l.blob
	if _, err := l.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	err := p.out.Blob(l.blob.Digest, l.blob.Size, l.file)
	err = errors.Join(err, l.file.Close())
	l.file = nil
	return err
}

// compress writes the compressed tar of a layer, after whose last byte it is
// known to be the one that was unpacked.
func (p *packing) compress(ctx context.Context, to io.Writer, id string, diffID digest.Digest, c archive.Compressor) (err error) {
	tar, err := p.s.LayerTar(ctx, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tar.Close()) }()
	z, err := c.New(to)
	if err != nil {
		return err
	}
	sum := digest.Canonical.Digester()
	_, err = io.Copy(io.MultiWriter(z, sum.Hash()), tar)
	if err := errors.Join(err, z.Close()); err != nil {
		return fmt.Errorf("compressing layer %s: %w", id, err)
	}
	if unpack.Lossy(tar) {
		return fmt.Errorf("layer %s cannot be saved: %w", id, store.ErrSparse)
	}
	if sum.Digest() != diffID {
		return fmt.Errorf("layer %s is damaged: its tar has the digest %s, not %s", id, sum.Digest(), diffID)
	}
	return nil
}
