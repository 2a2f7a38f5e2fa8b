package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
)

// choice is the instance that answers a request.
type choice struct {
	detail  *registry.Detail
	request platform.Request // the one that matched
	rule    platform.Rule
	foreign bool // a single image of another platform, taken because nobody asked for one
	// unproven is why nothing fits, for an image that names no platform while one
	// was asked for: what its program is for decides, once that is here.
	unproven *platform.NotFoundError

	decision  platform.Decision   // on instances, in their order
	instances []registry.Instance // with platforms read from configs where the index names none and it mattered
}

// choose finds the instance for an ordered list of requests. An explicit
// request that nothing fits is a *platform.NotFoundError, with a choice whose
// decision tells how each instance failed; without one, a single image of
// whatever platform is taken. Where all that there is are artifacts, the error
// is a *registry.NotImageError.
func (e *Engine) choose(ctx context.Context, img *registry.Image, instances []registry.Instance, requests []platform.Request) (*choice, error) {
	c := &choice{instances: slices.Clone(instances)}
	var artifact *registry.NotImageError // what would have been taken if it were an image
	named := false
	for {
		var err error
		c.decision, err = platform.Choose(requests, candidatesOf(c.instances))
		at := c.decision.Chosen
		switch {
		case !named && (c.decision.Rule == platform.RuleNoPlatform || hasTwins(c.decision) || err != nil && wantsVersion(requests)):
			named = true
			if err := nameAll(ctx, img, c.instances); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			if at = c.instead(img, requests, err); at < 0 && artifact != nil {
				return c, artifact
			} else if at < 0 {
				return c, e.explain(err, img, c.instances)
			}
		default:
			c.rule, c.request = c.decision.Rule, c.decision.Attempts[len(c.decision.Attempts)-1].Request
		}
		c.detail, err = img.Detail(ctx, c.instances[at])
		if errors.As(err, &artifact) { // the index did not say so
			c.instances[at].Artifact = artifact.Type
			continue
		}
		if err != nil {
			return nil, err
		}
		return c, nil
	}
}

// other goes on to the next entry that names no platform, if there is one.
func (c *choice) other(ctx context.Context, img *registry.Image) (bool, error) {
	at := slices.IndexFunc(c.instances, func(in registry.Instance) bool { return in.Digest == c.detail.Digest })
	for i := at + 1; i > 0 && i < len(c.instances); i++ {
		if !unnamed(c.instances[i]) {
			continue
		}
		d, err := img.Detail(ctx, c.instances[i])
		if artifact, ok := errors.AsType[*registry.NotImageError](err); ok {
			c.instances[i].Artifact = artifact.Type
			continue
		}
		if err == nil {
			c.detail = d
		}
		return err == nil, err
	}
	return false, nil
}

// unnamed tells whether neither index nor config names the platform of an image.
func unnamed(in registry.Instance) bool { return in.Silent && !in.Attestation && in.Artifact == "" }

// wantsVersion tells whether a version of Windows is asked for.
func wantsVersion(requests []platform.Request) bool {
	return slices.ContainsFunc(requests, func(r platform.Request) bool { return r.Platform.OSVersion != "" })
}

// hasTwins tells whether other entries of the index fit as well as the one
// chosen: only their manifests tell then which of them are images.
func hasTwins(d platform.Decision) bool {
	return d.Chosen >= 0 && slices.ContainsFunc(d.Attempts[len(d.Attempts)-1].Verdicts, func(v platform.Verdict) bool { return v.Rule == platform.RuleDuplicate })
}

// chooseNamed is choose where files cannot be looked at: an image that names no
// platform answers no request for one.
func (e *Engine) chooseNamed(ctx context.Context, img *registry.Image, instances []registry.Instance, requests []platform.Request) (*choice, error) {
	c, err := e.choose(ctx, img, instances, requests)
	if err == nil && c.unproven != nil {
		return c, c.unproven
	}
	return c, err
}

// instead finds what is taken though nothing fits, -1 for nothing: a single image
// when nobody asked for a platform, and one that names none, whose program may.
func (c *choice) instead(img *registry.Image, requests []platform.Request, err error) int {
	notFound, ok := errors.AsType[*platform.NotFoundError](err)
	if !ok || len(requests) == 0 || len(notFound.Versions) > 0 {
		return -1
	}
	c.request = requests[0]
	if notFound.Explicit() {
		at := slices.IndexFunc(c.instances, unnamed)
		if at >= 0 {
			c.unproven, c.rule = notFound, platform.RuleUnnamed
		}
		return at
	}
	if img.IsIndex || len(c.instances) != 1 || c.instances[0].Artifact != "" {
		return -1
	}
	c.foreign = true
	return 0
}

