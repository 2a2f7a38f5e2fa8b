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
// the image library writes to it. Each layer that the library unpacks goes
// through survey, until ctx ends; unpacking is called before that with the
// digest of its blob.
func (w *Writer) Destination(ctx context.Context, id string, survey *unpack.Survey, unpacking func(blob digest.Digest)) (types.ImageReference, error) {
	put := func(options *storage.LayerOptions, file io.ReadSeeker, put putting) (*storage.Layer, int64, error) {
		unpacking(options.OriginalDigest)
		layer, size, gate, err := surveying(ctx, survey, options, file, put)
		if err == nil && gate != nil {
			err = w.whole(ctx, layer, gate.Intact)
		} else if err == nil {
			err = w.readsBack(ctx, layer)
		}
		return layer, size, err
	}
	return storagetransport.Transport.NewStoreReference(surveyed{w.lib, w, put}, nil, id)
}

// putting has the library unpack a layer.
type putting func(options *storage.LayerOptions, diff io.Reader) (*storage.Layer, int64, error)

// surveyed is the library's store, but that the library sees no more of a layer
// than was judged: once it has begun, nothing ends it, since what remains of a
// tar is read to the end even when unpacking has failed. And the layer is read
// back after it where that need not give the same, as the library unpacks what
// contradicts itself. Nor does a half image that is here keep out the whole one.
type surveyed struct {
	storage.Store
	own *Writer
	put func(options *storage.LayerOptions, file io.ReadSeeker, put putting) (*storage.Layer, int64, error)
}

// PutLayer unpacks a layer, which the image library has in a file.
func (s surveyed) PutLayer(id, parent string, names []string, mountLabel string, writeable bool, options *storage.LayerOptions, diff io.Reader) (*storage.Layer, int64, error) {
	file, ok := diff.(io.ReadSeeker)
	if !ok || options == nil {
		return nil, 0, fmt.Errorf("layer %s: the library hands over no file (%T) to look at", id, diff)
	}
	return s.put(options, file, func(options *storage.LayerOptions, diff io.Reader) (*storage.Layer, int64, error) {
		layer, size, err := s.Store.PutLayer(id, parent, names, mountLabel, writeable, options, diff)
		if err != nil {
			s.own.takeAway(id)
		}
		return layer, size, err
	})
}

// surveying unpacks a layer of a file through a survey. The library is given
// the tar itself, so that it is decompressed once, where it has all digests
// already and need not find any. Else the file is surveyed before, and there is
// no gate.
func surveying(ctx context.Context, survey *unpack.Survey, options *storage.LayerOptions, file io.ReadSeeker, put putting) (*storage.Layer, int64, *unpack.Gate, error) {
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, nil, err
	}
	if known(options.OriginalDigest) && known(options.UncompressedDigest) {
		if gate, err := survey.Gate(ctx, file); err == nil {
			o := *options
			o.OriginalSize = &size
			layer, unpacked, err := put(&o, gate)
			if refusal := gate.Close(); err != nil && refusal != nil {
				err = refusal
			}
			return layer, unpacked, gate, err
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, 0, nil, err
		}
	}
	if err := survey.Read(ctx, file); err != nil {
		return nil, 0, nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, 0, nil, err
	}
	layer, unpacked, err := put(options, file)
	return layer, unpacked, nil, err
}

// known tells whether the library takes a digest for granted.
func known(d digest.Digest) bool { return d != "" && d.Algorithm() == digest.Canonical }

// TornLayerError says that a layer was unpacked, but that its tar cannot be put
// together again from its files: it contradicts itself, or Err is ErrSparse.
// Nothing of it stays in the store, where it would count as damaged.
type TornLayerError struct {
	DiffID digest.Digest
	Err    error // what does not fit
}

func (e *TornLayerError) Error() string {
	why := "contradicts itself"
	if errors.Is(e.Err, ErrSparse) {
		why = "cannot be kept"
	}
	return fmt.Sprintf("the layer with the DiffID %s %s: its tar cannot be put together again from what it unpacks to, so the image could not be saved (%v)", e.DiffID, why, e.Err)
}

func (e *TornLayerError) Unwrap() error { return e.Err }

// whole makes sure that a layer which the library has just unpacked could be
// read back. It is, unless its files tell as much.
func (w *Writer) whole(ctx context.Context, l *storage.Layer, intact func(dir string) bool) error {
	if dir, err := w.layerDir(l.ID); err == nil && dir != "" && intact(dir) {
		return nil
	}
	return w.readsBack(ctx, l)
}

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
