package testimage

import (
	"bytes"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.podman.io/storage/pkg/chunked/compressor"
)

// chunkedLayer is a layer compressed as zstd:chunked.
type chunkedLayer struct {
	v1.Layer
	plain []byte
}

// DiffID implements v1.Layer.
func (l chunkedLayer) DiffID() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(l.plain))
	return h, err
}

// Uncompressed implements v1.Layer.
func (l chunkedLayer) Uncompressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.plain)), nil
}

// Chunked compresses a tar as zstd:chunked: a layer with the annotations that
// say where it lists its files.
func Chunked(plain []byte) (mutate.Addendum, error) {
	var b bytes.Buffer
	annotations := map[string]string{}
	w, err := compressor.ZstdCompressor(&b, annotations, nil)
	if err != nil {
		return mutate.Addendum{}, err
	}
	if _, err := w.Write(plain); err != nil {
		return mutate.Addendum{}, err
	}
	if err := w.Close(); err != nil {
		return mutate.Addendum{}, err
	}
	return mutate.Addendum{Layer: chunkedLayer{static.NewLayer(b.Bytes(), types.OCILayerZStd), plain}, Annotations: annotations}, nil
}
