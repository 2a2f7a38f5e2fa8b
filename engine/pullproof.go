package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// UnprovenError says that an image which names no platform is not for the one
// that was asked for, as far as its program tells.
type UnprovenError struct {
	ID     string
	Name   string
	Asked  string
	Actual string // what its program is for, "" when there is none to be read
	fresh  bool   // the image was not here before
}

func (e *UnprovenError) Error() string {
	actual := "and no program of it tells"
	if e.Actual != "" {
		actual = "and its program is for " + e.Actual
	}
	return fmt.Sprintf("%s names no platform, %s: it is not taken for %s", e.Name, actual, e.Asked)
}

// prove compares what was asked for with the program of an image that names no
// platform, and returns the platform of that program.
func (p *pull) prove(ctx context.Context, id string, j *job) (platform.Platform, error) {
	img, err := p.w.Lookup(id)
	if err != nil {
		return platform.Platform{}, err
	}
	actual, err := platform.Parse(p.actualPlatform(ctx, p.w.Store, img).Actual)
	if err == nil {
		_, err = platform.Choose(j.requests, []platform.Candidate{{Platform: &actual}})
	}
	if err != nil {
		return actual, &UnprovenError{ID: id, Name: p.input, Asked: j.requests[0].Target().String(), Actual: actual.String(), fresh: !j.present}
	}
	return actual, nil
}

// discard deletes an image that was brought only to look at its program, unless
// somebody has come to use it.
func (e *Engine) discard(ctx context.Context, err error) error {
	var unproven *UnprovenError
	if !errors.As(err, &unproven) || !unproven.fresh {
		return err
	}
	return errors.Join(err, e.deleter(ctx, func(d *store.Deleter) error {
		_, err := d.Delete(ctx, func(fresh *store.Snapshot) (removal store.Removal, _ error) {
			at := slices.IndexFunc(fresh.Images, func(i store.Image) bool { return i.ID == unproven.ID && !i.ReadOnly })
			if at >= 0 && len(fresh.Images[at].Names) == 0 && gc.InUse(fresh, &fresh.Images[at]) == nil {
				removal.Images = []string{unproven.ID}
			}
			return removal, nil
		})
		return err
	}))
}
