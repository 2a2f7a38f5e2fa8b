package gc

import (
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/store"
)

// kin tells which images were built on which nameless ones.
type kin struct {
	parents  [][]int // image -> nameless images that it was built on
	children [][]int // nameless image -> images that were built on it
}

// spot is where a parent of an image may be found: on which top layer ("" for
// images without layers), with how long a history.
type spot struct {
	top     string
	history int
}

// newKin finds parents and children among images, by podman's rule (libimage:
// layer_tree.go, oci.go): see isChild. Only nameless parents are looked for:
// a name keeps an image anyway. A damaged image may be a child of any image
// below it: who does not know keeps.
func newKin(g *graph) *kin {
	images := g.snap.Images
	k := &kin{parents: make([][]int, len(images)), children: make([][]int, len(images))}
	at := make(map[spot][]int)
	on := make(map[string][]int)
	for i := range images {
		if img := &images[i]; len(img.Names) == 0 && img.Config != nil && !img.IsList && g.known(img.TopLayer) {
			s := spot{img.TopLayer, len(img.Config.History)}
			at[s] = append(at[s], i)
			on[img.TopLayer] = append(on[img.TopLayer], i)
		}
	}
	for i := range images {
		img := &images[i]
		if img.IsList || !g.known(img.TopLayer) {
			continue
		}
		for _, top := range g.below(img.TopLayer) {
			candidates := on[top]
			if img.Config != nil {
				candidates = at[spot{top, len(img.Config.History) - 1}]
			}
			for _, p := range candidates {
				if p != i && (img.Config == nil || isChild(images[p].Config, img.Config)) {
					k.parents[i] = append(k.parents[i], p)
					k.children[p] = append(k.children[p], i)
				}
			}
		}
	}
	return k
}

// known tells whether an image's layer is there: podman leaves images whose
// top layer is missing out of its tree. Images without layers are in it.
func (g *graph) known(top string) bool { return top == "" || g.find(top) != none }

// below returns the top layers that a parent of an image on top can have.
func (g *graph) below(top string) []string {
	if top == "" {
		return []string{""}
	}
	if parent := g.snap.Layers[g.find(top)].Parent; parent != "" {
		return []string{top, parent}
	}
	return []string{top}
}

// isChild tells whether child was built on parent in one step: it starts with
// the parent's diff IDs, and its history is the parent's plus one entry.
func isChild(parent, child *store.Config) bool {
	n := len(parent.DiffIDs)
	h := len(parent.History)
	return len(child.DiffIDs) >= n && slices.Equal(parent.DiffIDs, child.DiffIDs[:n]) &&
		len(child.History) == h+1 && slices.Equal(parent.History, child.History[:h])
}

// members returns the images that a local manifest list names, other than
// itself.
func (g *graph) members(list int, img *store.Image) []int {
	var found []int
	seen := make(map[digest.Digest]bool, len(img.Members))
	for _, d := range img.Members {
		if seen[d] {
			continue
		}
		seen[d] = true
		for _, at := range g.digests[d] {
			if at != list {
				found = append(found, at)
			}
		}
	}
	return found
}
