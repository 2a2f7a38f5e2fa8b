package registry

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"
)

// HeadDigest asks which digest a tag has now, with one HEAD request for each
// place that is asked: what registries.conf makes of the name, mirrors first,
// until one answers. Nothing is transferred that a registry counts as a pull.
// observe is called with each URL before it is asked; nil means nobody looks.
func HeadDigest(ctx context.Context, sys *types.SystemContext, ref types.ImageReference, observe func(*url.URL)) (digest.Digest, error) {
	named := ref.DockerReference()
	if ref.Transport().Name() != docker.Transport.Name() || named == nil {
		return "", fmt.Errorf("%s is not in a registry, so no tag of it can move", RefName(ref))
	}
	if err := notBlocked(sys, ref); err != nil {
		return "", err
	}
	places, err := pullPlaces(sys, named)
	if err != nil {
		return "", err
	}
	var found digest.Digest
	err = FirstOf(ctx, places, func(p place) error {
		ref, own, err := p.reached(sys)
		if err != nil {
			return err
		}
		NewGuard(own, ref).Observe(ctx, observe)
		found, err = docker.GetDigest(ctx, own, ref)
		return err
	})
	return found, err
}

// FirstOf asks one place after the other until one gives what is wanted, or ctx
// ends. The error has those of all that were asked.
func FirstOf[T any](ctx context.Context, places []T, ask func(T) error) error {
	var errs []error
	for _, p := range places {
		err := ask(p)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// place is where an image is looked for.
type place struct {
	named    reference.Named
	insecure bool
	mirror   bool
}

// pullPlaces lists where the library would look for an image, in its order.
func pullPlaces(sys *types.SystemContext, named reference.Named) ([]place, error) {
	r, err := sysregistriesv2.FindRegistry(sys, named.Name())
	if err != nil {
		return nil, fmt.Errorf("reading registries.conf: %w", err)
	}
	if r == nil {
		return []place{{named: named}}, nil
	}
	sources, err := r.PullSourcesFromReference(named)
	if err != nil {
		return nil, fmt.Errorf("reading registries.conf: %w", err)
	}
	places := make([]place, len(sources))
	for i, s := range sources {
		places[i] = place{named: s.Reference, insecure: s.Endpoint.Insecure, mirror: i < len(sources)-1}
	}
	return places, nil
}

// reached returns the reference and the context for what is asked of one place.
func (p place) reached(sys *types.SystemContext) (types.ImageReference, *types.SystemContext, error) {
	ref, err := docker.NewReference(reference.TagNameOnly(p.named))
	if err != nil {
		return nil, nil, err
	}
	own := *sys
	if p.mirror {
		own.DockerAuthConfig = nil // the password that the user typed is for the registry that he named
	}
	if p.insecure && own.DockerInsecureSkipTLSVerify == types.OptionalBoolUndefined {
		own.DockerInsecureSkipTLSVerify = types.OptionalBoolTrue
	}
	return ref, &own, nil
}

// ParseTag returns the registry reference of a full name with a tag.
func ParseTag(name string) (types.ImageReference, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, fmt.Errorf("reading the name %q: %w", name, err)
	}
	return docker.NewReference(named)
}
