package engine

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/mpull/mpull/engine/pack"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// SaveOptions says which images of a name to save. The zero value saves the
// one that holds the name.
type SaveOptions struct {
	Platforms []Fallback // of the images that hold, held or are kept for the name, those of these platforms
	All       bool       // one image of each platform that is here
	TempDir   string     // where one layer at a time is compressed; "" means beside the store
	Disk      string     // a path on the disk that the archive goes to; "" means that it goes to none
}

// Saved is one image in an archive.
type Saved = pack.Saved

// Save writes local images to out as an archive (package archive).
func (e *Engine) Save(ctx context.Context, out io.Writer, inputs []string, o SaveOptions) (saved []Saved, err error) {
	err = e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		var groups []pack.Group
		for _, input := range inputs {
			images, name, err := e.toSave(ctx, s, snap, input, o)
			if err != nil {
				return err
			}
			groups = append(groups, pack.Group{Input: input, Name: name, Images: images})
		}
		saved, err = pack.Write(ctx, out, s, snap, groups, pack.Options{TempDir: o.TempDir, Disk: o.Disk})
		return err
	})
	return saved, err
}

// toSave finds the images that an input means: the holder of a name first.
func (e *Engine) toSave(ctx context.Context, s *store.Store, snap *store.Snapshot, input string, o SaveOptions) ([]*store.Image, string, error) {
	view := e.view(snap)
	meant, err := view.Find(input)
	if err != nil {
		return nil, "", err
	}
	img, name := meant.Image, meant.Name
	if name == "" || !o.All && len(o.Platforms) == 0 {
		return []*store.Image{img}, name, savable(input, img)
	}
	var found []*store.Image
	var here []platform.Platform
	program := e.programs(ctx, s)
	for _, one := range view.Family(name) {
		if savable(input, one) != nil || one.Config == nil {
			continue
		}
		p := query.Told(one, program)
		// The family is in the order of preference: a second image of one
		// platform lost the name earlier.
		if !slices.ContainsFunc(here, p.Same) {
			found, here = append(found, one), append(here, p)
		}
	}
	if o.All {
		if len(found) == 0 {
			return nil, "", savable(input, img)
		}
		return found, name, nil
	}
	var chosen []*store.Image
	for _, requests := range o.Platforms {
		at := heldOf(requests, here)
		if at < 0 {
			return nil, "", &query.NotHereError{Name: name, Request: requests[0], Here: here}
		}
		if !slices.Contains(chosen, found[at]) {
			chosen = append(chosen, found[at])
		}
	}
	return chosen, name, nil
}

// heldOf returns which of the platforms that are here answers the first request
// that any does, -1 for none.
func heldOf(f Fallback, here []platform.Platform) int {
	for _, r := range f {
		if at := r.Held(here); at >= 0 {
			return at
		}
	}
	return -1
}

// savable tells why an image cannot be saved.
func savable(input string, img *store.Image) error {
	switch {
	case img.IsList:
		return fmt.Errorf("%s is a manifest list of podman's, which holds no image: save its images by their names", input)
	case img.ConfigError != nil:
		return fmt.Errorf("image %s is damaged: %w", query.ShortID(img.ID), img.ConfigError)
	}
	return nil
}
