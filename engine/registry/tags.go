package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/types"
)

// maxTagPages bounds the pages of one list of tags: a registry that always
// names a next page would otherwise keep the client for ever.
const maxTagPages = 10_000

// ErrTooManyPages is returned for a list of tags that does not end.
var ErrTooManyPages = errors.New("the list of tags does not end")

// Tags lists the tags of ref's repository in the registry's order, all pages.
// Mirrors are not asked: they need not know every tag. registries.conf says
// where the registry is and whether it may be insecure.
// sys must not be shared; observe is called with each URL before it is asked,
// nil means nobody looks.
func Tags(ctx context.Context, sys *types.SystemContext, ref types.ImageReference, observe func(*url.URL)) ([]string, error) {
	return tags(ctx, sys, ref, observe, maxTagPages)
}

func tags(ctx context.Context, sys *types.SystemContext, ref types.ImageReference, observe func(*url.URL), most int) ([]string, error) {
	physical, sys, err := primary(sys, ref)
	if err != nil {
		return nil, err
	}
	// The library follows the pages by itself. The one place where it asks
	// back before each request is this.
	var pages atomic.Int64
	sys.DockerProxy = func(u *url.URL) (*url.URL, error) {
		if strings.HasSuffix(u.Path, "/tags/list") && pages.Add(1) > int64(most) {
			return nil, ErrTooManyPages
		}
		return http.ProxyFromEnvironment(&http.Request{URL: u})
	}
	NewGuard(sys, physical).Observe(ctx, observe)
	list, err := docker.GetRepositoryTags(ctx, sys, physical)
	if err != nil {
		return nil, fmt.Errorf("listing the tags of %s: %w", ref.DockerReference().Name(), err)
	}
	return list, nil
}

// primary returns the reference under which the registry itself, not a mirror,
// is reached, and the context for it. The library does that for images, not
// for lists of tags.
func primary(sys *types.SystemContext, ref types.ImageReference) (types.ImageReference, *types.SystemContext, error) {
	named := ref.DockerReference()
	if named == nil || ref.Transport().Name() != docker.Transport.Name() {
		return nil, nil, fmt.Errorf("%s is in no registry", RefName(ref))
	}
	if err := notBlocked(sys, ref); err != nil {
		return nil, nil, err
	}
	places, err := pullPlaces(sys, named)
	if err != nil {
		return nil, nil, err
	}
	return places[len(places)-1].reached(sys) // mirrors come first
}
