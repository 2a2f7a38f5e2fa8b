package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// RemoveOptions says what to remove besides what was named.
type RemoveOptions struct {
	Force    bool              // by ID also an image with several names, and what CRI-O pins; never one that a container uses
	Ignore   bool              // an image that is not here is no error
	All      bool              // instead of those that are named all, but for those of read-only stores
	Platform *platform.Request // of the images of a name, the one of this platform
	Command  string            // recorded with names that are removed
	// KeepParents leaves the nameless images that a removed one was built on.
	KeepParents bool
}

// Removed is the result for one name or ID that was to be removed.
type Removed struct {
	Input    string
	Untagged []string       // names taken away
	Deleted  []string       // IDs of images deleted
	Others   []*store.Image // where a name that platforms shared went: those of its other platforms that are here
	Name     string         // that they could have
	Err      error
}

// Remove removes images as podman does: a name of an image with other names is
// only taken away; the last name goes with the image, and so do its nameless
// parents. Each input has its own result; the error is about the store itself.
func (e *Engine) Remove(ctx context.Context, inputs []string, o RemoveOptions) (results []Removed, err error) {
	if !store.Present(e.config.Store) {
		return e.removeNowhere(ctx, inputs, o), nil
	}
	err = e.deleter(ctx, func(d *store.Deleter) error {
		snap, err := d.Snapshot(ctx)
		if err == nil && o.All {
			inputs, o.Ignore = writable(snap), true
		}
		for _, input := range inputs {
			if err != nil {
				return err
			}
			r := Removed{Input: input}
			r.Err = e.removeOne(ctx, d, snap, o, &r)
			if query.IsUnknown(r.Err) && o.Ignore {
				r.Err = nil
			}
			results = append(results, r)
			snap, err = d.Snapshot(ctx)
		}
		return err
	})
	return results, err
}

// removeNowhere is Remove where no store is: what is here is in read-only ones.
func (e *Engine) removeNowhere(ctx context.Context, inputs []string, o RemoveOptions) (results []Removed) {
	for _, input := range inputs {
		r := Removed{Input: input, Err: e.absent(ctx, input)}
		switch {
		case r.Err == nil:
			r.Err = fmt.Errorf("%s is in a read-only image store: %w", input, store.ErrReadOnly)
		case query.IsUnknown(r.Err) && o.Ignore:
			r.Err = nil
		}
		results = append(results, r)
	}
	return results
}

// writable lists the IDs of the images that are not in a read-only store. One
// may go as the parent of another before it is its turn.
func writable(snap *store.Snapshot) (ids []string) {
	for i := range snap.Images {
		if !snap.Images[i].ReadOnly {
			ids = append(ids, snap.Images[i].ID)
		}
	}
	return ids
}

func (e *Engine) removeOne(ctx context.Context, d *store.Deleter, snap *store.Snapshot, o RemoveOptions, r *Removed) (err error) {
	img, name, err := e.removable(ctx, d.Store, snap, r.Input, o)
	if err != nil {
		return err
	}
	if img.ReadOnly {
		return fmt.Errorf("image %s is in a read-only image store: %w", query.ShortID(img.ID), store.ErrReadOnly)
	}
	if name == "" && len(img.Names) > 1 && !o.Force && !o.All {
		return fmt.Errorf("%s: image has several names: remove them one by one, or use --force (%s)", query.ShortID(img.ID), strings.Join(img.Names, ", "))
	}
	if err := e.unpinned(img, name, o.Force); err != nil {
		return err
	}
	if name != "" {
		defer func() {
			if err == nil {
				r.Name, r.Others = name, others(e.view(snap).Family(name), img)
			}
		}()
	}
	if name != "" && len(img.Names) > 1 {
		if _, err := d.RemoveName(ctx, name, o.Command); err != nil {
			return err
		}
		r.Untagged = append(r.Untagged, name)
		return nil
	}
	done, err := d.Delete(ctx, func(fresh *store.Snapshot) (store.Removal, error) { return removalOf(fresh, img, o.KeepParents) })
	if err != nil {
		return err
	}
	for _, one := range done {
		if one.Err != nil {
			return one.Err
		}
		r.Deleted = append(r.Deleted, one.ID)
	}
	r.Untagged = append(r.Untagged, img.Names...)
	return nil
}

// others are the images of a family but for one, and for lists.
func others(family []*store.Image, but *store.Image) (rest []*store.Image) {
	for _, img := range family {
		if img.ID != but.ID && !img.IsList && img.Platform() != "" {
			rest = append(rest, img)
		}
	}
	return rest
}

