package registry

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"
)

// errGivenUp is why a mirror is not asked any more.
var errGivenUp = errors.New("this mirror lacks a part of the image")

// spot is a repository on a host, as it stands in URLs.
type spot struct{ host, repo string }

// spotOf returns where a manifest or a blob is asked for.
func spotOf(u *url.URL) (spot, bool) {
	path, ok := strings.CutPrefix(u.Path, "/v2/")
	for _, kind := range []string{"/manifests/", "/blobs/"} {
		if at := strings.LastIndex(path, kind); ok && at >= 0 {
			return spot{u.Host, path[:at]}, true
		}
	}
	return spot{}, false
}

// visit notes where something is asked for, and refuses mirrors that were given up.
func (g *Guard) visit(u *url.URL) error {
	s, ok := spotOf(u)
	if !ok || !g.hosts[u.Host] {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.givenUp[s] {
		return errGivenUp
	}
	g.last = s
	return nil
}

// giveUp stops asking the mirror that was asked last; false when that is none.
func (g *Guard) giveUp(mirrors []spot) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range mirrors {
		if m == g.last && !g.givenUp[m] {
			g.givenUp[m] = true
			return true
		}
	}
	return false
}

// Elsewhere goes on with the next of the places that registries.conf names for
// the image, when the mirror that was asked last did not give what it should
// have: the library itself does so for the first manifest, and for blobs that a
// mirror says it lacks. It returns false, and changes nothing, where that was no
// mirror, or none of the other places has the same image.
func (i *Image) Elsewhere(ctx context.Context) bool { return i.leave(ctx, i.Source()) }

// leave is Elsewhere for what was asked of a source: another one may have left
// that already.
func (i *Image) leave(ctx context.Context, src types.ImageSource) bool {
	i.srcMu.Lock()
	defer i.srcMu.Unlock()
	if i.src != src {
		return true
	}
	mirrors := i.mirrors()
	return len(mirrors) > 0 && i.guard.giveUp(mirrors) && i.reopen(ctx) == nil
}

// HasMirrors tells whether registries.conf names mirrors for the image.
func (i *Image) HasMirrors() bool { return len(i.mirrors()) > 0 }

func (i *Image) mirrors() (mirrors []spot) {
	if !i.InRegistry() {
		return nil
	}
	places, err := pullPlaces(i.sys, i.Ref.DockerReference())
	if err != nil {
		return nil
	}
	for _, p := range places {
		if p.mirror {
			mirrors = append(mirrors, spot{asked(reference.Domain(p.named)), reference.Path(p.named)})
		}
	}
	return mirrors
}

// reopen reads the first manifest anew, from wherever it is there. srcMu is held.
func (i *Image) reopen(ctx context.Context) error {
	src, err := i.Ref.NewImageSource(ctx, i.sys)
	if err != nil {
		return err
	}
	blob, _, err := src.GetManifest(ctx, nil)
	if err == nil {
		if same, matchErr := manifest.MatchesDigest(blob, i.Digest); matchErr != nil || !same {
			err = errors.Join(errors.New("the tag has moved"), matchErr)
		}
	}
	if err != nil {
		return errors.Join(err, src.Close())
	}
	old := i.src
	i.src = src
	return old.Close()
}

// anywhere calls f, and calls it again with the next place as long as one fails
// that is a mirror.
func (i *Image) anywhere(ctx context.Context, f func() error) error {
	for {
		src := i.Source()
		err := f()
		if err == nil || ctx.Err() != nil || errors.As(err, new(*NotImageError)) || !i.leave(ctx, src) {
			return err
		}
	}
}
