package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
)

// PullPolicy says when a registry is asked. It is honoured per platform: an
// image of another platform under the same name does not count as present.
type PullPolicy string

// Pull policies, with podman's names.
const (
	PullAlways  PullPolicy = "always"  // ask, and take what the registry has
	PullMissing PullPolicy = "missing" // ask only when that platform is not here
	PullNewer   PullPolicy = "newer"   // ask; when that fails, what is here will do
	PullNever   PullPolicy = "never"   // never ask
)

// ParsePullPolicy reads a policy; "" is PullAlways.
func ParsePullPolicy(s string) (PullPolicy, error) {
	switch p := PullPolicy(s); p {
	case "":
		return PullAlways, nil
	case PullAlways, PullMissing, PullNewer, PullNever:
		return p, nil
	}
	return "", fmt.Errorf("unknown pull policy %q: use always, missing, newer or never", s)
}

// PullOptions says what to pull and what to do with names. The zero value
// pulls the host's platform and gives it the name.
type PullOptions struct {
	Platforms [][]platform.Request // one ordered fallback for each image wanted; nil means the host's platform
	Policy    PullPolicy           // "" means PullAlways
	As        string               // name for the result; "" means the source's own
	NoTag     bool                 // give the image its repo@digest name only
	Keep      bool                 // give the image that loses the name its repo@digest name, so that nothing prunes it
	Retry     Retry
	Limits    Limits
	Command   string // recorded with a displacement, e.g. "pull --platform linux/arm/v7"
}

// PullResult is one image pulled, or found to be here.
type PullResult struct {
	ID       string
	Name     string // the name it has now
	Digest   digest.Digest
	Platform platform.Platform
	Rule     platform.Rule // why this instance was chosen
	Present  bool          // nothing was fetched
}

// Pull brings images into the store and moves names to them, as the package
// documentation of store describes. On an error, what was there before is
// there still, under the names it had.
func (e *Engine) Pull(ctx context.Context, input string, o PullOptions) ([]PullResult, error) {
	if len(o.Platforms) == 0 {
		o.Platforms = [][]platform.Request{{platform.Native(e.Host().Platform)}}
	}
	var results []PullResult
	err := e.write(ctx, func(w *store.Writer, snap *store.Snapshot) error {
		p := &pull{Engine: e, w: w, snap: snap, o: o, input: input}
		return p.run(ctx, &results)
	})
	return results, err
}

// pull is one Pull under way.
type pull struct {
	*Engine
	w     *store.Writer
	snap  *store.Snapshot
	o     PullOptions
	input string
}

func (p *pull) run(ctx context.Context, results *[]PullResult) error {
	for i, requests := range p.o.Platforms {
		r, err := p.one(ctx, requests, i == p.holder())
		if err != nil {
			return err
		}
		*results = append(*results, r)
	}
	return nil
}

// holder is the index of the platform that gets the name when several are
// pulled: the host's own, else the first.
func (p *pull) holder() int {
	native := platform.Native(p.Host().Platform).Target()
	for i, requests := range p.o.Platforms {
		if requests[0].Target().Same(native) {
			return i
		}
	}
	return 0
}

// one brings one image. named says whether it gets the name.
func (p *pull) one(ctx context.Context, requests []platform.Request, named bool) (PullResult, error) {
	if p.o.Policy == PullMissing || p.o.Policy == PullNever {
		r, err := p.local(ctx, requests, named)
		if err == nil || p.o.Policy == PullNever || !isUnknown(err) {
			return r, err
		}
	}
	r, err := p.remote(ctx, requests, named)
	if err != nil && p.o.Policy == PullNewer && ctx.Err() == nil {
		if local, localErr := p.local(ctx, requests, named); localErr == nil {
			p.emit(Event{Note: &NoteEvent{Text: fmt.Sprintf("could not ask for a newer image, so the one that is here is used: %v", err)}})
			return local, nil
		}
	}
	return r, err
}

