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
}

// choose finds the instance for an ordered list of requests. An explicit
// request that nothing fits is a *platform.NotFoundError; without one, a
// single image of whatever platform is taken.
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
		return &choice{detail: detail, request: requests[0], foreign: true}, nil
	case err != nil:
		return nil, err
	}
	detail, err := img.Detail(ctx, instances[decision.Chosen])
	if err != nil {
		return nil, err
	}
	c := &choice{detail: detail, request: decision.Attempts[len(decision.Attempts)-1].Request, rule: decision.Rule}
	if decision.Rule == platform.RuleNoPlatform {
		return confirm(ctx, img, instances, requests, c)
	}
	return c, nil
}

// confirm checks a choice that the index says nothing about against the
// config, entry after entry: the first whose config fits is taken.
func confirm(ctx context.Context, img *registry.Image, instances []registry.Instance, requests []platform.Request, first *choice) (*choice, error) {
	resolved := slices.Clone(instances)
	details := make(map[int]*registry.Detail)
	for i := range resolved {
		if resolved[i].Attestation || resolved[i].Platform != (platform.Platform{}) {
			continue
		}
		d := first.detail
		if resolved[i].Digest != d.Digest {
			var err error
			if d, err = img.Detail(ctx, resolved[i]); err != nil {
				return nil, err
			}
		}
		details[i] = d
		resolved[i].Platform = d.Platform()
	}
	decision, err := platform.Choose(requests, candidatesOf(resolved))
	if err != nil {
		return nil, err
	}
	d := details[decision.Chosen]
	if d == nil {
		if d, err = img.Detail(ctx, resolved[decision.Chosen]); err != nil {
			return nil, err
		}
	}
	return &choice{detail: d, request: decision.Attempts[len(decision.Attempts)-1].Request, rule: decision.Rule}, nil
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
