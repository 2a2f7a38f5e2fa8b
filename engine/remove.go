package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// RemoveOptions says what to remove besides what was named.
type RemoveOptions struct {
	Force    bool              // by ID also an image with several names; never one that a container uses
	Ignore   bool              // an image that is not here is no error
	Platform *platform.Request // of the images of a name, the one of this platform
	Command  string            // recorded with names that are removed
}

// Removed is the result for one name or ID that was to be removed.
type Removed struct {
	Input    string
	Untagged []string // names taken away
	Deleted  []string // IDs of images deleted
	Err      error
}

// ErrSeveralNames is returned when an image with several names was to be
// removed by ID without force.
var ErrSeveralNames = errors.New("image has several names: remove them one by one, or use --force")

// Remove removes images as podman does: a name of an image with other names is
// only taken away; the last name goes with the image, and so do its nameless
// parents. Each input has its own result; the error is about the store itself.
func (e *Engine) Remove(ctx context.Context, inputs []string, o RemoveOptions) ([]Removed, error) {
	var results []Removed
	err := e.remove(ctx, func(d *store.Deleter, snap *store.Snapshot) error {
		for _, input := range inputs {
			r := Removed{Input: input}
			r.Err = e.removeOne(ctx, d, snap, o, &r)
			if isUnknown(r.Err) && o.Ignore {
				r.Err = nil
			}
			results = append(results, r)
			var err error
			if snap, err = d.Snapshot(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return results, err
}

func (e *Engine) removeOne(ctx context.Context, d *store.Deleter, snap *store.Snapshot, o RemoveOptions, r *Removed) error {
	img, name, err := e.removable(snap, r.Input, o)
	if err != nil {
		return err
	}
	if img.ReadOnly {
		return fmt.Errorf("image %s is in a read-only image store: %w", shortID(img.ID), store.ErrReadOnly)
	}
	if name == "" && len(img.Names) > 1 && !o.Force {
		return fmt.Errorf("%s: %w (%s)", shortID(img.ID), ErrSeveralNames, strings.Join(img.Names, ", "))
	}
	if name != "" && len(img.Names) > 1 {
		if _, err := d.RemoveName(ctx, name, o.Command); err != nil {
			return err
		}
		r.Untagged = append(r.Untagged, name)
		return nil
	}
	if c := usedBy(snap, img.ID); c != nil {
		return fmt.Errorf("image %s is used by container %s, which the tool that made it can remove: %w", shortID(img.ID), containerName(c), store.ErrInUse)
	}
	if _, err := d.DeleteImage(ctx, img.ID); err != nil {
		return err
	}
	r.Untagged = append(r.Untagged, img.Names...)
	r.Deleted = append(r.Deleted, img.ID)
	return e.removeParents(ctx, d, snap, img.ID, r)
}

// removable finds what an input names. With a platform it may be an image that
// does not hold the name any more.
func (e *Engine) removable(snap *store.Snapshot, input string, o RemoveOptions) (*store.Image, string, error) {
	if o.Platform == nil {
		return e.lookup(snap, input)
	}
	img, name, err := e.usable(snap, input, *o.Platform)
	if err == nil && !slices.Contains(img.Names, name) {
		name = ""
	}
	return img, name, err
}

// removeParents deletes the nameless images that were there only for the one
// that went, as podman does.
func (e *Engine) removeParents(ctx context.Context, d *store.Deleter, before *store.Snapshot, id string, r *Removed) error {
	parent := gc.Kinship(before)[id].Parent
	for parent != "" {
		snap, err := d.Snapshot(ctx)
		if err != nil {
			return err
		}
		kin := gc.Kinship(snap)
		if !kin[parent].Dangling || usedBy(snap, parent) != nil {
			return nil
		}
		next := kin[parent].Parent
		if _, err := d.DeleteImage(ctx, parent); err != nil {
			return err
		}
		r.Deleted = append(r.Deleted, parent)
		parent = next
	}
	return nil
}

func usedBy(snap *store.Snapshot, imageID string) *store.Container {
	for i := range snap.Containers {
		if snap.Containers[i].ImageID == imageID {
			return &snap.Containers[i]
		}
	}
	return nil
}

func containerName(c *store.Container) string {
	if len(c.Names) > 0 {
		return c.Names[0]
	}
	return shortID(c.ID)
}
