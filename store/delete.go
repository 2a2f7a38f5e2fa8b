package store

import (
	"context"
	"errors"
	"fmt"
)

// Deletion is what became of one image or layer that was to be deleted.
type Deletion struct {
	ID    string
	Image bool  // an image, else a layer
	Gone  bool  // somebody else had deleted it already
	Err   error // why it is still there; ErrInUse when a container uses it or it is mounted
}

// Removal says what is to go.
type Removal struct {
	Layers []string // that nothing uses, children before parents; they go first
	Images []string // with the layers that only they use
}

// ErrInUse is returned when an image cannot be deleted because a container, of
// whichever tool, was made from it, or because it is mounted.
var ErrInUse = errors.New("image is in use")

// Delete deletes what choose picks, and tells what became of each, in the
// order in which they were picked. It is the one way to delete, for one image
// or for thousands: the store is read, choose is asked, and all is deleted
// while the library's own locks are held, so that no tool changes anything in
// between. choose must not use the store.
//
// The library saves the list of all images once for each image, and the lists
// of all layers and of all mounts twice for each layer: the cost grows with
// the square of their number. Here each list is saved once per step.
//
// A list that does not parse is an error, and nothing changes. When ctx has ended before the
// first change, nothing changes and the error is the context's.
func (d *Deleter) Delete(ctx context.Context, choose func(fresh *Snapshot) (Removal, error)) ([]Deletion, error) {
	b, err := d.newBatch(ctx)
	if err != nil {
		return nil, err
	}
	done, err := b.run(ctx, choose)
	if err != nil {
		return done, fmt.Errorf("deleting from the store at %s: %w", d.Root(), err)
	}
	return done, nil
}