// unpinned is an error when CRI-O's configuration pins what would go: one of
// several names, else the image. Force overrides it, as crictl rmi does unasked.
func (e *Engine) unpinned(img *store.Image, name string, force bool) error {
	config, err := e.config.Store.CRIO.Config()
	if err != nil || force {
		return err
	}
	names := img.Names
	if name != "" && len(names) > 1 {
		names = []string{name}
	}
	for _, n := range names {
		if pattern := config.Pins(n); pattern != "" {
			return &PinnedError{Name: n, Pattern: pattern, Files: config.Files}
		}
	}
	return nil
}

// removalOf picks an image, as it was looked at before, and the nameless images
// that were there only for it, as podman does, unless these are kept.
func removalOf(fresh *store.Snapshot, img *store.Image, keepParents bool) (removal store.Removal, err error) {
	at := slices.IndexFunc(fresh.Images, func(i store.Image) bool { return i.ID == img.ID && !i.ReadOnly })
	removal.Images = []string{img.ID}
	if at < 0 {
		return removal, nil // somebody else was faster
	}
	now := &fresh.Images[at]
	if err := unused(fresh, now); err != nil {
		return removal, err
	}
	if gained := slices.DeleteFunc(slices.Clone(now.Names), func(n string) bool { return slices.Contains(img.Names, n) }); len(gained) > 0 {
		return removal, fmt.Errorf("the store changed meanwhile: image %s has the name %s since a moment ago, from another tool", query.ShortID(img.ID), strings.Join(gained, ", "))
	}
	if keepParents {
		return removal, nil
	}
	for parent := query.NewKinship(fresh).ParentID(now); parent != ""; {
		rest := *fresh
		rest.Images = slices.DeleteFunc(slices.Clone(fresh.Images), func(i store.Image) bool { return slices.Contains(removal.Images, i.ID) })
		kin := query.NewKinship(&rest)
		at := slices.IndexFunc(rest.Images, func(i store.Image) bool { return i.ID == parent })
		if at < 0 || !kin.Dangling(at) || rest.Images[at].ReadOnly || gc.InUse(&rest, &rest.Images[at]) != nil {
			break
		}
		removal.Images = append(removal.Images, parent)
		parent = kin.ParentID(&rest.Images[at])
	}
	return removal, nil
}

// unused is an error when a container or a mount uses an image.
func unused(snap *store.Snapshot, img *store.Image) error {
	user := gc.InUse(snap, img)
	switch {
	case user == nil:
		return nil
	case user.Reason == gc.Mounted:
		return fmt.Errorf("image %s is mounted, which the tool that mounted it can undo (podman image unmount): %w", query.ShortID(img.ID), store.ErrInUse)
	}
	return fmt.Errorf("image %s is used by container %s, which the tool that made it can remove: %w",
		query.ShortID(img.ID), cmp.Or(user.ByName, query.ShortID(user.By)), store.ErrInUse)
}

// removable finds what an input names. With a platform it may be an image that
// does not hold the name any more.
func (e *Engine) removable(ctx context.Context, s *store.Store, snap *store.Snapshot, input string, o RemoveOptions) (*store.Image, string, error) {
	view := e.view(snap)
	found, err := e.one(ctx, s, view, input, o.Platform)
	if notHere, ok := errors.AsType[*query.NotHereError](err); ok {
		return nil, "", &NotMeantError{notHere}
	}
	if err != nil {
		return nil, "", err
	}
	if o.Platform != nil {
		here := []platform.Platform{query.Told(found.Image, e.programs(ctx, s))}
		versions := versionsOf(view, found.Name, o.Platform.Target())
		if len(versions) > 1 {
			here = versions
		}
		if found.Unsaid || len(versions) > 1 {
			return nil, "", &NotMeantError{&query.NotHereError{Name: cmp.Or(found.Name, input), Request: *o.Platform, Here: here}}
		}
	}
	if !found.Held() {
		found.Name = ""
	}
	return found.Image, found.Name, nil
}

// versionsOf are the versions of Windows for which images of a name are here, where
// none is asked for.
func versionsOf(view *query.View, name string, asked platform.Platform) (versions []platform.Platform) {
	if asked.OS != "windows" || asked.OSVersion != "" || name == "" {
		return nil
	}
	for _, img := range view.Family(name) {
		if p := query.PlatformOf(img); asked.Same(p) && !slices.Contains(versions, p) {
			versions = append(versions, p)
		}
	}
	return versions
}

// NotMeantError says that no image is for the platform of which one was to be
// removed. A removal reaches no further than its words: an image that names no
// level answers to one everywhere else, as a pull takes it, and not here; and of
// several versions of Windows one must be named.
type NotMeantError struct{ *query.NotHereError }

// Unwrap returns what is here instead.
func (e *NotMeantError) Unwrap() error { return e.NotHereError }

// one finds the image that an input means, of a platform when one is asked for.
func (e *Engine) one(ctx context.Context, s *store.Store, view *query.View, input string, wanted *platform.Request) (query.Found, error) {
	if wanted == nil {
		return view.Find(input)
	}
	return e.of(ctx, s, view, input, *wanted)
}