// local answers from the store, without a request: the image of that platform
// that holds the name, or held it and gets it back.
func (p *pull) local(ctx context.Context, requests []platform.Request, named bool) (PullResult, error) {
	if img, err := lookupID(p.snap, strings.TrimPrefix(p.input, "sha256:")); img != nil || err != nil {
		return PullResult{ID: img.ID, Digest: img.Digest, Platform: platformOf(img), Present: true}, err
	}
	names, err := p.localNames(p.input)
	if err != nil {
		return PullResult{}, err
	}
	for _, request := range requests {
		img, name := ofPlatform(p.snap, names, request)
		if img == nil || img.ConfigError != nil || !hasLayers(p.snap, img) {
			continue
		}
		r := PullResult{ID: img.ID, Digest: img.Digest, Platform: platformOf(img), Present: true}
		return p.name(ctx, r, name, named)
	}
	return PullResult{}, &UnknownImageError{Input: p.input, Held: onceHeld(p.snap, names)}
}

func isUnknown(err error) bool {
	var unknown *UnknownImageError
	return errors.As(err, &unknown)
}

// remote asks the sources that the input stands for, in order.
func (p *pull) remote(ctx context.Context, requests []platform.Request, named bool) (PullResult, error) {
	sys, err := p.config.Registry.SystemContext()
	if err != nil {
		return PullResult{}, err
	}
	sources, err := registry.Resolve(sys, p.input)
	if err != nil {
		return PullResult{}, err
	}
	var errs []error
	for _, source := range sources {
		r, err := p.from(ctx, source, requests, named)
		if err == nil {
			return r, source.Record()
		}
		errs = append(errs, fmt.Errorf("pulling %s: %w", refName(source.Ref), err))
		if ctx.Err() != nil {
			break
		}
	}
	return PullResult{}, errors.Join(errs...)
}

func (p *pull) from(ctx context.Context, source registry.Source, requests []platform.Request, named bool) (r PullResult, err error) {
	err = p.o.Retry.do(ctx, p.Engine, func() error {
		r, err = p.attempt(ctx, source, requests, named)
		if store.IsGone(err) {
			// What the snapshot says is there may be what vanished.
			if snap, snapErr := p.w.Snapshot(ctx); snapErr == nil {
				p.snap = snap
			}
		}
		return err
	})
	return r, err
}

// attempt reads, chooses, copies and names once.
func (p *pull) attempt(ctx context.Context, source registry.Source, requests []platform.Request, named bool) (r PullResult, err error) {
	sys, err := p.config.Registry.SystemContext()
	if err != nil {
		return r, err
	}
	img, c, err := p.look(ctx, sys, source, requests)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	r = PullResult{ID: imageID(c.detail), Digest: c.detail.Digest, Platform: c.detail.Platform(), Rule: c.rule}
	p.announce(source, c)
	if r.Present, err = p.bring(ctx, img, c); err != nil {
		return r, err
	}
	return p.name(ctx, r, p.target(source), named)
}

// look reads what the source offers and chooses from it. Close the image.
func (p *pull) look(ctx context.Context, sys *types.SystemContext, source registry.Source, requests []platform.Request) (img *registry.Image, c *choice, err error) {
	limit := p.o.Limits.idle()
	if err := watched(ctx, limit, func(ctx context.Context) error {
		img, err = registry.Open(ctx, sys, source.Ref)
		return err
	}); err != nil {
		return nil, nil, err
	}
	err = watched(ctx, limit, func(ctx context.Context) error {
		instances, err := img.Instances(ctx)
		if err != nil {
			return err
		}
		c, err = choose(ctx, img, instances, requests)
		return err
	})
	if err != nil {
		return nil, nil, errors.Join(err, img.Close())
	}
	return img, c, nil
}

