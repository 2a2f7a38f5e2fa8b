package query

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
)

// UnknownError says that no local image is what the user typed.
type UnknownError struct {
	Input string
	Held  []store.Image // images that once had the name and lost it
	Image string        // short ID of the image that was asked for that name; "" means any
}

func (e *UnknownError) Error() string {
	if e.Image != "" {
		return fmt.Sprintf("image %s has no such name: %s", e.Image, e.Input)
	}
	return fmt.Sprintf("%s: no such image in local storage", e.Input)
}

// AmbiguousError says that what the user typed means several images.
type AmbiguousError struct {
	Input      string
	Candidates []string // one printable line each: ID, platform, name
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%q means more than one image: %s", e.Input, strings.Join(e.Candidates, "; "))
}

// NotHereError says that no local image of a name is of a platform.
type NotHereError struct {
	Name    string
	Request platform.Request
	Here    []platform.Platform
}

func (e *NotHereError) Error() string {
	here := make([]string, len(e.Here))
	for i, p := range e.Here {
		here[i] = cmp.Or(p.String(), "one that names no platform")
	}
	return fmt.Sprintf("no local image of %s is for %s; here are %s", e.Name, e.Request.Target(), strings.Join(here, ", "))
}

// Found is an image that an input means.
type Found struct {
	Image *store.Image
	// Name is the one by which it was found, held or lost; "" when that was
	// its ID or a digest.
	Name string
	// Unsaid says that it names no variant while one was asked for: nothing
	// better is here, and a registry may have it.
	Unsaid bool
}

// Held tells whether the image has the name by which it was found.
func (f Found) Held() bool { return f.Name != "" && slices.Contains(f.Image.Names, f.Name) }

// Find returns the local image that an input means:
//
//   - an ID, or an unambiguous beginning of one of at least three characters,
//     with or without sha256:
//   - sha256:DIGEST of a manifest or index of an image, or the beginning of it;
//     without sha256: from twelve characters on
//   - a full name, or a short one by aliases, search registries, or the end
//     of a name that is here
//   - NAME@DIGEST and NAME:TAG@DIGEST, where NAME may be short and DIGEST cut
//     short: an image of that repository with that digest. Both have to fit;
//     the tag does not matter then, as in podman. An image without a name
//     answers to those that it had.
//
// Where several images have a digest, as those of one index have, the one with
// a tag is meant.
func (v *View) Find(input string) (Found, error) {
	p := parse(input)
	var several error
	if p.id != "" {
		img, err := v.byID(input, p.id)
		if img != nil {
			return Found{Image: img}, nil
		}
		several = err
	}
	switch {
	case p.name != "" && p.digest != "":
		return v.byDigestName(input, p)
	case p.digest != "":
		found, err := v.oneOf(input, v.withDigest(p.digest))
		return found, cmp.Or(several, err)
	}
	var names []string
	if p.name != "" {
		var err error
		if names, err = v.fullNames(p.name); err != nil {
			return Found{}, err
		}
	}
	for _, n := range names {
		if img := v.names().holder[n]; img != nil {
			return Found{Image: img, Name: n}, nil
		}
	}
	if several != nil {
		return Found{}, several
	}
	if len(p.id) >= shortDigest {
		// The digest that a listing shows, without its algorithm.
		if images := v.withDigest(digest.Canonical.String() + ":" + p.id); len(images) > 0 {
			return v.oneOf(input, images)
		}
	}
	unknown := &UnknownError{Input: input}
	for _, img := range v.whoLost(names) {
		unknown.Held = append(unknown.Held, *img)
	}
	return Found{}, unknown
}

// shortDigest is how much of a digest is shown where there is little room.
const shortDigest = 12

// where returns the images of which something holds, in the store's order.
func (v *View) where(holds func(*store.Image) bool) (found []*store.Image) {
	for i := range v.snap.Images {
		if img := &v.snap.Images[i]; holds(img) {
			found = append(found, img)
		}
	}
	return found
}

// withDigest returns the images that have a digest which begins with prefix.
func (v *View) withDigest(prefix string) []*store.Image {
	return v.where(func(img *store.Image) bool { return HasDigest(img, prefix) })
}

// whoLost returns the images that had one of the names.
func (v *View) whoLost(names []string) []*store.Image {
	return v.where(func(img *store.Image) bool {
		return slices.ContainsFunc(LostBy(img), func(l Lost) bool { return slices.Contains(names, l.Name) })
	})
}

// byID finds an image by its ID or the beginning of it; nil for none.
func (v *View) byID(input, prefix string) (*store.Image, error) {
	found := v.where(func(img *store.Image) bool { return strings.HasPrefix(img.ID, prefix) })
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	}
	return nil, Ambiguous(input, found)
}

// byDigestName finds an image whose repository and digest both fit.
func (v *View) byDigestName(input string, p parts) (Found, error) {
	repositories, err := v.repositories(p.name)
	if err != nil {
		return Found{}, err
	}
	for _, repo := range repositories {
		if img := v.names().holder[repo+"@"+p.digest]; img != nil {
			return Found{Image: img, Name: repo + "@" + p.digest}, nil
		}
		if images := v.names().digested(repo, p.digest); len(images) > 0 {
			return v.oneOf(input, images)
		}
	}
	return Found{}, &UnknownError{Input: input}
}

// isDigest tells whether a text is a digest or the beginning of one.
func isDigest(text string) bool {
	_, hex, ok := strings.Cut(text, ":")
	return ok && hexText.MatchString(hex)
}

// repositories returns those that a name, whatever its tag, may be of.
func (v *View) repositories(name string) ([]string, error) {
	bare := Repository(name)
	names, err := v.resolve(bare)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, n := range names {
		all = append(all, Repository(n))
	}
	if !hasDomain(bare) {
		here := slices.Concat(ending(v.names().repos, "/"+bare), ending(v.names().lost, "/"+bare))
		slices.Sort(here)
		all = append(all, here...)
	}
	return all, nil
}

// oneOf picks the image that a digest means. Those of one index all have the
// index's digest: the one with a tag is meant.
func (v *View) oneOf(input string, images []*store.Image) (Found, error) {
	tagged := slices.DeleteFunc(slices.Clone(images), func(img *store.Image) bool { return !slices.ContainsFunc(img.Names, IsTag) })
	if len(tagged) == 1 {
		images = tagged
	}
	switch len(images) {
	case 0:
		return Found{}, &UnknownError{Input: input}
	case 1:
		return Found{Image: images[0]}, nil
	}
	return Found{}, Ambiguous(input, images)
}

// Ambiguous is the error that an input means any of several images.
func Ambiguous(input string, images []*store.Image) error {
	e := &AmbiguousError{Input: input}
	for _, img := range images {
		e.Candidates = append(e.Candidates, Describe(img))
	}
	return e
}
