package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"
	"golang.org/x/sync/errgroup"

	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// LockOptions says what to lock. The zero value locks every platform that an
// image offers.
type LockOptions struct {
	Platforms []Fallback // only these
	Retry     Retry
}

// Lock asks the registry which digests the tags of inputs stand for now, and
// puts them into l, in place of what it had for these names. No layer is asked
// for, and the store is not touched.
func (e *Engine) Lock(ctx context.Context, l *Lock, inputs []string, o LockOptions) error {
	if l.Images == nil {
		l.Images = map[string]LockedImage{}
	}
	names, locked := make([]string, len(inputs)), make([]LockedImage, len(inputs))
	var g errgroup.Group
	g.SetLimit(ask.Workers)
	errs := make([]error, len(inputs))
	for n, input := range inputs {
		g.Go(func() error {
			errs[n] = e.look(ctx, input, LookOptions{Retry: o.Retry}, func(ctx context.Context, img *registry.Image, source registry.Source) (err error) {
				tagged, ok := source.Name.(reference.NamedTagged)
				if !ok || source.Ref.Transport().Name() != "docker" {
					return fmt.Errorf("%s is no tag of a registry: only a tag can be locked", input)
				}
				names[n] = tagged.String()
				locked[n], err = e.lockedImage(ctx, img, o.Platforms)
				return err
			})
			return nil
		})
	}
	_ = g.Wait() // the first error in the order of the inputs counts
	for n := range inputs {
		if errs[n] != nil {
			return errs[n]
		}
		l.Images[names[n]] = locked[n]
	}
	return nil
}

func (e *Engine) lockedImage(ctx context.Context, img *registry.Image, wanted []Fallback) (LockedImage, error) {
	locked := LockedImage{Digest: img.Digest, Platforms: map[string]digest.Digest{}}
	instances, err := img.Instances(ctx)
	if err != nil {
		return locked, err
	}
	for _, requests := range wanted {
		c, err := e.chooseNamed(ctx, img, instances, requests)
		if err != nil {
			return locked, err
		}
		if p := c.detail.Platform(); p.Complete() {
			locked.Platforms[p.String()] = c.detail.Digest
			continue
		}
		return locked, fmt.Errorf("neither index nor config names a platform: it cannot be locked by one")
	}
	if len(wanted) > 0 {
		return locked, nil
	}
	if err = nameAll(ctx, img, instances); err != nil {
		return locked, err
	}
	for _, in := range instances {
		p := in.Platform.String()
		if _, again := locked.Platforms[p]; again || in.Attestation || in.Artifact != "" || !in.Platform.Complete() {
			continue // of two of one platform a pull takes the first
		}
		if _, err := platform.Parse(p); err != nil {
			return locked, fmt.Errorf("the index names a platform that cannot be locked: %w", err)
		}
		locked.Platforms[p] = in.Digest
	}
	if len(locked.Platforms) == 0 {
		return locked, fmt.Errorf("the index offers no platform")
	}
	return locked, nil
}

// locked are the pulls of the names of a lock.
func (e *Engine) locked(inputs []string, o PullOptions) (pulls []*pull, err error) {
	names, err := e.inLock(o.Lock, inputs)
	if err != nil {
		return nil, err
	}
	if len(o.Platforms) == 0 {
		native := platform.Native(e.Platform())
		native.Explicit = true
		o.Platforms = []Fallback{{native}}
	}
	for _, name := range names {
		locked := o.Lock.Images[name]
		p := &pull{o: o, input: query.WithDigest(name, locked.Digest), locked: &locked}
		p.o.As = name
		if o.All {
			p.o.All, p.o.Platforms = false, locked.fallbacks()
		}
		pulls = append(pulls, p)
	}
	return pulls, nil
}

// inLock finds the names that a user wrote in a lock; none means all.
func (e *Engine) inLock(l *Lock, inputs []string) ([]string, error) {
	if len(inputs) == 0 {
		return l.Names(), nil
	}
	return fullNames(e.view(&store.Snapshot{}), l.Names(), inputs, func(input string) error { return &NotLockedError{Name: input, Locked: l.Names()} })
}

// fallbacks is one wish for each locked platform.
func (i LockedImage) fallbacks() (all []Fallback) {
	for _, text := range slices.Sorted(maps.Keys(i.Platforms)) {
		if p, err := platform.Parse(text); err == nil {
			all = append(all, Fallback{{Platform: p, Native: true, Explicit: true}})
		}
	}
	return all
}

// notLocked refuses what the lock does not have.
func (p *pull) notLocked(j *job) error {
	return &NotLockedError{Name: p.o.As, Platform: j.requests[0].Target().String(), Locked: slices.Sorted(maps.Keys(p.locked.Platforms))}
}

// lockedLocal answers from the store: the image with the locked digests, which
// gets the name.
func (p *pull) lockedLocal(ctx context.Context, j *job) (PullResult, error) {
	for _, request := range j.requests {
		d, ok := p.locked.of(request)
		if !ok {
			continue
		}
		complete := p.engine.view(p.snap).Sizes()
		for i := range p.snap.Images {
			img := &p.snap.Images[i]
			if img.ConfigError != nil || img.IsList || !slices.Contains(img.Digests, d) || !slices.Contains(img.Digests, p.locked.Digest) || !complete.Complete(img) {
				continue
			}
			r := p.presentResult(img)
			r.Digest = d
			return p.name(ctx, r, p.o.As, j.named)
		}
		return PullResult{}, &query.UnknownError{Input: strings.TrimSpace(p.o.As + " with the digest " + d.String())}
	}
	return PullResult{}, p.notLocked(j)
}
