package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/pkg/compression"
	"go.podman.io/storage"

	"github.com/mpull/mpull/store/unpack"
)

// PutLayers makes the layers of an image present in the store by the library's
// own path, one after the other: for stores that FetchLayers does not support.
// Each blob is read twice, and unpacked only once it is known to be what
// its DiffID promises, as a layer is found by the DiffIDs of its chain, and to
// keep to the limits of survey.
func (w *Writer) PutLayers(ctx context.Context, layers []unpack.Layer, open unpack.Opener, survey *unpack.Survey) error {
	parent := ""
	for i, id := range unpack.ChainIDs(layers) {
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
	if err := vet(ctx, l, open, survey); err != nil {
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

// vet reads a layer before it is unpacked: to the limits, and against its DiffID.
func vet(ctx context.Context, l unpack.Layer, open unpack.Opener, survey *unpack.Survey) error {
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
	sum := digest.Canonical.Digester()
	seen := io.TeeReader(tar, sum.Hash())
	if err := survey.Read(ctx, seen); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, seen); err != nil {
		return err
	}
	if got := sum.Digest(); got != l.DiffID {
		return &unpack.MismatchError{What: "DiffID", Want: l.DiffID.String(), Got: got.String()}
	}
	return nil
}
