package engine

import (
	"cmp"
	"context"
	"fmt"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// GuardedError says that a name was to move to an image of another platform,
// while the image that has it is in use. It is a kind of store.ErrInUse.
type GuardedError struct {
	Name string
	User gc.Keeper // what uses the image that has the name
	From platform.Platform
	To   platform.Platform
}

func (e *GuardedError) Error() string {
	return fmt.Sprintf("%s is in use by %s for %s, and --guard-tags keeps it from %s", e.Name, e.user(), e.From, e.To)
}

// warning says the same of a name that did move.
func (e *GuardedError) warning() string {
	return fmt.Sprintf("warning: %s is for %s now, while %s uses it for %s: what is started by that name next is of the other platform", e.Name, e.To, e.user(), e.From)
}

func (e *GuardedError) user() string {
	if e.User.Reason == gc.Mounted {
		return "a mount"
	}
	return "container " + cmp.Or(e.User.ByName, query.ShortID(e.User.By))
}

// Unwrap makes it a store.ErrInUse.
func (e *GuardedError) Unwrap() error { return store.ErrInUse }

// guard tells what a move of a name to an image of another platform does to what
// uses it, nil when there is nothing to tell; where names are guarded that is the
// error. The image need not be here yet.
func (e *Engine) guard(ctx context.Context, s *store.Store, name, to string, wanted platform.Platform) (*GuardedError, error) {
	holder, err := s.Lookup(name)
	if err != nil || holder.ID == to || holder.IsList {
		return nil, nil //nolint:nilerr // nobody has the name
	}
	from := query.PlatformOf(holder)
	if !from.Complete() || !wanted.Complete() || from.Same(wanted) {
		return nil, nil // the platform stays
	}
	snap, err := s.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	user := gc.InUse(snap, holder)
	if user == nil {
		return nil, nil // nothing uses it
	}
	found := &GuardedError{Name: name, User: *user, From: from, To: wanted}
	if e.config.GuardTags {
		return nil, found
	}
	return found, nil
}

// guardAll asks about the names that a pull will move, before it fetches
// anything.
func (p *pull) guardAll(ctx context.Context, source registry.Source) error {
	if !p.engine.config.GuardTags || p.o.NoTag {
		return nil
	}
	for _, j := range p.jobs {
		if j.done || !j.named {
			continue
		}
		names := []string{p.target(source)}
		if p.o.As == "" {
			for _, also := range source.Also {
				names = append(names, also.String())
			}
		}
		for _, name := range names {
			if name == "" {
				continue
			}
			if _, err := p.engine.guard(ctx, p.s, name, imageID(j.choice.detail), j.choice.detail.Platform()); err != nil {
				return err
			}
		}
	}
	return nil
}
