package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"
	"golang.org/x/sync/errgroup"

	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store/unpack"
)

// remote asks the sources that the input stands for, in order.
func (p *pull) remote(ctx context.Context) error {
	// Without a policy nothing is accepted, so nothing need be asked for.
	if err := p.engine.config.Registry.CheckPolicy(); err != nil {
		return err
	}
	if p.found != nil {
		if err := p.from(ctx, *p.found); err != nil {
			return fmt.Errorf("pulling %s: %w", registry.RefName(p.found.Ref), p.engine.asker.Explain(ctx, p.found.Ref, err))
		}
		return nil
	}
	var answered registry.Source
	err := p.engine.asker.Each(ctx, p.input, "pulling", func(source registry.Source) error {
		answered = source
		return p.from(ctx, source)
	})
	if err != nil || p.w == nil {
		return err
	}
	return answered.Record()
}

func (p *pull) from(ctx context.Context, source registry.Source) (err error) {
	read := &reading{source: source}
	defer func() { err = errors.Join(err, read.close()) }()
	return p.o.Retry.Persist(ctx, p.engine.asker, func() int64 { return p.reached(read) }, func() error {
		err := p.attempt(ctx, read)
		for err != nil && ctx.Err() == nil && p.askAnew(ctx, read, err) {
			err = p.attempt(ctx, read)
		}
		if err != nil {
			// What the snapshot says is there may have changed: another tool
			// removed it, or this attempt brought some of it.
			if snap, snapErr := p.s.Snapshot(ctx); snapErr == nil {
				p.snap = snap
			}
		}
		if errors.Is(err, ask.ErrStalled) { // nor will its connection answer the next time
			err = errors.Join(err, read.close())
		}
		return err
	})
}

// askAnew tells whether a try that was refused is worth another one at once: with
// the next place, where a mirror refused; else with a fresh token, where the pull
// has got further since it was given the last.
func (p *pull) askAnew(ctx context.Context, r *reading, err error) bool {
	if r.img == nil || !registry.IsAnswer(err) {
		return false
	}
	if r.img.Elsewhere(ctx) {
		return true
	}
	if !registry.IsRefusal(err) {
		return false
	}
	if snap, err := p.s.Snapshot(ctx); err == nil {
		p.snap = snap
	}
	reached := p.reached(r)
	if reached <= r.renewed {
		return false
	}
	r.renewed = reached
	return r.close() == nil
}

// reading is what is known of a source: tries that follow go on from there.
type reading struct {
	source registry.Source
	img    *registry.Image // nil when it has to be asked
	chosen bool            // for every job

	renewed int64 // what was reached when the source was opened anew
}

func (r *reading) close() error {
	if r.img == nil {
		return nil
	}
	img := r.img
	r.img = nil
	return img.Close()
}

// reached counts what need not be asked for again.
func (p *pull) reached(r *reading) (n int64) {
	if r.img != nil {
		n++
	}
	for _, j := range p.jobs {
		if j.choice != nil {
			n += 1 + int64(p.lackOf(r.source, j.choice.detail).here)
		}
	}
	return n
}

