package store

import (
	"context"
	"fmt"
)

// Deletion is what became of one image or layer that was to be deleted.
type Deletion struct {
	ID   string
	Gone bool  // somebody else had deleted it already
	Err  error // why it is still there; ErrInUse when a container uses it
}

// bulkFrom is how many images make the batch worth while. Fewer go one by one
// through the library.
const bulkFrom = 8

// DeleteImages deletes images and the layers that only they use, and tells
// what became of each, in the order of ids. It stops when ctx ends: the images
// not reached are not in the result then, and the error is the context's.
//
// The library saves the list of all images once for each image, and the lists
// of all layers and of all mounts twice for each layer: the cost grows with
// the square of their number. Many images are therefore deleted in one batch
// that takes the library's steps, in the library's order, behind the library's
// locks, but saves each list once per step.
func (d *Deleter) DeleteImages(ctx context.Context, ids []string) ([]Deletion, error) {
	if len(ids) < bulkFrom || d.lib.TransientStore() || d.lib.ImageStore() != "" {
		return each(ctx, ids, d.DeleteImage)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	b, err := d.newBatch(ids)
	if err != nil {
		return each(ctx, ids, d.DeleteImage) // whatever is wrong, the library says it best
	}
	err = b.run()
	if err != nil {
		err = fmt.Errorf("deleting %d images: %w", len(b.doomed), err)
	}
	done := make([]Deletion, 0, len(ids))
	for _, id := range ids {
		one, ok := b.done[id]
		switch {
		case ok:
			done = append(done, one)
		case err == nil && ctx.Err() == nil:
			gone, err := d.DeleteImage(ctx, id)
			done = append(done, Deletion{ID: id, Gone: gone, Err: err})
		}
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return done, err
}

// DeleteLayers deletes layers that nothing uses, children before parents.
func (d *Deleter) DeleteLayers(ctx context.Context, ids []string) ([]Deletion, error) {
	return each(ctx, ids, d.DeleteLayer)
}

func each(ctx context.Context, ids []string, del func(context.Context, string) (bool, error)) ([]Deletion, error) {
	done := make([]Deletion, 0, len(ids))
	for _, id := range ids {
		if ctx.Err() != nil {
			return done, context.Cause(ctx)
		}
		gone, err := del(ctx, id)
		done = append(done, Deletion{ID: id, Gone: gone, Err: err})
	}
	return done, nil
}
