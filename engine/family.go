package engine

import (
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/store"
)

// nameIndex answers which images belong to a name, after one pass over the
// images.
type nameIndex struct {
	holder map[string]*store.Image   // name -> the image that holds it
	former map[string][]*store.Image // name -> images that held it, or hold it hidden in a read-only store, in the store's order
	kept   map[string][]*store.Image // repository -> images with a digest name of it
}

func newNameIndex(snap *store.Snapshot) *nameIndex {
	x := &nameIndex{
		holder: make(map[string]*store.Image, len(snap.Images)),
		former: make(map[string][]*store.Image),
		kept:   make(map[string][]*store.Image),
	}
	for i := range snap.Images {
		img := &snap.Images[i]
		for _, n := range img.Names {
			// A writable image comes before one of a read-only store with the name.
			switch before := x.holder[n]; {
			case before == nil:
				x.holder[n] = img
			case img.ReadOnly:
				x.former[n] = append(x.former[n], img)
			default:
				x.holder[n] = img
				x.former[n] = append(x.former[n], before)
			}
			if repo, _, digested := strings.Cut(n, "@"); digested {
				x.kept[repo] = append(x.kept[repo], img)
			}
		}
		for _, n := range img.NamesHistory {
			if !slices.Contains(img.Names, n) {
				x.former[n] = append(x.former[n], img)
			}
		}
	}
	return x
}

// family lists the images that belong to a name: the holder, the former
// holders, and those kept under a digest name of the repository that came
// from the same index as one of these.
func (x *nameIndex) family(name string) []*store.Image {
	var family []*store.Image
	digests := map[digest.Digest]bool{}
	seen := map[string]bool{}
	add := func(img *store.Image) {
		if img == nil || seen[img.ID] {
			return
		}
		seen[img.ID] = true
		family = append(family, img)
		for _, d := range img.Digests {
			digests[d] = true
		}
	}
	add(x.holder[name])
	for _, img := range x.former[name] {
		add(img)
	}
	for _, img := range x.kept[repoOf(name)] {
		if slices.ContainsFunc(img.Digests, func(d digest.Digest) bool { return digests[d] }) {
			add(img)
		}
	}
	return family
}
