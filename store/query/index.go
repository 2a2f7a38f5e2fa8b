package query

import (
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/store"
)

// index finds images by name, after one pass over them.
type index struct {
	holder map[string]*store.Image   // name -> the image that holds it
	former map[string][]*store.Image // name -> images that held it, or hold it hidden in a read-only store, in the store's order
	repos  map[string][]*store.Image // repository -> images with a name of it
	lost   map[string][]*store.Image // repository -> images without a name that had one of it
	kept   map[string][]*store.Image // repository -> images with a digest name of it
}

func newIndex(snap *store.Snapshot) *index {
	x := &index{
		holder: make(map[string]*store.Image, len(snap.Images)), former: make(map[string][]*store.Image),
		repos: make(map[string][]*store.Image), lost: make(map[string][]*store.Image), kept: make(map[string][]*store.Image),
	}
	for i := range snap.Images {
		img := &snap.Images[i]
		for _, n := range img.Names {
			x.hold(n, img)
			once(x.repos, Repository(n), img)
			if strings.Contains(n, "@") {
				once(x.kept, Repository(n), img)
			}
		}
		for _, l := range LostBy(img) {
			x.former[l.Name] = append(x.former[l.Name], img)
			if len(img.Names) == 0 {
				once(x.lost, Repository(l.Name), img)
			}
		}
	}
	return x
}

// once adds an image to a list that does not end in it already.
func once(lists map[string][]*store.Image, key string, img *store.Image) {
	if list := lists[key]; len(list) == 0 || list[len(list)-1] != img {
		lists[key] = append(list, img)
	}
}

// hold notes a name. A writable image comes before one of a read-only store
// with the same name.
func (x *index) hold(name string, img *store.Image) {
	switch before := x.holder[name]; {
	case before == nil:
		x.holder[name] = img
	case img.ReadOnly:
		x.former[name] = append(x.former[name], img)
	default:
		x.holder[name] = img
		x.former[name] = append(x.former[name], before)
	}
}

// ending returns the names in a part of an index that end in a suffix, sorted, so
// that the answer does not depend on the store's order; none for no suffix.
func ending[V any](part map[string]V, suffix string) (names []string) {
	for n := range part {
		if suffix != "" && strings.HasSuffix(n, suffix) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// digested returns the images of a repository, by names now or, of nameless
// ones, before, that have a digest which begins with prefix.
func (x *index) digested(repository, prefix string) []*store.Image {
	for _, list := range [...][]*store.Image{x.repos[repository], x.lost[repository]} {
		found := slices.DeleteFunc(slices.Clone(list), func(img *store.Image) bool { return !HasDigest(img, prefix) })
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// HasDigest tells whether a manifest kept with an image has a digest that
// begins with prefix, such as sha256:8068.
func HasDigest[T ~string](img *store.Image, prefix T) bool {
	return prefix != "" && slices.ContainsFunc(img.Digests, func(d digest.Digest) bool { return strings.HasPrefix(d.String(), string(prefix)) })
}
