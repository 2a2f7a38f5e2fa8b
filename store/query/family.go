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

// Holder returns the image that has a full name, nil when none has.
func (v *View) Holder(name string) *store.Image { return v.names().holder[name] }

// Family lists the images that belong to a full name, in the order of
// preference: the holder, the former holders, and those kept under a digest name
// of the repository that came from the same index as one of these. Of a digest
// name only images with that digest are.
func (v *View) Family(name string) []*store.Image {
	var family []*store.Image
	digests := map[digest.Digest]bool{}
	seen := map[*store.Image]bool{}
	wanted := DigestOf(name)
	add := func(img *store.Image) {
		if img == nil || seen[img] || wanted != "" && !slices.Contains(img.Digests, wanted) {
			return
		}
		seen[img] = true
		family = append(family, img)
		for _, d := range img.Digests {
			digests[d] = true
		}
	}
	x := v.names()
	add(x.holder[name])
	for _, img := range x.former[name] {
		add(img)
	}
	for _, img := range x.kept[Repository(name)] {
		if slices.ContainsFunc(img.Digests, func(d digest.Digest) bool { return digests[d] }) {
			add(img)
		}
	}
	return family
}

// Relatives returns the first full name that an input may stand for which has a
// family, with that family. An input that is an ID or a digest has itself alone,
// and no name.
func (v *View) Relatives(input string) (name string, family []*store.Image, err error) {
	found, err := v.Find(input)
	p := parse(input)
	switch {
	case err == nil && found.Name == "":
		return "", []*store.Image{found.Image}, nil
	case err == nil:
		return found.Name, v.Family(found.Name), nil
	case !IsUnknown(err), p.name == "", p.digest != "":
		return "", nil, err
	}
	names, nameErr := v.fullNames(p.name)
	if nameErr != nil {
		return "", nil, nameErr
	}
	for _, n := range names {
		if family := v.Family(n); len(family) > 0 {
			return n, family, nil
		}
	}
	return "", nil, err
}

// Of returns the image of a platform among those that an input stands for. Of
// several the one is meant that holds the name. program tells what the program of
// an image is for that names no platform.
func (v *View) Of(input string, request platform.Request, program func(*store.Image) platform.Platform) (Found, error) {
	name, family, err := v.Relatives(input)
	if err != nil {
		return Found{}, err
	}
	if p := parse(input); p.digest != "" && p.name != "" {
		family = v.sameDigest(p, family)
	}
	missing := &NotHereError{Name: cmp.Or(name, input), Request: request}
	var images []*store.Image
	for _, img := range family {
		if img.Config != nil {
			images, missing.Here = append(images, img), append(missing.Here, Told(img, program))
		}
	}
	at := request.Held(missing.Here)
	switch {
	case len(images) == 0:
		return Found{}, &UnknownError{Input: input}
	case at < 0:
		return Found{}, missing
	}
	var found []*store.Image
	for i, p := range missing.Here {
		if p.Same(missing.Here[at]) {
			found = append(found, images[i])
		}
	}
	if len(found) == 1 || v.Holder(name) == found[0] {
		return Found{Image: found[0], Name: name, Unsaid: !request.Target().Same(missing.Here[at])}, nil
	}
	return Found{}, Ambiguous(input, found)
}

// Told returns the platform of an image: what it names, else what its program is for.
func Told(img *store.Image, program func(*store.Image) platform.Platform) platform.Platform {
	if p := PlatformOf(img); p.Complete() {
		return p
	}
	return program(img)
}

// sameDigest adds to the image that NAME@DIGEST means the others that have both:
// an index's digest is that of each of its images.
func (v *View) sameDigest(p parts, family []*store.Image) []*store.Image {
	repositories, err := v.repositories(p.name)
	if err != nil {
		return family
	}
	for _, repo := range repositories {
		for _, img := range v.names().digested(repo, p.digest) {
			if !slices.Contains(family, img) {
				family = append(family, img)
			}
		}
	}
	return family
}

// Named returns which of some full names an input stands for, "" when it stands
// for none of them.
func (v *View) Named(names []string, input string) (string, error) {
	p := parse(input)
	if p.name == "" {
		return "", fmt.Errorf("%s is no name", input)
	}
	if p.digest != "" {
		repositories, err := v.repositories(p.name)
		if err != nil {
			return "", err
		}
		for _, repo := range repositories {
			if n := repo + "@" + p.digest; slices.Contains(names, n) {
				return n, nil
			}
		}
		return "", nil
	}
	full, err := v.resolve(p.name)
	if err != nil {
		return "", err
	}
	if at := slices.IndexFunc(full, func(n string) bool { return slices.Contains(names, n) }); at >= 0 {
		return full[at], nil
	}
	suffix := suffixOf(p.name)
	if at := slices.IndexFunc(names, func(n string) bool { return suffix != "" && strings.HasSuffix(n, suffix) }); at >= 0 {
		return names[at], nil
	}
	return "", nil
}

// Losers lists the images that lost a name which an input stands for.
func (v *View) Losers(input string) ([]*store.Image, error) {
	p := parse(input)
	if p.name == "" || p.digest != "" {
		return nil, nil
	}
	names, err := v.fullNames(p.name)
	if err != nil {
		return nil, err
	}
	if at := slices.IndexFunc(names, func(n string) bool { return v.Holder(n) != nil }); at >= 0 {
		names = names[at : at+1]
	}
	return v.whoLost(names), nil
}