// nameAll gives the entries that an index names no platform for the one that
// their configs claim, and those that it tells apart from others by nothing what
// their configs add to it: a variant, a version of Windows. It reads at most
// maxUnnamed configs.
func nameAll(ctx context.Context, img *registry.Image, instances []registry.Instance) error {
	alike := alike(instances)
	read := 0
	for i := range instances {
		in := &instances[i]
		if in.Attestation || in.Artifact != "" || in.Absent || in.Platform.Complete() && !alike[kindOf(*in)] {
			continue
		}
		if read++; read > maxUnnamed {
			in.Silent = !in.Platform.Complete()
			continue
		}
		d, err := img.Detail(ctx, *in)
		artifact, isArtifact := errors.AsType[*registry.NotImageError](err)
		switch {
		case isArtifact:
			in.Artifact = artifact.Type
		case errors.As(err, new(*registry.AbsentError)):
			in.Absent = true
		case err != nil:
			return err
		case !in.Platform.Complete():
			in.Names(d.Platform())
		default:
			in.Adds(d.Platform())
		}
	}
	return nil
}

// kind is what an index says of an image, as far as it decides a choice.
type kind struct {
	platform platform.Platform
	zstd     bool
}

func kindOf(in registry.Instance) kind { return kind{in.Platform, in.Zstd()} }

// alike finds what an index says of several images, and could say more of. Of
// Windows that is so with one image too, as each version is a platform.
func alike(instances []registry.Instance) map[kind]bool {
	seen, shared := map[kind]digest.Digest{}, map[kind]bool{}
	for _, in := range instances {
		k := kindOf(in)
		if p := k.platform; !p.Complete() || in.Attestation || in.Artifact != "" || in.Absent || p.Variant != "" || p.OSVersion != "" {
			continue
		}
		if first, ok := seen[k]; ok && first != in.Digest || k.platform.OS == "windows" {
			shared[k] = true
		} else {
			seen[k] = in.Digest
		}
	}
	return shared
}

func candidatesOf(instances []registry.Instance) []platform.Candidate {
	candidates := make([]platform.Candidate, len(instances))
	for i, in := range instances {
		candidates[i] = platform.Candidate{
			Zstd: in.Zstd(), Silent: in.Silent, Artifact: in.Artifact != "",
			Hidden: in.Attestation || in.Absent && !in.Platform.Complete(),
		}
		if in.Platform.Complete() {
			candidates[i].Platform = &instances[i].Said
		} else {
			candidates[i].Half = in.Platform
		}
	}
	return candidates
}

// explain adds what only the machine can tell to an error of platform.Choose.
func (e *Engine) explain(err error, img *registry.Image, instances []registry.Instance) error {
	notFound, ok := errors.AsType[*platform.NotFoundError](err)
	if !ok {
		return err
	}
	if len(notFound.Offered) == 0 {
		for _, in := range instances {
			if in.Artifact != "" {
				return &registry.NotImageError{Name: registry.RefName(img.Ref), Type: in.Artifact}
			}
		}
	}
	notFound.Hint = e.advise(notFound)
	if slices.ContainsFunc(instances, func(in registry.Instance) bool { return in.Deep }) {
		notFound.Hint = strings.TrimSuffix("there is "+registry.DeepIndex+"; "+notFound.Hint, "; ")
	}
	return err
}

// advise says what to pull instead, and what this machine would do with it.
func (e *Engine) advise(n *platform.NotFoundError) string {
	if len(n.Versions) > 0 {
		return "name one: " + pulls(n.Versions[0])
	}
	on := e.host()
	if len(n.Requests) > 0 && n.Requests[0].Platform.OS == "wasi" {
		return wasmAdvice
	}
	if p := n.Nearest; p != nil {
		use, emulator := hostUse(on, *p)
		switch here := on.Facts().Platform; {
		case use == HostEmulated:
			return fmt.Sprintf("the nearest is %s, which %s emulates here: %s", p, emulator, pulls(*p))
		case use == HostNone && p.Architecture == here.Architecture && here.Variant != "":
			return fmt.Sprintf("the nearest is %s, and this CPU has only %s: %s brings it all the same", p, here.Variant, pulls(*p))
		case use == HostNone:
			return fmt.Sprintf("the nearest is %s, which does not run here: %s brings it all the same", p, pulls(*p))
		}
		return fmt.Sprintf("the nearest is %s, which runs here, and is taken only when it is asked for: %s", p, pulls(*p))
	}
	for _, p := range n.Offered {
		if use, emulator := hostUse(on, p); use == HostEmulated {
			return fmt.Sprintf("%s emulates %s here: %s", emulator, p, pulls(p))
		} else if use == HostNative {
			return fmt.Sprintf("%s runs here: %s", p, pulls(p))
		}
	}
	if len(n.Offered) > 0 {
		return "none of them runs on this machine; " + pulls(n.Offered[0]) + " brings it all the same"
	}
	return ""
}

// pulls is the command that pulls a platform which an image offers.
func pulls(p platform.Platform) string {
	return "mpull pull " + cmp.Or(p.Flag(), "--all-platforms") + " ..."
}

// wasmAdvice says what can be done with images of WebAssembly.
const wasmAdvice = "images for wasi/wasm can be pulled, moved and saved where their layers are tar archives; " +
	"they start only where a binfmt_misc handler takes .wasm files, and modules that are artifacts are not for an image store"
