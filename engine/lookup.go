package engine

import (
	"fmt"
	"slices"
	"strings"

	"go.podman.io/image/v5/docker/reference"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
)

// UnknownImageError says that no local image has what the user typed as its
// name or ID.
type UnknownImageError struct {
	Input string
	// Held lists images that once had the name and lost it.
	Held []store.Image
}

func (e *UnknownImageError) Error() string {
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

// minID is how many characters of an ID a user must give: fewer could not be
// told from a short name.
const minID = 3

// lookup finds the local image that the user means by a name, a short name, an
// ID or the beginning of one. name is the name under which it was found, ""
// when it was the ID.
func (e *Engine) lookup(snap *store.Snapshot, input string) (img *store.Image, name string, err error) {
	input = strings.TrimPrefix(input, "containers-storage:")
	byName := newNameIndex(snap).holder
	if img, err := lookupID(snap, strings.TrimPrefix(input, "sha256:")); img != nil || err != nil {
		return img, "", err
	}
	names, err := e.localNames(input)
	if err != nil {
		return nil, "", err
	}
	for _, n := range names {
		if img := byName[n]; img != nil {
			return img, n, nil
		}
		if img := lookupDigest(snap, n); img != nil {
			return img, "", nil
		}
	}
	if n := lookupSuffix(byName, input); n != "" {
		return byName[n], n, nil
	}
	return nil, "", &UnknownImageError{Input: input, Held: onceHeld(snap, names)}
}

func (e *Engine) localNames(input string) ([]string, error) {
	sys, err := e.config.Registry.SystemContext()
	if err != nil {
		return nil, err
	}
	return registry.LocalNames(sys, input)
}

// lookupID finds an image by its ID or an unambiguous beginning of it.
func lookupID(snap *store.Snapshot, prefix string) (*store.Image, error) {
	if len(prefix) < minID || len(prefix) > 64 || strings.Trim(prefix, "0123456789abcdef") != "" {
		return nil, nil
	}
	var found []*store.Image
	for i := range snap.Images {
		if strings.HasPrefix(snap.Images[i].ID, prefix) {
			found = append(found, &snap.Images[i])
		}
	}
	if len(found) > 1 {
		return nil, ambiguous(prefix, found)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[0], nil
}

// lookupDigest finds an image of name@digest whose repository has a name of
// the same repository, as podman does: a tagged image answers to its digests.
func lookupDigest(snap *store.Snapshot, name string) *store.Image {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil
	}
	digested, ok := ref.(reference.Digested)
	if !ok {
		return nil
	}
	for i := range snap.Images {
		img := &snap.Images[i]
		if slices.Contains(img.Digests, digested.Digest()) && slices.ContainsFunc(img.Names, func(n string) bool { return repoOf(n) == ref.Name() }) {
			return img
		}
	}
	return nil
}

// lookupSuffix finds a name whose repository ends in what was typed: "alpine"
// means quay.io/team/alpine:latest when nothing closer is there (podman's
// rule). Of several the first in order of names is taken, so that the answer
// does not depend on the store's order.
func lookupSuffix(byName map[string]*store.Image, input string) string {
	ref, err := reference.Parse(input)
	if err != nil {
		return ""
	}
	named, ok := ref.(reference.Named)
	if !ok {
		return ""
	}
	suffix := "/" + named.Name()
	if t, ok := ref.(reference.Tagged); ok {
		suffix += ":" + t.Tag()
	} else {
		suffix += ":latest"
	}
	best := ""
	for n := range byName {
		if strings.HasSuffix(n, suffix) && (best == "" || n < best) {
			best = n
		}
	}
	return best
}

// onceHeld lists the images that had one of the names.
func onceHeld(snap *store.Snapshot, names []string) []store.Image {
	var held []store.Image
	for _, img := range snap.Images {
		if slices.ContainsFunc(names, func(n string) bool { return hadName(&img, n) }) {
			held = append(held, img)
		}
	}
	return held
}

// hadName tells whether an image once had a name that it does not hold now.
func hadName(img *store.Image, name string) bool {
	return !slices.Contains(img.Names, name) && slices.Contains(img.NamesHistory, name)
}

// ofPlatform finds the local image of a request among those that hold or held
// one of the names or are kept under a digest name of its repository: the
// holder first, then the newest in the store.
func ofPlatform(snap *store.Snapshot, names []string, request platform.Request) (*store.Image, string) {
	var best *store.Image
	bestName, bestRank := "", 0
	for i := range snap.Images {
		img := &snap.Images[i]
		if img.Config == nil || !request.Target().Same(platformOf(img)) {
			continue
		}
		for _, n := range names {
			if rank := nameRank(img, n); rank > bestRank {
				best, bestName, bestRank = img, n, rank
			}
		}
	}
	return best, bestName
}

// nameRank says how close an image is to a name: it holds it (3), held it (2),
// is kept under a digest name of the same repository after having held it (1).
func nameRank(img *store.Image, name string) int {
	switch {
	case slices.Contains(img.Names, name):
		return 3
	case hadName(img, name):
		return 2
	}
	return 0
}

func ambiguous(input string, images []*store.Image) error {
	e := &AmbiguousError{Input: input}
	for _, img := range images {
		e.Candidates = append(e.Candidates, describe(img))
	}
	return e
}

// describe is one image in a line: short ID, platform, a name.
func describe(img *store.Image) string {
	s := shortID(img.ID)
	if p := img.Platform(); p != "" {
		s += " " + p
	}
	switch {
	case len(img.Names) > 0:
		s += " " + img.Names[0]
	case len(img.NamesHistory) > 0:
		s += " (was " + img.NamesHistory[0] + ")"
	}
	return s
}

// platformOf returns an image's platform as a value, zero when not known.
func platformOf(img *store.Image) platform.Platform {
	if img.Config == nil {
		return platform.Platform{}
	}
	return platform.Platform{OS: img.Config.OS, Architecture: img.Config.Architecture, Variant: img.Config.Variant}
}

func shortID(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}

// repoOf returns the repository of a name, without tag and digest.
func repoOf(name string) string {
	if at := strings.IndexByte(name, '@'); at >= 0 {
		name = name[:at]
	}
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	return name
}
