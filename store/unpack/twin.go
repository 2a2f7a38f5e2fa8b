package unpack

import (
	"context"
	"errors"
	"path/filepath"

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
	if twin == "" {
		return nil, nil
	}
	output, err := s.fill(index, l, func(to target) (graphdriver.DriverWithDifferOutput, error) {
		return s.unpack(ctx, l, to, s.reread(twin))
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

// twin returns the ID of a layer of the store that was made from the blob of l,
// "" when there is none. Its record says so: both digests were checked when it
// was made.
func (s *stager) twin(l Layer) string {
	layers, err := s.store.LayersByUncompressedDigest(l.DiffID)
	if err != nil {
		return ""
	}
	for _, t := range layers {
		if t.CompressedDigest == l.Digest && len(t.UIDMap) == 0 && len(t.GIDMap) == 0 {
			return t.ID
		}
	}
	return ""
}

// reread feeds the tar of a layer of the store, put together again.
func (s *stager) reread(id string) feed {
	return func(ctx context.Context, group *errgroup.Group, layer *stream) (stop, verify func() error, err error) {
		driver, err := s.store.GraphDriver()
		if err != nil {
			return nil, nil, err
		}
		metadata, err := driver.Metadata(id)
		if err != nil {
			return nil, nil, err
		}
		record := filepath.Join(s.store.GraphRoot(), driver.String()+"-layers", id+".tar-split.gz")
		tar, err := Tar(ctx, metadata["UpperDir"], record)
		if err != nil {
			return nil, nil, err
		}
		group.Go(func() error { return layer.fill(tar, s.countBytes) })
		return tar.Close, func() error { return nil }, nil
	}
}
