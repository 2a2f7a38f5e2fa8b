package query

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"go.podman.io/image/v5/docker/reference"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
)

// Resolver returns the full names that a short name may stand for, the most
// likely first, as aliases and search registries have it.
type Resolver func(name string) ([]string, error)

// View is a snapshot that can be asked. It is for one goroutine.
type View struct {
	snap    *store.Snapshot
	resolve Resolver
	names   func() *index
	kin     func() *Kinship
	sizes   func() *Sizes
}

// New returns a view of a snapshot, which must not change meanwhile. Without a
// resolver a short name stands for one of localhost or of Docker Hub.
func New(snap *store.Snapshot, resolve Resolver) *View {
	if resolve == nil {
		resolve = plainNames
	}
	return &View{
		snap: snap, resolve: resolve,
		names: sync.OnceValue(func() *index { return newIndex(snap) }),
		kin:   sync.OnceValue(func() *Kinship { return NewKinship(snap) }),
		sizes: sync.OnceValue(func() *Sizes { return &Sizes{snap.LayersByID()} }),
	}
}

// plainNames is the Resolver of a machine without configuration.
func plainNames(name string) ([]string, error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, err
	}
	full := reference.TagNameOnly(ref).String()
	if hasDomain(name) {
		return []string{full}, nil
	}
	local, err := reference.ParseNormalizedNamed("localhost/" + name)
	if err != nil {
		return nil, err
	}
	return []string{reference.TagNameOnly(local).String(), full}, nil
}

// Snapshot returns what the view is of.
func (v *View) Snapshot() *store.Snapshot { return v.snap }

// Kinship tells how the images stand to each other.
func (v *View) Kinship() *Kinship { return v.kin() }

// Sizes tells how large the images are.
func (v *View) Sizes() *Sizes { return v.sizes() }

// fullNames returns the names that an input, without its digest, may stand for,
// the most likely first: those of the resolver, then those here that end in it
// (podman's rule: "alpine" means quay.io/team/alpine:latest when nothing closer
// is here), held ones before lost ones.
func (v *View) fullNames(name string) ([]string, error) {
	names, err := v.resolve(name)
	if err != nil {
		return nil, err
	}
	x, suffix := v.names(), suffixOf(name)
	return slices.Concat(names, ending(x.holder, suffix), ending(x.former, suffix)), nil
}

// suffixOf is how a full name ends that a short one may stand for; "" when the
// input is none.
func suffixOf(name string) string {
	ref, err := reference.Parse(name)
	if err != nil {
		return ""
	}
	named, ok := ref.(reference.Named)
	if !ok || hasDomain(named.Name()) {
		return ""
	}
	if t, ok := ref.(reference.Tagged); ok {
		return "/" + named.Name() + ":" + t.Tag()
	}
	return "/" + named.Name() + ":latest"
}

// PlatformOf returns an image's platform as a value, zero when not known.
func PlatformOf(img *store.Image) platform.Platform {
	if img.Config == nil {
		return platform.Platform{}
	}
	return img.Config.Claim()
}

// ShortID is as much of an ID as people are shown.
func ShortID(id string) string { return id[:min(12, len(id))] }

// Describe is one image in a line: short ID, platform, a name.
func Describe(img *store.Image) string {
	words := []string{ShortID(img.ID)}
	if p := img.Platform(); p != "" {
		words = append(words, p)
	} else if img.IsList {
		words = append(words, "manifest list")
	}
	if len(img.Names) > 0 {
		words = append(words, img.Names[0])
	} else if lost := LostBy(img); len(lost) > 0 {
		words = append(words, "(was "+lost[0].Name+")")
	}
	return strings.Join(words, " ")
}

// IsUnknown tells whether an error says that no image is what was meant.
func IsUnknown(err error) bool {
	return errors.As(err, new(*UnknownError))
}
