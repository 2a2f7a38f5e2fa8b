package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"
	"golang.org/x/sync/errgroup"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/unpack"
)

// Pull brings images into the store and moves names to them, as the package
// documentation of store describes. Of several platforms of one input the
// host's own gets the name, else the first; the others get their repo@digest
// names. On an error, what was there before is there still, under the names it
// had; the results are those that were reached.
func (e *Engine) Pull(ctx context.Context, inputs []string, o PullOptions) ([]PullResult, error) {
	if len(o.Platforms) == 0 {
		o.Platforms = []Fallback{{platform.Native(e.Host().Platform)}}
	}
	var results []PullResult
	err := e.write(ctx, func(w *store.Writer, snap *store.Snapshot) error {
		group := unpack.NewGroup(unpack.DefaultWorkers)
		for _, input := range inputs {
			p := &pull{Engine: e, w: w, snap: snap, o: o, input: input, group: group}
			err := p.run(ctx)
			snap = p.snap
			for _, j := range p.jobs {
				if j.done {
					results = append(results, j.result)
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return results, err
}

// pull is one input of a Pull under way.
type pull struct {
	*Engine
	w     *store.Writer
	snap  *store.Snapshot
	o     PullOptions
	input string
	jobs  []*job
	group *unpack.Group // bounds the layers under way, over all inputs
}

// job is one image of a pull.
type job struct {
	requests Fallback
	named    bool // it gets the name itself, not its digest name
	choice   *choice
	present  bool // the store has it, complete
	fetched  bool // its layers are in the store
	done     bool
	result   PullResult
}

func (p *pull) run(ctx context.Context) error {
	if !p.o.All {
		for _, requests := range p.o.Platforms {
			p.jobs = append(p.jobs, &job{requests: requests})
		}
		p.electHolder()
	}
	if p.o.Policy == PullMissing || p.o.Policy == PullNever {
		if err := p.locals(ctx); err != nil {
			return err
		}
	}
	if len(p.jobs) > 0 && p.finished() {
		return nil
	}
	err := p.remote(ctx)
	if err != nil && p.o.Policy == PullNewer && ctx.Err() == nil && p.locals(ctx) == nil && p.finished() {
		p.emit(Event{Note: &NoteEvent{Text: fmt.Sprintf("could not ask for a newer image, so the one that is here is used: %v", err)}})
		return nil
	}
	return err
}

// electHolder decides which job gets the name: the host's own platform, else
// the first.
func (p *pull) electHolder() {
	native := platform.Native(p.Host().Platform).Target()
	at := slices.IndexFunc(p.jobs, func(j *job) bool { return j.requests[0].Target().Same(native) })
	for i, j := range p.jobs {
		j.named = i == max(at, 0)
	}
}

func (p *pull) finished() bool {
	return !slices.ContainsFunc(p.jobs, func(j *job) bool { return !j.done })
}

// locals answers what it can from the store. Under PullNever all must be
// there.
func (p *pull) locals(ctx context.Context) error {
	if p.o.All && p.o.Policy == PullNever {
		return fmt.Errorf("--policy never cannot tell what all platforms are: name them")
	}
	for _, j := range p.jobs {
		if j.done {
			continue
		}
		r, err := p.local(ctx, j)
		switch {
		case err == nil:
			j.result, j.done = r, true
		case p.o.Policy == PullNever || !isUnknown(err):
			return err
		}
	}
	return nil
}

// local answers from the store, without a request: the image of that platform
// that holds the name, or held it and gets it back.
func (p *pull) local(ctx context.Context, j *job) (PullResult, error) {
	img, err := lookupID(p.snap, strings.TrimPrefix(p.input, "sha256:"))
	if err != nil {
		return PullResult{}, err
	}
	if img != nil {
		return presentResult(img), nil
	}
	names, err := p.localNames(p.input)
	if err != nil {
		return PullResult{}, err
	}
	for _, request := range j.requests {
		img, name := ofPlatform(p.snap, names, request)
		if img == nil || img.ConfigError != nil || !hasLayers(p.snap, img) {
			continue
		}
		return p.name(ctx, presentResult(img), name, j.named)
	}
	return PullResult{}, &UnknownImageError{Input: p.input, Held: onceHeld(p.snap, names)}
}

func presentResult(img *store.Image) PullResult {
	return PullResult{ID: img.ID, Digest: img.Digest, Platform: platformOf(img), Present: true}
}

func isUnknown(err error) bool {
	var unknown *UnknownImageError
	return errors.As(err, &unknown)
}

// remote asks the sources that the input stands for, in order.
func (p *pull) remote(ctx context.Context) error {
	sys, err := p.config.Registry.SystemContext()
	if err != nil {
		return err
	}
	sources, err := registry.Resolve(sys, p.input)
	if err != nil {
		return err
	}
	var errs []error
	for _, source := range sources {
		err := p.from(ctx, source)
		if err == nil {
			return source.Record()
		}
		errs = append(errs, fmt.Errorf("pulling %s: %w", refName(source.Ref), err))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (p *pull) from(ctx context.Context, source registry.Source) error {
	return p.o.Retry.do(ctx, p.Engine, func() error {
		err := p.attempt(ctx, source)
		if err != nil {
			// What the snapshot says is there may have changed: another tool
			// removed it, or this attempt brought some of it.
			if snap, snapErr := p.w.Snapshot(ctx); snapErr == nil {
				p.snap = snap
			}
		}
		return err
	})
}

// attempt reads the source once, chooses for every job before anything is
// fetched, then brings and names one image after the other.
func (p *pull) attempt(ctx context.Context, source registry.Source) (err error) {
	sys, err := p.config.Registry.SystemContext()
	if err != nil {
		return err
	}
	img, err := p.look(ctx, sys, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	if err := p.fetchAll(ctx, source, img); err != nil {
		return err
	}
	for _, j := range p.jobs {
		if j.done {
			continue
		}
		if err := p.finish(ctx, source, img, j); err != nil {
			return err
		}
	}
	return nil
}

// look reads what the source offers and chooses for every job. Close the
// image.
func (p *pull) look(ctx context.Context, sys *types.SystemContext, source registry.Source) (img *registry.Image, err error) {
	limit := p.o.Limits.idle()
	if err := watched(ctx, limit, func(ctx context.Context) error {
		img, err = registry.Open(ctx, sys, source.Ref)
		return err
	}); err != nil {
		return nil, err
	}
	img.Local = p.stored
	if err := watched(ctx, limit, func(ctx context.Context) error { return p.chooseAll(ctx, img) }); err != nil {
		return nil, errors.Join(err, img.Close())
	}
	return img, nil
}

func (p *pull) chooseAll(ctx context.Context, img *registry.Image) error {
	instances, err := img.Instances(ctx)
	if err != nil {
		return err
	}
	if p.o.All && p.jobs == nil {
		p.allJobs(instances)
	}
	for _, j := range p.jobs {
		if j.done {
			continue
		}
		if j.choice, err = choose(ctx, img, instances, j.requests); err != nil {
			return err
		}
	}
	return nil
}

// stored returns the manifest and the config of an image that is here: what a
// digest names need not be asked for again.
func (p *pull) stored(d digest.Digest) (manifest, config []byte, ok bool) {
	return storedIn(p.w.Store, p.snap, d)
}

func storedIn(s *store.Store, snap *store.Snapshot, d digest.Digest) (manifest, config []byte, ok bool) {
	for i := range snap.Images {
		img := &snap.Images[i]
		if img.ConfigError != nil || img.IsList || !hasDigest(img, d) {
			continue
		}
		manifest, err := s.Manifest(img, d)
		if err != nil {
			continue
		}
		if config, err = s.ConfigBlob(img); err == nil {
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
		j.present = complete(p.snap, j.choice.detail, img.Digest) != nil
		p.announce(source, j)
		g.Go(func() (err error) {
			// The signature policy agrees before any layer is asked for.
			if err := p.allowed(ctx, img, j.choice); err != nil || j.present {
				return err
			}
			if err := p.o.Limits.room(p.w, p.snap, j.choice.detail); err != nil {
				return err
			}
			j.fetched, err = p.fetchLayers(ctx, p.w, img, j.choice.detail, p.group, p.o.Limits)
			return err
		})
	}
	return g.Wait()
}

// allJobs makes a job for each platform that is offered.
func (p *pull) allJobs(instances []registry.Instance) {
	seen := map[platform.Platform]bool{}
	for _, in := range instances {
		if in.Attestation || in.Platform == (platform.Platform{}) || seen[in.Platform] {
			continue
		}
		seen[in.Platform] = true
		p.jobs = append(p.jobs, &job{requests: Fallback{{Platform: in.Platform, Native: true, Explicit: true}}})
	}
	if len(p.jobs) == 0 {
		p.jobs = []*job{{requests: Fallback{platform.Native(p.Host().Platform)}}}
	}
	p.electHolder()
}

// finish brings and names the image of one job.
func (p *pull) finish(ctx context.Context, source registry.Source, img *registry.Image, j *job) (err error) {
	d := j.choice.detail
	r := PullResult{ID: imageID(d), Digest: d.Digest, Platform: d.Platform(), Rule: j.choice.rule}
	r.Present = j.present
	if !j.present {
		if err := p.commit(ctx, img, j); err != nil {
			return err
		}
	}
	if j.result, err = p.name(ctx, r, p.target(source), j.named); err != nil {
		return err
	}
	if !j.present {
		p.predict(ctx, p.w.Store, r.ID)
	}
	j.done = true
	return nil
}

// announce says what was chosen, and warns where that needs a second look.
func (p *pull) announce(source registry.Source, j *job) {
	c := j.choice
	p.emit(Event{Resolved: &ResolvedEvent{
		Reference: refName(source.Ref), Platform: c.detail.Platform(), Rule: c.rule,
		Layers: len(c.detail.Layers), Bytes: c.detail.Size(), Present: j.present,
	}})
	if c.foreign {
		p.emit(Event{Note: &NoteEvent{Text: fmt.Sprintf("warning: %s exists only for %s, not for this machine's %s",
			refName(source.Ref), c.detail.Platform(), platform.Native(p.Host().Platform))}})
	}
	if said := c.detail.Instance.Platform; said != (platform.Platform{}) && c.detail.Config.Architecture != "" &&
		(said.Architecture != c.detail.Config.Architecture || said.OS != c.detail.Config.OS) {
		p.emit(Event{Note: &NoteEvent{Text: fmt.Sprintf("warning: the index calls this image %s, its own config says %s", said, c.detail.Platform())}})
	}
}

// commit makes the chosen image in the store, under its ID.
func (p *pull) commit(ctx context.Context, img *registry.Image, j *job) (err error) {
	temp, release, err := p.w.TempDir(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	return p.copyImage(ctx, p.w, img, j.choice, temp, j.fetched, p.o.Limits)
}

// allowed asks the signature policy about an image.
func (p *pull) allowed(ctx context.Context, img *registry.Image, c *choice) error {
	sys, err := p.config.Registry.SystemContext()
	if err != nil {
		return err
	}
	policy, err := registry.Policy(sys)
	if err != nil {
		return err
	}
	defer policy.Destroy()
	for _, d := range []digest.Digest{"", c.detail.Digest} {
		if ok, err := policy.IsRunningImageAllowed(ctx, img.Unparsed(d)); !ok || err != nil {
			return fmt.Errorf("the signature policy does not allow it: %w", err)
		}
		if c.detail.Digest == img.Digest {
			break
		}
	}
	return nil
}

// target is the name that the image gets: the one asked for, else the
// source's; "" when there is neither.
func (p *pull) target(source registry.Source) string {
	if p.o.As != "" {
		return p.o.As
	}
	if source.Name == nil {
		return ""
	}
	return source.Name.String()
}

// name moves the name to the image, or gives it its repo@digest name when the
// name belongs to another platform of this command or was not wanted.
func (p *pull) name(ctx context.Context, r PullResult, name string, named bool) (PullResult, error) {
	if name == "" {
		return r, nil
	}
	if !named || p.o.NoTag {
		name = digestName(name, r.Digest)
	}
	r.Name = name
	return r, p.moveName(ctx, p.w, nameMove{name: name, to: r.ID, keep: p.o.Keep, command: p.o.Command})
}
