package pack

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// blobKey is a layer as a manifest has it: the same tar may come from several
// compressed blobs.
type blobKey struct{ diffID, original digest.Digest }

// chain returns the layers of an image, bottom first.
func (w *saving) chain(img *store.Image, n int) ([]*store.Layer, error) {
	chain := query.New(w.snap, nil).Sizes().Layers(img)
	if len(chain) != n || len(img.Config.DiffIDs) != n {
		return nil, fmt.Errorf("its manifest names %d layers, its config %d, and the store has %d", n, len(img.Config.DiffIDs), len(chain))
	}
	slices.Reverse(chain)
	return chain, nil
}

// spool returns the file that a layer is compressed into: beside the archive,
// else beside the store.
func (w *saving) spool() (*os.File, error) {
	if w.temp != "" {
		return store.SpoolIn(w.temp)
	}
	return w.s.Spool()
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
