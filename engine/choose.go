package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
)

// choice is the instance that answers a request.
type choice struct {
	detail  *registry.Detail
	request platform.Request // the one that matched
	rule    platform.Rule
	foreign bool // a single image of another platform, taken because nobody asked for one

	decision  platform.Decision   // on instances, in their order
	instances []registry.Instance // with platforms read from configs where the index names none and it mattered
}

// choose finds the instance for an ordered list of requests. An explicit
// request that nothing fits is a *platform.NotFoundError, with a choice whose
// decision tells how each instance failed; without one, a single image of
// whatever platform is taken.
func choose(ctx context.Context, img *registry.Image, instances []registry.Instance, requests []platform.Request) (*choice, error) {
	candidates := candidatesOf(instances)
	decision, err := platform.Choose(requests, candidates)
	var notFound *platform.NotFoundError
	switch {
	case errors.As(err, &notFound) && !notFound.Explicit() && !img.IsIndex && len(instances) == 1:
		detail, err := img.Detail(ctx, instances[0])
		if err != nil {
			return nil, err
		}
		return &choice{detail: detail, request: requests[0], foreign: true, decision: decision, instances: instances}, nil
	case err != nil:
		return &choice{decision: decision, instances: instances}, err
	}
	detail, err := img.Detail(ctx, instances[decision.Chosen])
	if err != nil {
		return nil, err
	}
	c := &choice{detail: detail, request: decision.Attempts[len(decision.Attempts)-1].Request, rule: decision.Rule, decision: decision, instances: instances}
	if decision.Rule == platform.RuleNoPlatform {
		return confirm(ctx, img, instances, requests)
	}
	return c, nil
}

// confirm checks a choice that the index says nothing about against the
// config, entry after entry: the first whose config fits is taken.
func confirm(ctx context.Context, img *registry.Image, instances []registry.Instance, requests []platform.Request) (*choice, error) {
	resolved := slices.Clone(instances)
	for i := range resolved {
		if resolved[i].Attestation || resolved[i].Platform != (platform.Platform{}) {
			continue
		}
		d, err := img.Detail(ctx, resolved[i])
		if err != nil {
			return nil, err
		}
		resolved[i].Platform = d.Platform()
	}
	decision, err := platform.Choose(requests, candidatesOf(resolved))
	c := &choice{decision: decision, instances: resolved}
	if err != nil {
		return c, err
	}
	if c.detail, err = img.Detail(ctx, instances[decision.Chosen]); err != nil {
		return nil, err
	}
	c.request, c.rule = decision.Attempts[len(decision.Attempts)-1].Request, decision.Rule
	return c, nil
}

func candidatesOf(instances []registry.Instance) []platform.Candidate {
	candidates := make([]platform.Candidate, len(instances))
	for i, in := range instances {
		candidates[i] = platform.Candidate{Hidden: in.Attestation, Zstd: in.Zstd()}
		if in.Platform != (platform.Platform{}) {
			candidates[i].Platform = &instances[i].Platform
		}
	}
	return candidates
}
