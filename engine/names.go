package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// Tag gives an image more names. A name that another image holds moves, with
// a record, as in a pull.
func (e *Engine) Tag(ctx context.Context, input string, names []string) error {
	return e.change(ctx, input, func(w *store.Writer, view *query.View) error {
		found, err := view.Find(input)
		if err != nil {
			return err
		}
		full := make([]string, len(names))
		for i, n := range names {
			if full[i], err = query.NewName(n); err != nil {
				return err
			}
		}
		for _, n := range full {
			if err := e.moveName(ctx, w, nameMove{name: n, to: found.Image.ID, command: "tag", snap: view.Snapshot()}); err != nil {
				return err
			}
		}
		return nil
	})
}

// nameMove is a name that is to pass to an image.
type nameMove struct {
	name    string
	to      string          // image ID
	keep    bool            // give the image that loses the name its repo@digest name
	command string          // recorded
	snap    *store.Snapshot // of all layers and images, taken before; nil: what is here has changed since
}

// moveName moves a name and emits what that displaced. An image that is to be
// kept has its other name before it loses this one; where it cannot have one,
// nothing moves.
func (e *Engine) moveName(ctx context.Context, w *store.Writer, m nameMove) error {
	var used *GuardedError
	target, err := w.Lookup(m.to)
	if err == nil { // else the move itself says so
		if used, err = e.guard(ctx, w.Store, m.name, m.to, query.PlatformOf(target)); err != nil {
			return err
		}
	}
	kept := ""
	if m.keep {
		holder, err := w.Lookup(m.name)
		if err == nil && holder.ID != m.to && !holder.ReadOnly {
			if kept, err = w.KeepName(ctx, query.Repository(m.name), holder.ID); err != nil {
				return err
			}
		}
	}
	moved, err := w.MoveName(ctx, m.name, m.to, m.command)
	if err == nil && moved.Hidden != nil {
		e.note("%s is also the name of %s for %s in a read-only image store, which is hidden until the name is removed here",
			m.name, query.ShortID(moved.Hidden.ID), moved.Hidden.Platform())
	}
	if err != nil || moved.Loser == nil {
		return err
	}
	if used != nil {
		e.note("%s", used.warning())
	}
	return e.tellMoved(ctx, w, m, moved, kept)
}

// tellMoved emits what became of the image that lost a name.
func (e *Engine) tellMoved(ctx context.Context, w *store.Writer, m nameMove, moved *store.Moved, kept string) error {
	snap := m.snap
	if snap == nil {
		var err error
		if snap, err = w.Snapshot(ctx); err != nil {
			return err
		}
	}
	event := &MovedEvent{Name: m.name, To: m.to, Loser: moved.Loser, Kept: kept}
	loser, err := w.Lookup(moved.Loser.ID) // with its record, which takes space too
	switch {
	case err == nil:
		if event.Fate, err = fate(snap, loser); err != nil {
			return err
		}
	case !store.IsGone(err): // else another tool has removed it meanwhile
		return err
	}
	e.emit(Event{Moved: event})
	return nil
}

// Fate is what would become of an image.
type Fate struct {
	gc.Decision      // of a prune without flags
	Dangling    bool // it has no name, no child image, and is in no local manifest list
}

// fate tells what becomes of an image that is as given, all others being as in
// the snapshot.
func fate(snap *store.Snapshot, img *store.Image) (Fate, error) {
	after := *snap
	after.Images = slices.Clone(snap.Images)
	at := slices.IndexFunc(after.Images, func(i store.Image) bool { return i.ID == img.ID })
	if at < 0 {
		at = len(after.Images)
		after.Images = append(after.Images, store.Image{})
	}
	after.Images[at] = *img
	plan, err := gc.MakePlan(&after, gc.Policy{}, time.Now())
	if err != nil {
		return Fate{}, err
	}
	f := Fate{Dangling: query.NewKinship(&after).Dangling(at)}
	for _, d := range plan.Images {
		if d.ID == img.ID {
			f.Decision = d
		}
	}
	return f, nil
}

// isKept tells whether an image has a digest name of the repository of name:
// it was pulled side by side with other platforms, or kept on purpose.
func isKept(img *store.Image, name string) bool {
	return slices.ContainsFunc(img.Names, func(n string) bool { return strings.HasPrefix(n, query.Repository(name)+"@") })
}

// Untag takes names from an image; without names, all that it holds. The
// image remembers them.
func (e *Engine) Untag(ctx context.Context, input string, names []string) error {
	return e.change(ctx, input, func(w *store.Writer, view *query.View) error {
		found, err := view.Find(input)
		if err != nil {
			return err
		}
		taken, err := namesOf(view, found.Image, names)
		if err != nil {
			return err
		}
		for _, n := range taken { // all before the first goes
			if err := e.unpinned(found.Image, n, false); err != nil {
				return err
			}
		}
		for _, n := range taken {
			if _, err := w.RemoveName(ctx, n, "untag"); err != nil {
				return err
			}
		}
		return nil
	})
}

// namesOf finds the names of an image that the user wrote.
func namesOf(view *query.View, img *store.Image, inputs []string) ([]string, error) {
	if len(inputs) == 0 {
		return slices.Clone(img.Names), nil
	}
	return fullNames(view, img.Names, inputs, func(input string) error { return &query.UnknownError{Input: input, Image: query.ShortID(img.ID)} })
}

// fullNames finds what the user wrote among full names; absent is the error for
// what is not among them.
func fullNames(view *query.View, full, inputs []string, absent func(input string) error) (names []string, err error) {
	for _, input := range inputs {
		name, err := view.Named(full, input)
		if err == nil && name == "" {
			err = absent(input)
		}
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}
