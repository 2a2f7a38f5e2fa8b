package store

import (
	"context"
	"errors"
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
	return storagetransport.Transport.NewStoreReference(surveyed{w.lib, look, func(l *storage.Layer) error { return w.readsBack(ctx, l) }}, nil, id)
}

// surveyed is the library's store, but that a layer is looked at before it is
// unpacked: once the library has begun with a layer, nothing ends it, since
// what remains of its tar is read to the end even when unpacking has failed.
// And it is read back after it, as the library unpacks what contradicts itself.
type surveyed struct {
	storage.Store
	look func(blob digest.Digest, layer io.Reader) error
	back func(*storage.Layer) error
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
	layer, size, err := s.Store.PutLayer(id, parent, names, mountLabel, writeable, options, file)
	if err == nil {
		err = s.back(layer)
	}
	return layer, size, err
}

// TornLayerError says that a layer was unpacked, but that its tar cannot be put
// together again from its files: it contradicts itself, or has sparse files,
// whose holes the library's record fills. Nothing of it stays in the store,
// where it would count as damaged.
type TornLayerError struct {
	DiffID digest.Digest
	Err    error // what does not fit
}

func (e *TornLayerError) Error() string {
	return fmt.Sprintf("the layer with the DiffID %s contradicts itself or has sparse files: its tar cannot be put together again from what it unpacks to, so the image could be neither checked nor saved (%v)", e.DiffID, e.Err)
}

func (e *TornLayerError) Unwrap() error { return e.Err }

// readsBack reads a layer that the library has just unpacked, and removes it
// when it is not what it was.
func (w *Writer) readsBack(ctx context.Context, l *storage.Layer) error {
	err := w.checkContents(ctx, l)
	if err == nil {
		return nil
	}
	if ctx.Err() == nil {
		err = &TornLayerError{DiffID: l.UncompressedDigest, Err: err}
	}
	return errors.Join(err, w.lib.DeleteLayer(l.ID))
}