// announce says what was chosen, and warns where that needs a second look.
func (p *pull) announce(source registry.Source, c *choice) {
	p.emit(Event{Resolved: &ResolvedEvent{
		Reference: refName(source.Ref), Platform: c.detail.Platform(), Rule: c.rule,
		Layers: len(c.detail.Layers), Bytes: c.detail.Size(),
	}})
	if c.foreign {
		p.emit(Event{Note: &NoteEvent{Text: fmt.Sprintf("warning: %s exists only for %s, not for this machine's %s",
			refName(source.Ref), c.detail.Platform(), p.Host().Platform)}})
	}
	if said := c.detail.Instance.Platform; said != (platform.Platform{}) && c.detail.Config.Architecture != "" &&
		(said.Architecture != c.detail.Config.Architecture || said.OS != c.detail.Config.OS) {
		p.emit(Event{Note: &NoteEvent{Text: fmt.Sprintf("warning: the index calls this image %s, its own config says %s", said, c.detail.Platform())}})
	}
}

// bring makes the chosen image complete in the store, under its ID.
func (p *pull) bring(ctx context.Context, img *registry.Image, c *choice) (present bool, err error) {
	if complete(p.snap, c.detail, img.Digest) != nil {
		return true, p.allowed(ctx, img, c)
	}
	if err := p.o.Limits.room(p.w, p.snap, c.detail); err != nil {
		return false, err
	}
	temp, release, err := p.w.TempDir(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, release()) }()
	return false, p.copyImage(ctx, p.w, img, c, temp, p.o.Limits)
}

// allowed asks the signature policy about an image that needs no copy.
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
	moved, err := p.move(ctx, name, r.ID)
	if err != nil {
		return r, err
	}
	r.Name = name
	if moved.Loser != nil {
		return r, p.displaced(ctx, moved, r.ID)
	}
	return r, nil
}

// move gives a name to an image, first keeping the one that holds it when that
// was asked for.
func (p *pull) move(ctx context.Context, name, id string) (*store.Moved, error) {
	if !p.o.Keep {
		return p.w.MoveName(ctx, name, id, p.o.Command)
	}
	holder, err := p.w.Lookup(name)
	if err == nil && holder.ID != id && holder.Digest != "" {
		if _, err := p.w.MoveName(ctx, digestName(name, holder.Digest), holder.ID, p.o.Command); err != nil {
			return nil, err
		}
	}
	return p.w.MoveName(ctx, name, id, p.o.Command)
}

// displaced reports a move, with what the loser holds on disk.
func (p *pull) displaced(ctx context.Context, moved *store.Moved, to string) error {
	ev := &MovedEvent{Name: moved.Name, To: to, Loser: moved.Loser, Entry: moved.Entry}
	if p.o.Keep {
		ev.Kept = digestName(moved.Name, moved.Loser.Digest)
	}
	snap, err := p.w.Snapshot(ctx)
	if err != nil {
		return err
	}
	p.snap = snap
	ev.Bytes = freedBy(snap, moved.Loser.ID)
	p.emit(Event{Moved: ev})
	return nil
}

// digestName returns repo@digest for a name.
func digestName(name string, d digest.Digest) string {
	return repoOf(name) + "@" + d.String()
}

// NormalizeName returns the full name that podman would give to what a user
// wrote as a new name: a name without a registry belongs to localhost, and one
// without a tag has the tag latest.
func NormalizeName(name string) (string, error) {
	ref, err := reference.Parse(name)
	if err != nil {
		return "", fmt.Errorf("reading the name %q: %w", name, err)
	}
	named, ok := ref.(reference.Named)
	if !ok {
		return "", fmt.Errorf("reading the name %q: a digest alone is no name", name)
	}
	if _, ok := ref.(reference.Digested); ok {
		return "", fmt.Errorf("reading the name %q: a name with a digest cannot be given away; use a tag", name)
	}
	first, _, slash := strings.Cut(named.Name(), "/")
	if !slash || !strings.ContainsAny(first, ".:") && first != "localhost" {
		name = "localhost/" + name
	}
	full, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", fmt.Errorf("reading the name %q: %w", name, err)
	}
	return reference.TagNameOnly(full).String(), nil
}
