package unpack

import (
	"context"
	"errors"
	"io"

	"go.podman.io/storage"
	"golang.org/x/sync/errgroup"
)

// stageTwin unpacks a layer out of one that the store made from the same blob
// and that has other layers below it, so that the blob need not come again. ok
// is false where there is none, and where that one cannot be read or is
// damaged: then the blob is fetched after all, and counts against the limits
// once more.
func (s *stager) stageTwin(ctx context.Context, index int, l Layer) (made staged, ok bool, err error) {
	twin := s.twin(l)
	if twin == nil {
		return made, false, nil
	}
	made, err = s.prepare(ctx, index, l, s.reread(twin.ID))
	if made.DriverWithDifferOutput != nil {
		made.CompressedDigest, made.TOCDigest = twin.CompressedDigest, twin.TOCDigest // no more than is known
	}
	switch {
	case err == nil:
		return made, true, nil
	case ctx.Err() != nil:
		return made, false, errors.Join(err, context.Cause(ctx))
	case errors.As(err, new(*LimitError)), errors.As(err, new(*UnsupportedError)):
		return made, false, err
	}
	return made, false, nil
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
		listed := !s.spools() && t.TOCDigest != "" && t.TOCDigest.String() == l.Annotations[chunkedMark]
		if (t.CompressedDigest == l.Digest || listed) && len(t.UIDMap) == 0 && len(t.GIDMap) == 0 {
			return &t
		}
	}
	return nil
}

// reread feeds the tar of a layer of the store, put together again.
func (s *stager) reread(id string) feed {
	return func(ctx context.Context, group *errgroup.Group, layer *stream, tee io.Writer) (stop, verify func() error, err error) {
		tar, err := s.tarOf(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		group.Go(func() error {
			return layer.fill(tar, func(p []byte) error {
				_, err := tee.Write(p)
				return errors.Join(err, s.countBytes(p))
			})
		})
		return tar.Close, func() error { return nil }, nil
	}
}
