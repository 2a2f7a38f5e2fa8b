package engine

import (
	"context"
	"errors"

	"github.com/mpull/mpull/store"
)

// Diagnosis is what Doctor found.
type Diagnosis struct {
	Damaged []store.Damage // all that is damaged; with repair, all that was
	Left    []store.Damage // what is still damaged after a repair; without one, the same as Damaged
}

// Doctor checks the store. Without repair nothing is changed. With it, damaged
// images and layers are removed behind the exclusive lock, so that the next
// pull brings them back whole; containers, and files that keep the store from
// opening, are left as they are.
func (e *Engine) Doctor(ctx context.Context, repair bool) (d Diagnosis, err error) {
	files, err := store.CheckFiles(e.config.Store)
	if err != nil {
		return d, err
	}
	if len(files) > 0 {
		return Diagnosis{Damaged: files, Left: files}, nil
	}
	err = e.read(ctx, func(s *store.Store, _ *store.Snapshot) error {
		d.Damaged, err = s.Check(ctx)
		return err
	})
	if d.Left = d.Damaged; err != nil || len(d.Damaged) == 0 {
		return d, err
	}
	// What looks damaged may be what somebody is just writing: look again
	// while nobody is.
	err = e.remove(ctx, func(s *store.Deleter, _ *store.Snapshot) error {
		if d.Damaged, err = s.Check(ctx); err != nil || len(d.Damaged) == 0 || !repair {
			d.Left = d.Damaged
			return err
		}
		failed := s.Repair(ctx)
		d.Left, err = s.Check(ctx)
		return errors.Join(failed, err)
	})
	if errors.Is(err, store.ErrReadOnly) && !repair {
		return d, nil
	}
	return d, err
}
