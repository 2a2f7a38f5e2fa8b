package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/pkg/compression"
	"go.podman.io/storage"

	"github.com/mpull/mpull/store/unpack"
)

// PutLayers makes the layers of an image present in the store by the library's
// own path, one after the other: for stores that FetchLayers does not support.
// Each blob is read three times, and unpacked only once it is known to be what
// its DiffID promises, as a layer is found by the DiffIDs of its chain, and to
// keep to the limits of survey.
func (w *Writer) PutLayers(ctx context.Context, layers []unpack.Layer, open unpack.Opener, survey *unpack.Survey) error {
	diffIDs := make([]digest.Digest, len(layers))
	for i, l := range layers {
		diffIDs[i] = l.DiffID
	}
	parent := ""
	for i, id := range unpack.ChainIDs(diffIDs) {
		if !w.lib.Exists(id) {
			if err := w.putLayer(ctx, id, parent, layers[i], open, survey); err != nil {
				return fmt.Errorf("adding layer %d (%s): %w", i+1, layers[i].Digest, err)
			}
		}
		parent = id
	}
	return nil
}

func (w *Writer) putLayer(ctx context.Context, id, parent string, l unpack.Layer, open unpack.Opener, survey *unpack.Survey) error {
	if err := checkDiffID(ctx, l, open); err != nil {
		return err
	}
	if err := surveyLayer(ctx, l, open, survey); err != nil {
		return err
	}
	blob, err := open(ctx, l)
	if err != nil {
		return err
	}
	defer blob.Close()
	layer, _, err := w.lib.PutLayer(id, parent, nil, "", false, nil, blob)
	if errors.Is(err, storage.ErrDuplicateID) {
		return nil
	}
	if err != nil {
		w.takeAway(id)
		return err
	}
	if layer.UncompressedDigest != l.DiffID { // the file changed between the two readings
		return errors.Join(&unpack.MismatchError{What: "DiffID", Want: l.DiffID.String(), Got: layer.UncompressedDigest.String()}, w.lib.DeleteLayer(id))
	}
	return w.readsBack(ctx, layer)
}

func surveyLayer(ctx context.Context, l unpack.Layer, open unpack.Opener, survey *unpack.Survey) error {
	blob, err := open(ctx, l)
	if err != nil {
		return err
	}
	return errors.Join(survey.Read(ctx, blob), blob.Close())
}

func checkDiffID(ctx context.Context, l unpack.Layer, open unpack.Opener) error {
	blob, err := open(ctx, l)
	if err != nil {
		return err
	}
	defer blob.Close()
	tar, _, err := compression.AutoDecompress(blob)
	if err != nil {
		return err
	}
	defer tar.Close()
	got, err := digest.Canonical.FromReader(tar)
	if err != nil {
		return err
	}
	if got != l.DiffID {
		return &unpack.MismatchError{What: "DiffID", Want: l.DiffID.String(), Got: got.String()}
	}
	return nil
}