// attempt reads the source once, chooses for every job before anything is
// fetched, then brings and names one image after the other.
func (p *pull) attempt(ctx context.Context, r *reading) error {
	if err := p.choices(ctx, r); err != nil {
		return err
	}
	if err := p.guardAll(ctx, r.source); err != nil {
		return err
	}
	if p.w == nil {
		return p.planAll(ctx, r)
	}
	if err := p.fetchAll(ctx, r.source, r.img); err != nil {
		return err
	}
	for _, j := range p.jobs {
		if j.done {
			continue
		}
		err := p.finish(ctx, r.source, r.img, j)
		if unproven, ok := errors.AsType[*UnprovenError](err); ok {
			err = p.others(ctx, r, j, unproven)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// choices reads what the source offers and chooses for every job.
func (p *pull) choices(ctx context.Context, r *reading) error {
	if r.img != nil && r.chosen {
		return nil
	}
	// Once: from tries again, with what was reached.
	return p.engine.asker.Once(ctx, p.o.Retry, func(ctx context.Context, sys *types.SystemContext, watch *ask.Watchdog) (err error) {
		if r.img == nil {
			if r.img, err = registry.Open(ctx, sys, r.source.Ref); err != nil {
				return err
			}
			r.img.Local, p.asked = p.stored, registry.Asked{}
			p.tellSkipped(r.img)
		}
		r.img.Guard().Observe(ctx, watch.Asked)
		defer r.img.Guard().Observe(ctx, nil)
		err = p.choose(ctx, r.img)
		r.chosen = err == nil
		return err
	})
}

// tellSkipped tells of mirrors that did not give the image: pulls go on without
// them, slower, and nobody notices.
func (p *pull) tellSkipped(img *registry.Image) {
	mirrors, taken := img.Guard().Skipped()
	for _, mirror := range mirrors {
		p.engine.note("the mirror %s was asked first and did not give it: %s comes from %s", mirror, registry.RefName(img.Ref), taken)
	}
}

func (p *pull) choose(ctx context.Context, img *registry.Image) error {
	instances, err := img.Instances(ctx)
	if err != nil {
		return err
	}
	if p.o.All && p.jobs == nil {
		if err := p.allJobs(ctx, img, instances); err != nil {
			return err
		}
	}
	for _, j := range p.jobs {
		if j.done {
			continue
		}
		if err := p.chooseFor(ctx, img, instances, j); err != nil {
			return err
		}
	}
	if p.o.All {
		return p.leaveAbsent()
	}
	return nil
}

// chooseFor chooses for one job. What is not there of all platforms is noted.
func (p *pull) chooseFor(ctx context.Context, img *registry.Image, instances []registry.Instance, j *job) (err error) {
	if j.exact == nil {
		j.choice, err = p.engine.choose(ctx, img, instances, j.requests)
	} else {
		j.choice = &choice{request: j.requests[0], rule: platform.RuleExact, instances: instances}
		j.choice.detail, err = firstImage(ctx, img, j.exact)
	}
	now := img.Asked()
	j.asked, p.asked = registry.Asked{Manifests: now.Manifests - p.asked.Manifests, Blobs: now.Blobs - p.asked.Blobs}, now
	if err == nil {
		err = pullable(j.choice.detail)
	}
	if p.o.All && (errors.As(err, &j.absent) || errors.As(err, &j.artifact)) {
		return nil
	}
	if err == nil && p.locked != nil && !p.locked.has(j.choice.detail.Digest) {
		err = p.notLocked(j)
	}
	return err
}

// stored returns the manifest and the config of an image that is here: what a
// digest names need not be asked for again.
func (p *pull) stored(d digest.Digest) (manifest, config []byte, ok bool) {
	for i := range p.snap.Images {
		img := &p.snap.Images[i]
		if img.ConfigError != nil || img.IsList || !slices.Contains(img.Digests, d) {
			continue
		}
		manifest, err := p.s.Manifest(img, d)
		if err != nil {
			continue
		}
		if config, err = p.s.ConfigBlob(img); err == nil {
			return manifest, config, true
		}
	}
	return nil, nil, false
}

// fetchAll brings the layers of all images that need any at the same time,
// each blob once; committing and naming then go one after the other.
func (p *pull) fetchAll(ctx context.Context, source registry.Source, img *registry.Image) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(unpack.DefaultWorkers)
	for _, j := range p.jobs {
		if j.done {
			continue
		}
		j.here = complete(p.s, p.snap, j.choice.detail, img.Digest)
		p.announce(source, j)
		g.Go(func() (err error) {
			// The signature policy agrees before any layer is asked for.
			if err := p.allowed(ctx, img, j.choice); err != nil || j.here != nil {
				return err
			}
			if err := p.room(p.lackOf(source, j.choice.detail)); err != nil {
				return err
			}
			j.fetched, err = p.engine.fetchLayers(ctx, p.w, img, j.choice.detail, p.shared, func() []string { return like(p.snap, p.target(source)) }, &p.o)
			return err
		})
	}
	return g.Wait()
}

// allJobs makes a job for each platform that is offered, each version of Windows
// being one; of two entries of one platform the one that a pull of it takes.
func (p *pull) allJobs(ctx context.Context, img *registry.Image, instances []registry.Instance) error {
	instances = slices.Clone(instances)
	if err := nameAll(ctx, img, instances); err != nil {
		return err
	}
	at := map[platform.Platform]*job{}
	for i := range instances {
		in := &instances[i]
		if in.Attestation || in.Artifact != "" || in.Silent {
			continue
		}
		j := at[in.Platform]
		switch {
		case j == nil:
			j = &job{exact: []*registry.Instance{in}, requests: Fallback{{Platform: in.Platform, Native: true, Explicit: true}}}
			at[in.Platform] = j
			p.jobs = append(p.jobs, j)
		case in.Zstd() && !j.exact[0].Zstd():
			j.exact = slices.Insert(j.exact, 0, in)
		default:
			j.exact = append(j.exact, in)
		}
	}
	if len(p.jobs) == 0 {
		p.jobs = []*job{{requests: Fallback{platform.Native(p.engine.Platform())}}}
	}
	p.electHolder()
	return nil
}
