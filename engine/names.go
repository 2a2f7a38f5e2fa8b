package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
)

// Tag gives an image more names. A name that another image holds moves, with
// a record, as in a pull.
func (e *Engine) Tag(ctx context.Context, input string, names []string, command string) error {
	return e.write(ctx, func(w *store.Writer, snap *store.Snapshot) error {
		img, _, err := e.lookup(snap, input)
		if err != nil {
			return err
		}
		full := make([]string, len(names))
		for i, n := range names {
			if full[i], err = NormalizeName(n); err != nil {
				return err
			}
		}
		for _, n := range full {
			if err := e.moveName(ctx, w, nameMove{name: n, to: img.ID, command: command, snap: snap}); err != nil {
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
// kept has its other name before it loses this one.
func (e *Engine) moveName(ctx context.Context, w *store.Writer, m nameMove) error {
	kept := ""
	if m.keep {
		holder, err := w.Lookup(m.name)
		if err == nil && holder.ID != m.to && holder.Digest != "" && !holder.ReadOnly {
			kept = digestName(m.name, holder.Digest)
			if _, err := w.MoveName(ctx, kept, holder.ID, m.command); err != nil {
				return err
			}
		}
	}
	moved, err := w.MoveName(ctx, m.name, m.to, m.command)
	if err == nil && moved.Hidden != nil {
		e.emit(Event{Note: &NoteEvent{Text: fmt.Sprintf("%s is also the name of %s for %s in a read-only image store, which is hidden until the name is removed here",
			m.name, shortID(moved.Hidden.ID), moved.Hidden.Platform())}})
	}
	if err != nil || moved.Loser == nil {
		return err
	}
	snap := m.snap
	if snap == nil {
		if snap, err = w.Snapshot(ctx); err != nil {
			return err
		}
	}
	event := &MovedEvent{Name: m.name, To: m.to, Loser: moved.Loser, Entry: moved.Entry, Kept: kept}
	loser, err := w.Lookup(moved.Loser.ID) // with its record, which takes space too
	switch {
	case err == nil:
		event.Bytes = newSizes(snap).freed(loser)
	case !store.IsGone(err): // else another tool has removed it meanwhile
		return err
	}
	e.emit(Event{Moved: event})
	return nil
}

// isKept tells whether an image has a digest name of the repository of name:
// it was pulled side by side with other platforms, or kept on purpose.
func isKept(img *store.Image, name string) bool {
	return slices.ContainsFunc(img.Names, func(n string) bool { return strings.HasPrefix(n, repoOf(name)+"@") })
}

// Untag takes names from an image; without names, all that it holds. The
// image remembers them.
func (e *Engine) Untag(ctx context.Context, input string, names []string, command string) error {
	return e.write(ctx, func(w *store.Writer, snap *store.Snapshot) error {
		img, _, err := e.lookup(snap, input)
		if err != nil {
			return err
		}
		taken, err := e.namesOf(img, names)
		if err != nil {
			return err
		}
		for _, n := range taken {
			if _, err := w.RemoveName(ctx, n, command); err != nil {
				return err
			}
		}
		return nil
	})
}

// namesOf finds the names of an image that the user wrote.
func (e *Engine) namesOf(img *store.Image, names []string) ([]string, error) {
	if len(names) == 0 {
		return slices.Clone(img.Names), nil
	}
	var taken []string
	for _, n := range names {
		full, err := e.localNames(n)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(full, func(f string) bool { return slices.Contains(img.Names, f) })
		if at < 0 {
			return nil, fmt.Errorf("%s: image %s has no such name: %w", n, shortID(img.ID), &UnknownImageError{Input: n})
		}
		taken = append(taken, full[at])
	}
	return taken, nil
}

// Restored is what Restore and Use did.
type Restored struct {
	ID       string
	Name     string
	Platform string
	Moved    bool // false when the image held the name already
}

// Restore gives a name back to an image that lost it: the one asked for, else
// the last that it lost. No request is made. Of images pulled side by side the
// one that loses the name is kept, as the others are.
func (e *Engine) Restore(ctx context.Context, input, name, command string) (r Restored, err error) {
	err = e.write(ctx, func(w *store.Writer, snap *store.Snapshot) error {
		img, err := e.restorable(snap, input)
		if err != nil {
			return err
		}
		if name == "" {
			name, err = lastLost(img)
		} else {
			name, err = e.lostName(img, name)
		}
		if err != nil {
			return err
		}
		r = Restored{ID: img.ID, Name: name, Platform: img.Platform(), Moved: newNameIndex(snap).holder[name] != img}
		return e.moveName(ctx, w, nameMove{name: name, to: img.ID, keep: isKept(img, name), command: command, snap: snap})
	})
	return r, err
}

// restorable finds the image whose name is to come back: by ID, or by the name
// that it lost when only one image lost it.
func (e *Engine) restorable(snap *store.Snapshot, input string) (*store.Image, error) {
	img, name, err := e.lookup(snap, input)
	if err == nil && name == "" {
		return img, nil
	}
	var ambiguity *AmbiguousError
	if errors.As(err, &ambiguity) {
		return nil, err
	}
	names, err := e.localNames(input)
	if err != nil {
		return nil, err
	}
	if name != "" {
		names = []string{name}
	}
	var held []*store.Image
	for i := range snap.Images {
		if slices.ContainsFunc(names, func(n string) bool { return hadName(&snap.Images[i], n) }) {
			held = append(held, &snap.Images[i])
		}
	}
	switch len(held) {
	case 0:
		return nil, &UnknownImageError{Input: input}
	case 1:
		return held[0], nil
	}
	return nil, ambiguous(input, held)
}

// lastLost returns the name that an image lost last: of its record, else the
// newest of the names that the store remembers.
func lastLost(img *store.Image) (string, error) {
	var newest store.Displacement
	for _, d := range img.Displaced {
		if !d.At.Before(newest.At) {
			newest = d
		}
	}
	if newest.Name != "" {
		return newest.Name, nil
	}
	for _, n := range img.NamesHistory {
		if !slices.Contains(img.Names, n) {
			return n, nil
		}
	}
	return "", fmt.Errorf("image %s has lost no name: give one with mpull tag", shortID(img.ID))
}

// lostName finds the full form of a name that an image had.
func (e *Engine) lostName(img *store.Image, name string) (string, error) {
	full, err := e.localNames(name)
	if err != nil {
		return "", err
	}
	for _, n := range full {
		if slices.Contains(img.Names, n) || slices.Contains(img.NamesHistory, n) {
			return n, nil
		}
	}
	return "", fmt.Errorf("image %s never had the name %s; it had %s: give it a new name with mpull tag",
		shortID(img.ID), name, strings.Join(img.NamesHistory, ", "))
}

// Use moves a name to the local image of a platform that holds it, once held
// it, or is kept under a digest name of its repository. No request is made.
func (e *Engine) Use(ctx context.Context, input string, request platform.Request, command string) (r Restored, err error) {
	err = e.write(ctx, func(w *store.Writer, snap *store.Snapshot) error {
		img, name, err := e.usable(snap, input, request)
		if err != nil {
			return err
		}
		r = Restored{ID: img.ID, Name: name, Platform: img.Platform(), Moved: newNameIndex(snap).holder[name] != img}
		return e.moveName(ctx, w, nameMove{name: name, to: img.ID, keep: isKept(img, name), command: command, snap: snap})
	})
	return r, err
}

// usable finds the image that Use means. Several images of the platform under
// one name are told apart by time only when one of them holds it.
func (e *Engine) usable(snap *store.Snapshot, input string, request platform.Request) (*store.Image, string, error) {
	names, err := e.localNames(input)
	if err != nil {
		return nil, "", err
	}
	if _, found, err := e.lookup(snap, input); err == nil && found != "" {
		names = append([]string{found}, names...)
	}
	index := newNameIndex(snap)
	for _, name := range names {
		var found []*store.Image
		var offered []platform.Platform
		for _, img := range index.family(name) {
			offered = append(offered, platformOf(img))
			if request.Target().Same(platformOf(img)) {
				found = append(found, img)
			}
		}
		for _, img := range found {
			if len(found) == 1 || index.holder[name] == img {
				return img, name, nil
			}
		}
		if len(found) > 1 {
			return nil, "", ambiguous(input, found)
		}
		if len(offered) > 0 {
			return nil, "", &NotHereError{Name: name, Request: request, Here: offered}
		}
	}
	return nil, "", &UnknownImageError{Input: input}
}

// NotHereError says that no local image of a name is of a platform.
type NotHereError struct {
	Name    string
	Request platform.Request
	Here    []platform.Platform
}

func (e *NotHereError) Error() string {
	here := make([]string, len(e.Here))
	for i, p := range e.Here {
		here[i] = p.String()
	}
	return fmt.Sprintf("no local image of %s is for %s; here are %s", e.Name, e.Request.Target(), strings.Join(here, ", "))
}
