package store

import (
	"context"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	storagetransport "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"

	"github.com/mpull/mpull/store/unpack"
)

// Destination returns the place of an image without a name in the store, as
// the image library writes to it. Each layer that the library is to unpack is
// read by survey first, until ctx ends; unpacking is called before that with
// the digest of its blob.
func (w *Writer) Destination(ctx context.Context, id string, survey *unpack.Survey, unpacking func(blob digest.Digest)) (types.ImageReference, error) {
	look := func(blob digest.Digest, layer io.Reader) error {
		unpacking(blob)
		return survey.Read(ctx, layer)
	}
	return storagetransport.Transport.NewStoreReference(surveyed{w.lib, look}, nil, id)
}

// surveyed is the library's store, but that a layer is looked at before it is
// unpacked: once the library has begun with a layer, nothing ends it, since
// what remains of its tar is read to the end even when unpacking has failed.
type surveyed struct {
	storage.Store
	look func(blob digest.Digest, layer io.Reader) error
}

// PutLayer looks at the layer, which the image library has in a file.
func (s surveyed) PutLayer(id, parent string, names []string, mountLabel string, writeable bool, options *storage.LayerOptions, diff io.Reader) (*storage.Layer, int64, error) {
	file, ok := diff.(io.ReadSeeker)
	if !ok || options == nil {
		return nil, 0, fmt.Errorf("layer %s: the library hands over no file (%T) to look at", id, diff)
	}
	if err := s.look(options.OriginalDigest, file); err != nil {
		return nil, 0, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, 0, err
	}
	return s.Store.PutLayer(id, parent, names, mountLabel, writeable, options, file)
}
