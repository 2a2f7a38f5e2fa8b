package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// Restored is what Restore and Use did. JSON names are stable.
type Restored struct {
	Name     string `json:"name"`
	ID       string `json:"id"`
	Platform string `json:"platform,omitempty"`
	IsList   bool   `json:"-"`     // it is a local manifest list
	Moved    bool   `json:"moved"` // false when the image held the name already
}

// Restore gives a name back to an image that lost it: the one asked for, else
// the last that it lost. No request is made. Of images pulled side by side the
// one that loses the name is kept, as the others are.
func (e *Engine) Restore(ctx context.Context, input, name string) (r Restored, err error) {
	err = e.change(ctx, input, func(w *store.Writer, view *query.View) error {
		img, err := restorable(view, input)
		if err != nil {
			return err
		}
		if name == "" {
			name, err = lastLost(img)
		} else {
			name, err = lostName(view, img, name)
		}
		if err != nil {
			return err
		}
		r, err = e.giveName(ctx, w, view, query.Found{Image: img, Name: name}, "restore")
		return err
	})
	return r, err
}

// giveName moves a name to an image of its family.
func (e *Engine) giveName(ctx context.Context, w *store.Writer, view *query.View, f query.Found, command string) (Restored, error) {
	r := Restored{ID: f.Image.ID, Name: f.Name, Platform: f.Image.Platform(), IsList: f.Image.IsList, Moved: view.Holder(f.Name) != f.Image}
	return r, e.moveName(ctx, w, nameMove{name: f.Name, to: r.ID, keep: isKept(f.Image, f.Name), command: command, snap: view.Snapshot()})
}

// restorable finds the image whose name is to come back: by ID or digest, or by
// the name that it lost when only one image lost it.
func restorable(view *query.View, input string) (*store.Image, error) {
	found, err := view.Find(input)
	if err == nil && found.Name == "" {
		return found.Image, nil
	}
	if err != nil && !query.IsUnknown(err) {
		return nil, err
	}
	losers, losersErr := view.Losers(input)
	if losersErr != nil {
		return nil, losersErr
	}
	switch len(losers) {
	case 0:
		if err == nil {
			return nil, &NothingLostError{Name: found.Name, ID: found.Image.ID}
		}
		return nil, &query.UnknownError{Input: input}
	case 1:
		return losers[0], nil
	}
	return nil, query.Ambiguous(input, losers)
}

// NothingLostError says that a name cannot be given back, as no image lost it.
type NothingLostError struct {
	Name string
	ID   string // of the image or list that has it
}

func (e *NothingLostError) Error() string {
	return fmt.Sprintf("no image has lost the name %s, which %s has", e.Name, query.ShortID(e.ID))
}

// lastLost returns the name that an image lost last.
func lastLost(img *store.Image) (string, error) {
	for _, l := range query.LostBy(img) {
		if fits(img, l.Name) {
			return l.Name, nil
		}
	}
	return "", fmt.Errorf("image %s has lost no name: give one with mpull tag", query.ShortID(img.ID))
}

// fits tells whether an image can have a name: a digest name is a promise about
// the contents.
func fits(img *store.Image, name string) bool {
	d := query.DigestOf(name)
	return d == "" || slices.Contains(img.Digests, d)
}

// lostName finds the full form of a name that an image had.
func lostName(view *query.View, img *store.Image, input string) (string, error) {
	had := append(query.LostNames(img), img.Names...)
	name, err := view.Named(had, input)
	if err != nil || name != "" && fits(img, name) {
		return name, err
	}
	return "", fmt.Errorf("image %s never had the name %s; it had %s: give it a new name with mpull tag",
		query.ShortID(img.ID), input, strings.Join(had, ", "))
}

// Use moves a name to the local image of a platform that holds it, once held
// it, or is kept under a digest name of its repository. No request is made.
func (e *Engine) Use(ctx context.Context, input string, request platform.Request) (r Restored, err error) {
	err = e.change(ctx, input, func(w *store.Writer, view *query.View) error {
		found, err := e.of(ctx, w.Store, view, input, request)
		if err != nil {
			return err
		}
		if found.Name == "" {
			return fmt.Errorf("%s names an image, not a name that could be switched to it: write the name, or give it one with mpull tag", input)
		}
		r, err = e.giveName(ctx, w, view, found, "use --platform "+request.String())
		return err
	})
	return r, err
}
