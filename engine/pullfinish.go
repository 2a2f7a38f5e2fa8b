package engine

import (
	"cmp"
	"context"
	"errors"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
)

// finish brings and names the image of one job.
func (p *pull) finish(ctx context.Context, source registry.Source, img *registry.Image, j *job) (err error) {
	d := j.choice.detail
	r := PullResult{ID: imageID(d), Digest: d.Digest, Platform: d.Platform(), Rule: j.choice.rule, Present: j.here != nil}
	if r.Present {
		r.ID = j.here.ID
	} else if err := p.commit(ctx, img, j); err != nil {
		return err
	}
	for _, l := range d.Layers {
		p.shared.keep.Forget(l.Digest)
	}
	if j.choice.unproven != nil {
		if r.Platform, err = p.prove(ctx, r.ID, j); err != nil {
			return err
		}
	}
	if j.result, err = p.name(ctx, r, p.target(source), j.named); err != nil {
		return err
	}
	for _, also := range source.Also {
		if !j.named || p.o.NoTag || p.o.As != "" {
			break
		}
		if _, err := p.name(ctx, r, also.String(), true); err != nil {
			return err
		}
	}
	j.done = true
	return nil
}

// announce says what was chosen, and warns where that needs a second look.
func (p *pull) announce(source registry.Source, j *job) {
	if j.announced {
		return // a retry tells of itself
	}
	j.announced = true
	c := j.choice
	m := p.lackOf(source, c.detail)
	p.engine.emit(Event{Resolved: &ResolvedEvent{
		Reference: cmp.Or(p.title, registry.RefName(source.Ref)), Platform: c.detail.Platform(), Rule: c.rule,
		Layers: m.layers, Bytes: c.detail.Size(), Here: m.here, Fetch: m.fetch, Kept: m.kept, Present: j.here != nil,
	}})
	if c.foreign {
		p.engine.note("warning: %s exists only for %s, not for this machine's %s",
			registry.RefName(source.Ref), cmp.Or(c.detail.Platform().String(), "no platform that it names"), platform.Native(p.engine.Platform()))
	}
	if said, config := c.detail.Instance.Platform, c.detail.Platform(); said.Complete() && config.Complete() &&
		(said.Architecture != config.Architecture || said.OS != config.OS || meets(said, j.requests) && !meets(config, j.requests)) {
		p.engine.note("warning: the index calls this image %s, its own config says %s", said, config)
	}
}

// meets tells whether a platform answers one of the requests.
func meets(p platform.Platform, requests []platform.Request) bool {
	_, err := platform.Choose(requests, []platform.Candidate{{Platform: &p}})
	return err == nil
}

// commit makes the chosen image in the store, under its ID.
func (p *pull) commit(ctx context.Context, img *registry.Image, j *job) (err error) {
	temp, release, err := p.w.TempDir(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := p.engine.copyImage(ctx, p.w, img, j.choice, temp, j.fetched, &p.o); err != nil {
		return err
	}
	// The library keeps the index only where it found the instance through it.
	for _, index := range img.Indexes(j.choice.detail.Instance) {
		if err := p.w.KeepIndex(imageID(j.choice.detail), index); err != nil {
			return err
		}
	}
	return nil
}

// allowed asks the signature policy about an image.
// Signatures may have to be fetched for that.
func (p *pull) allowed(ctx context.Context, img *registry.Image, c *choice) error {
	return p.engine.asker.Once(ctx, p.o.Retry, func(ctx context.Context, sys *types.SystemContext, _ *ask.Watchdog) error {
		policy, err := registry.Policy(sys)
		if err != nil {
			return err
		}
		defer policy.Destroy()
		for _, d := range []digest.Digest{"", c.detail.Digest} {
			if ok, err := policy.IsRunningImageAllowed(ctx, img.Unparsed(d)); !ok || err != nil {
				return registry.Disallowed(err)
			}
			if c.detail.Digest == img.Digest {
				break
			}
		}
		return nil
	})
}

// target is the name that the image gets: the one asked for, else the
// source's; "" when there is neither.
func (p *pull) target(source registry.Source) string {
	if p.o.As != "" || source.Name == nil {
		return p.o.As
	}
	return source.Name.String()
}
