package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"

	"github.com/mpull/mpull/engine/archive"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
	"github.com/mpull/mpull/store/unpack"
)

// blobKey is a layer as a manifest has it: the same tar may come from several
// compressed blobs.
type blobKey struct{ diffID, original digest.Digest }

// layers writes the layers of an image and returns their descriptors, bottom
// first.
//
// Whether the original blobs can be made again is found out with the smallest
// layer first: one that cannot makes the manifest another one anyway, so of the
// rest only what the last layer's compressor gives is looked at.
func (w *saving) layers(ctx context.Context, img *store.Image, p *parts) (_ []imgspecv1.Descriptor, err error) {
	infos, chain := p.manifest.LayerInfos(), p.chain
	order := make([]int, len(infos))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(chain[a].UncompressedSize, chain[b].UncompressedSize) })
	out := make([]imgspecv1.Descriptor, len(infos))
	lost := false
	for _, i := range order {
		key := blobKey{img.Config.DiffIDs[i], infos[i].Digest}
		d, known := w.blobs[key]
		if !known {
			if d, err = w.layer(ctx, chain[i].ID, key.diffID, infos[i], lost); err != nil {
				return nil, err
			}
			w.blobs[key] = d
		}
		lost = lost || d.Digest != infos[i].Digest
		out[i] = d
	}
	return out, nil
}

// chain returns the layers of an image, bottom first.
func (w *saving) chain(img *store.Image, n int) ([]*store.Layer, error) {
	chain := query.New(w.snap, nil).Sizes().Layers(img)
	if len(chain) != n || len(img.Config.DiffIDs) != n {
		return nil, fmt.Errorf("its manifest names %d layers, its config %d, and the store has %d", n, len(img.Config.DiffIDs), len(chain))
	}
	slices.Reverse(chain)
	return chain, nil
}

// layer compresses one layer, as its original was if that can be found out, and
// writes it. With lost only one compressor is tried.
func (w *saving) layer(ctx context.Context, id string, diffID digest.Digest, info manifest.LayerInfo, lost bool) (imgspecv1.Descriptor, error) {
	d := imgspecv1.Descriptor{MediaType: ociLayerType(info.MediaType), Digest: info.Digest, Size: info.Size}
	if w.out.Has(info.Digest) {
		return d, nil
	}
	candidates := archive.Compressors(info.MediaType)
	slices.SortStableFunc(candidates, func(a, b archive.Compressor) int {
		return cmp.Compare(boolInt(b.Name == w.last), boolInt(a.Name == w.last))
	})
	if lost && len(candidates) > 1 {
		candidates = candidates[:1]
	}
	if len(candidates) == 0 {
		candidates = []archive.Compressor{archive.Fallback()}
	}
	for _, c := range candidates {
		if done, err := w.tryLayer(ctx, id, diffID, c, func(got imgspecv1.Descriptor) bool { return got.Digest == info.Digest }); err != nil || done.Digest != "" {
			w.last = c.Name
			return d, err
		}
	}
	d, err := w.tryLayer(ctx, id, diffID, archive.Fallback(), func(imgspecv1.Descriptor) bool { return true })
	d.MediaType = imgspecv1.MediaTypeImageLayerGzip
	return d, err
}

// spool returns the file that a layer is compressed into: beside the archive,
// else beside the store.
func (w *saving) spool() (*os.File, error) {
	if w.temp != "" {
		return store.SpoolIn(w.temp)
	}
	return store.Spool(w.engine.config.Store)
}

// tryLayer compresses a layer into a temporary file, and writes that to the
// archive if it is wanted; the descriptor is empty if it is not.
func (w *saving) tryLayer(ctx context.Context, id string, diffID digest.Digest, c archive.Compressor, wanted func(imgspecv1.Descriptor) bool) (d imgspecv1.Descriptor, err error) {
	temp, err := w.spool()
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, temp.Close()) }()
	sum := digest.Canonical.Digester()
	if err := w.compress(ctx, io.MultiWriter(temp, sum.Hash()), id, diffID, c); err != nil {
		return d, err
	}
	got := imgspecv1.Descriptor{Digest: sum.Digest()}
	if !wanted(got) {
		return d, nil
	}
	if got.Size, err = temp.Seek(0, io.SeekCurrent); err != nil {
		return d, err
	}
	if _, err := temp.Seek(0, io.SeekStart); err != nil {
		return d, err
	}
	return got, w.out.Blob(got.Digest, got.Size, temp)
}

// compress writes the compressed tar of a layer, after whose last byte it is
// known to be the one that was unpacked.
func (w *saving) compress(ctx context.Context, to io.Writer, id string, diffID digest.Digest, c archive.Compressor) (err error) {
	tar, err := w.s.LayerTar(ctx, id)
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

// document writes a manifest or index.
func (w *saving) document(mediaType string, v any) (imgspecv1.Descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return imgspecv1.Descriptor{}, err
	}
	d, err := w.out.Document(data)
	return imgspecv1.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}, err
}

// ociLayerType returns the OCI name of a layer's media type.
func ociLayerType(mediaType string) string {
	switch {
	case strings.HasSuffix(mediaType, "zstd"):
		return imgspecv1.MediaTypeImageLayerZstd
	case strings.HasSuffix(mediaType, "gzip"):
		return imgspecv1.MediaTypeImageLayerGzip
	}
	return imgspecv1.MediaTypeImageLayer
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
