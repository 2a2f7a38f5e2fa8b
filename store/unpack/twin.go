package unpack

import (
	"context"
	"errors"

	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"golang.org/x/sync/errgroup"
)

// stageTwin unpacks a layer out of one that the store made from the same blob
// and that has other layers below it, so that the blob need not come again. It
// returns nothing where there is none, and where that one cannot be read or is
// damaged: then the blob is fetched after all, and counts against the limits
// once more.
func (s *stager) stageTwin(ctx context.Context, index int, l Layer) (*graphdriver.DriverWithDifferOutput, error) {
	twin := s.twin(l)
	if twin == nil {
		return nil, nil
	}
	output, err := s.fill(index, l, func(to target) (graphdriver.DriverWithDifferOutput, error) {
		out, err := s.unpack(ctx, l, to, s.reread(twin.ID))
		out.CompressedDigest, out.TOCDigest = twin.CompressedDigest, twin.TOCDigest // no more than is known
		return out, err
	})
	var limit *LimitError
	var unsupported *UnsupportedError
	switch {
	case ctx.Err() != nil:
		return output, errors.Join(err, context.Cause(ctx))
	case errors.As(err, &limit), errors.As(err, &unsupported):
		return nil, err
	}
	return output, nil // nil after other errors
}

// twin returns a layer of the store that was made from the blob of l,
// or by its list, nil when there is none. Its record says so: both digests were
// checked when it was made.
func (s *stager) twin(l Layer) *storage.Layer {
	layers, err := s.store.LayersByUncompressedDigest(l.DiffID)
	if err != nil {
		return nil
	}
	for _, t := range layers {
		same := t.CompressedDigest == l.Digest || t.TOCDigest != "" && t.TOCDigest.String() == l.Annotations[chunkedMark]
		if same && len(t.UIDMap) == 0 && len(t.GIDMap) == 0 {
			return &t
		}
	}
	return nil
}

// reread feeds the tar of a layer of the store, put together again.
func (s *stager) reread(id string) feed {
	return func(ctx context.Context, group *errgroup.Group, layer *stream) (stop, verify func() error, err error) {
		tar, err := s.tarOf(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		group.Go(func() error { return layer.fill(tar, s.countBytes) })
		return tar.Close, func() error { return nil }, nil
	}
}
