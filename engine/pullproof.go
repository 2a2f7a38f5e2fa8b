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
)

// UnprovenError says that an image which names no platform is not for the one
// that was asked for, as far as its program tells.
type UnprovenError struct {
	ID     string
	Name   string
	Asked  string
	Actual []string // what its program is for, and those of others in its index; none when there is none to be read
	fresh  bool     // the image was not here before
}

func (e *UnprovenError) Error() string {
	actual := "and no program of it tells"
	switch len(e.Actual) {
	case 0:
	case 1:
		actual = "and its program is for " + e.Actual[0]
	default:
		actual = "and its programs are for " + strings.Join(e.Actual, ", ")
	}
	return fmt.Sprintf("%s names no platform, %s: it is not taken for %s", e.Name, actual, e.Asked)
}

// prove compares what was asked for with the program of an image that names no
// platform, and returns the platform of that program.
func (p *pull) prove(ctx context.Context, id string, j *job) (platform.Platform, error) {
	img, err := p.s.Lookup(id)
	if err != nil {
		return platform.Platform{}, err
	}
	actual, err := platform.Parse(p.engine.actualPlatform(ctx, p.s, img).Actual)
	if err == nil {
		_, err = platform.Choose(j.requests, []platform.Candidate{{Platform: &actual}})
	}
	if err != nil {
		unproven := &UnprovenError{ID: id, Name: p.input, Asked: j.requests[0].Target().String(), fresh: j.here == nil}
		if actual.Complete() {
			unproven.Actual = []string{actual.String()}
		}
		return actual, unproven
	}
	return actual, nil
}

// others tries the entries of an index that name no platform one after the
// other, until one is proven, behind the one that is not.
func (p *pull) others(ctx context.Context, r *reading, j *job, unproven *UnprovenError) error {
	first := unproven
	for {
		p.refused = append(p.refused, unproven)
		more, err := j.choice.other(ctx, r.img)
		if err != nil || !more || p.locked != nil {
			return cmp.Or[error](err, first)
		}
		j.fetched, j.announced = false, false
		if err := p.fetchAll(ctx, r.source, r.img); err != nil {
			return err
		}
		err = p.finish(ctx, r.source, r.img, j)
		if !errors.As(err, &unproven) {
			return err
		}
		for _, a := range unproven.Actual {
			if !slices.Contains(first.Actual, a) {
				first.Actual = append(first.Actual, a)
			}
		}
	}
}

// discard deletes images that were brought only to look at their programs, the
// one that err is about among them, unless somebody has come to use one.
func (e *Engine) discard(ctx context.Context, err error, refused ...*UnprovenError) error {
	errs := []error{err}
	if unproven, ok := errors.AsType[*UnprovenError](err); ok && !slices.Contains(refused, unproven) {
		refused = append(refused, unproven)
	}
	for _, r := range refused {
		if r.fresh {
			errs = append(errs, e.discardOne(ctx, r))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) discardOne(ctx context.Context, unproven *UnprovenError) error {
	return e.deleter(ctx, func(d *store.Deleter) error {
		_, err := d.Delete(ctx, func(fresh *store.Snapshot) (removal store.Removal, _ error) {
			at := slices.IndexFunc(fresh.Images, func(i store.Image) bool { return i.ID == unproven.ID && !i.ReadOnly })
			if at >= 0 && len(fresh.Images[at].Names) == 0 && gc.InUse(fresh, &fresh.Images[at]) == nil {
				removal.Images = []string{unproven.ID}
			}
			return removal, nil
		})
		return err
	})
}
