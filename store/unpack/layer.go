package unpack

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
)

// Layer is one layer of an image as its manifest and config describe it.
type Layer struct {
	// Digest and Size are those of the compressed blob in the manifest. A
	// negative Size is not checked.
	Digest digest.Digest
	Size   int64
	// DiffID is the digest of the uncompressed tar in the config.
	DiffID digest.Digest
	// MediaType is the one in the manifest. It decides whether the layer can
	// be unpacked here; the compression is found from the bytes, as the
	// library does it.
	MediaType string
	// Annotations are those in the manifest. By them the layer may list its
	// files.
	Annotations map[string]string
}

// Opener returns the compressed bytes of a layer. Closing the reader must make
// a Read in progress return, also from another goroutine.
type Opener func(ctx context.Context, l Layer) (io.ReadCloser, error)

// ChainIDs returns the ID that the library gives to each layer of an image,
// bottom first (storageImageDestination's layerID in containers/image): the
// first is the hex of its DiffID, each further one the hex SHA-256 of the ID
// below, "+" and the hex of its own DiffID.
func ChainIDs(layers []Layer) (ids []string) {
	for i, l := range layers {
		id := l.DiffID.Encoded()
		if i > 0 {
			id = digest.Canonical.FromString(ids[i-1] + "+" + id).Encoded()
		}
		ids = append(ids, id)
	}
	return ids
}

// Resumed is what an Opener may return where some of the bytes were kept from
// an earlier reading that was interrupted. What is wrong with such a blob may
// be wrong with those bytes only.
type Resumed interface {
	io.ReadCloser
	// GiveUp forgets what is kept, so that the next reading begins at the first
	// byte. It reports whether this one did not.
	GiveUp() bool
}
