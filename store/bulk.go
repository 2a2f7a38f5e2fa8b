package store

import (
	"context"
)

// Deletion is what became of one image or layer that was to be deleted.
type Deletion struct {
	ID   string
	Gone bool  // somebody else had deleted it already
	Err  error // why it is still there; ErrInUse when a container uses it
}

// DeleteImages deletes images and the layers that only they use, in the order
// given, and tells what became of each. It stops when ctx ends: the images
// not reached are not in the result then, and the error is the context's.
func (d *Deleter) DeleteImages(ctx context.Context, ids []string) ([]Deletion, error) {
	return each(ctx, ids, d.DeleteImage)
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
