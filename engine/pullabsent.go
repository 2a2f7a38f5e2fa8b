package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mpull/mpull/engine/registry"
)

// firstImage reads instances until one is an image.
func firstImage(ctx context.Context, img *registry.Image, instances []*registry.Instance) (d *registry.Detail, err error) {
	for _, in := range instances {
		if d, err = img.Detail(ctx, *in); !errors.As(err, new(*registry.NotImageError)) {
			return d, err
		}
	}
	return nil, err
}

// leaveAbsent drops the jobs whose images are not there or turn out to be none.
// Where that leaves none, it is the first one's error.
func (p *pull) leaveAbsent() error {
	var first error
	var notes []string
	here := slices.DeleteFunc(slices.Clone(p.jobs), func(j *job) bool {
		switch {
		case j.absent != nil:
			p.absent = append(p.absent, j.absent)
			first = cmp.Or[error](first, j.absent)
		case j.artifact != nil:
			notes = append(notes, fmt.Sprintf("warning: %s is left out: %v", j.requests[0], j.artifact))
			first = cmp.Or[error](first, j.artifact)
		}
		return j.absent != nil || j.artifact != nil
	})
	if len(here) == 0 && first != nil {
		return first
	}
	for _, n := range notes {
		p.engine.note("%s", n)
	}
	if len(here) != len(p.jobs) {
		p.jobs = here
		p.electHolder()
	}
	return nil
}

// AbsentPlatformsError says which platforms that an index names were not there
// to be pulled. All others were.
type AbsentPlatformsError struct {
	Platforms []string // with the digest of each manifest
}

func (e *AbsentPlatformsError) Error() string {
	return "the index names what is not there: " + strings.Join(e.Platforms, ", ")
}

// tellAbsent reports what was left out: as an error, unless that was agreed to.
func (p *pull) tellAbsent() error {
	if len(p.absent) == 0 {
		return nil
	}
	e := &AbsentPlatformsError{}
	for _, a := range p.absent {
		e.Platforms = append(e.Platforms, fmt.Sprintf("%s (%s)", a.Instance.What(), a.Instance.Digest))
	}
	if !p.o.SkipMissing {
		return e
	}
	p.engine.note("warning: %v", e)
	return nil
}
