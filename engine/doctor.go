package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/mpull/mpull/store"
)

// Doctor checks the store and returns what is damaged, and what interrupted
// work left. Nothing is changed. When a list of the store is damaged, no more
// than that is said: all else would be judged by it.
func (e *Engine) Doctor(ctx context.Context) (found []store.Damage, err error) {
	files, err := store.CheckFiles(e.config.Store)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(files, func(d store.Damage) bool { return d.Kind == store.DamagedFile }) {
		return files, nil
	}
	locked := false
	err = e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		locked = s.ReadOnly()
		files = append(files, notes(snap)...)
		found, err = s.Check(ctx)
		return err
	})
	if err != nil || len(found) == 0 || locked {
		return append(found, files...), err
	}
	// What looks damaged may be what somebody is just writing: look again
	// while nobody is.
	err = e.deleter(ctx, func(d *store.Deleter) error {
		found, err = d.Check(ctx)
		return err
	})
	if errors.Is(err, store.ErrReadOnly) {
		err = nil
	}
	return append(found, files...), err
}

// notes tells of images which are whole and yet not like others.
func notes(snap *store.Snapshot) (found []store.Damage) {
	for i := range snap.Images {
		if img := &snap.Images[i]; img.Schema1 {
			found = append(found, store.Damage{Kind: store.Note, ID: img.ID, Names: img.Names, Problems: []string{schema1Note}})
		}
	}
	return found
}

// MakeWhole gives a store what a power loss may have taken of its lock files and
// folders, before Repair or Prune, which look at it first: a process that has read
// it without them cannot change it. What hinders that, they tell.
func (e *Engine) MakeWhole() { _ = store.MakeWhole(e.config.Store) }

// Repair removes, behind the exclusive lock, what Doctor found, as far as that
// is removable and still damaged, so that the next pull brings it back whole;
// containers and the store's lists are left as they are. It returns what is
// damaged afterwards.
func (e *Engine) Repair(ctx context.Context, found []store.Damage) ([]store.Damage, error) {
	failed := e.deleter(ctx, func(d *store.Deleter) error { return d.Repair(ctx, found) })
	if errors.Is(failed, store.ErrReadOnly) || ctx.Err() != nil {
		return found, failed
	}
	left, err := e.Doctor(ctx)
	return left, errors.Join(failed, err)
}
