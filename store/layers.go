package store

import (
	"context"
	"errors"

	"github.com/mpull/mpull/store/unpack"
)

// FetchLayers makes the layers of an image present in the store in one pass
// over their bytes, in parallel. ok is false, with the reason, when this store
// or one of these layers needs the library's own path instead; nothing is
// there then that was not before, but layers that were finished.
func (w *Writer) FetchLayers(ctx context.Context, layers []unpack.Layer, open unpack.Opener, opts unpack.Options) (result unpack.Result, ok bool, reason string, err error) {
	result, err = unpack.Fetch(ctx, w.lib, layers, open, opts)
	var unsupported *unpack.UnsupportedError
	if errors.As(err, &unsupported) {
		return result, false, unsupported.Error(), nil
	}
	return result, err == nil, "", err
}
