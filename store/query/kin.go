package query

import (
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/store"
)

// Kinship tells how the images of a snapshot stand to each other, by podman's
// rules (libimage: layer_tree.go, oci.go). Images are told by their index in the
// snapshot.
type Kinship struct {
	// Blind is a local manifest list that cannot be read: it may name any
	// image. Nil when there is none.
	Blind *store.Image

	images   []store.Image
	parents  [][]int // image -> nameless images that it was built on
	children [][]int // nameless image -> images that were built on it
	lists    map[digest.Digest][]int
	digests  map[digest.Digest][]int // of images that are in lists
	at       map[string]int          // by ID
}

// NewKinship finds parents, children and lists. Only nameless parents are
// looked for: a name keeps an image anyway. A damaged image may be a child of
// any image below it: who does not know keeps.
func NewKinship(snap *store.Snapshot) *Kinship {
	n := len(snap.Images)
	k := &Kinship{
		images: snap.Images, parents: make([][]int, n), children: make([][]int, n),
		lists: make(map[digest.Digest][]int), digests: make(map[digest.Digest][]int), at: make(map[string]int, n),
	}
	k.findLists()
	tree := newTree(snap, func(img *store.Image) bool { return len(img.Names) == 0 })
	for i := range snap.Images {
		k.at[snap.Images[i].ID] = i
		for _, p := range tree.parentsOf(i) {
			k.parents[i] = append(k.parents[i], p)
			k.children[p] = append(k.children[p], i)
		}
	}
	return k
}

func (k *Kinship) findLists() {
	for i := range k.images {
		img := &k.images[i]
		if img.IsList && img.ConfigError != nil {
			k.Blind = img
		}
		for _, d := range img.Members {
			if !slices.Contains(k.lists[d], i) {
				k.lists[d] = append(k.lists[d], i)
			}
		}
	}
	for i := range k.images {
		if d := k.images[i].Digest; len(k.lists[d]) > 0 {
			k.digests[d] = append(k.digests[d], i)
		}
	}
}

// Parents returns the nameless images that image i was built on.
func (k *Kinship) Parents(i int) []int { return k.parents[i] }

// Children returns the images that were built on image i, when it has no name.
func (k *Kinship) Children(i int) []int { return k.children[i] }

// Lists returns the local manifest lists, other than itself, that name image i.
func (k *Kinship) Lists(i int) []int {
	return slices.DeleteFunc(slices.Clone(k.lists[k.images[i].Digest]), func(list int) bool { return list == i })
}

// Members returns the images, other than itself, that local list i names.
func (k *Kinship) Members(i int) []int {
	var found []int
	seen := make(map[digest.Digest]bool, len(k.images[i].Members))
	for _, d := range k.images[i].Members {
		if seen[d] {
			continue
		}
		seen[d] = true
		for _, at := range k.digests[d] {
			if at != i {
				found = append(found, at)
			}
		}
	}
	return found
}

// Dangling tells whether image i has no name, no child image, and is in no
// local manifest list; where a list cannot be read, any image may be in it.
func (k *Kinship) Dangling(i int) bool {
	return len(k.images[i].Names) == 0 && len(k.children[i]) == 0 && len(k.Lists(i)) == 0 && k.Blind == nil
}

// Intermediate tells whether image i is only a step of a build: it has no name,
// and others were built on it.
func (k *Kinship) Intermediate(i int) bool {
	return len(k.images[i].Names) == 0 && len(k.children[i]) > 0
}

// At returns the index of the image with an ID, which must be in the snapshot.
func (k *Kinship) At(img *store.Image) int { return k.at[img.ID] }

// ParentID returns the ID of a nameless image that an image was built on, ""
// when there is none.
func (k *Kinship) ParentID(img *store.Image) string {
	if parents := k.parents[k.at[img.ID]]; len(parents) > 0 {
		return k.images[parents[0]].ID
	}
	return ""
}

// Parents returns what tells the ID of the image, with or without a name, that
// another one was built on; "" when that is not here.
func (v *View) Parents() func(*store.Image) string {
	tree := newTree(v.snap, func(*store.Image) bool { return true })
	at := make(map[string]int, len(v.snap.Images))
	for i := range v.snap.Images {
		at[v.snap.Images[i].ID] = i
	}
	return func(img *store.Image) string {
		if img.Config == nil {
			return ""
		}
		if parents := tree.parentsOf(at[img.ID]); len(parents) > 0 {
			return v.snap.Images[parents[0]].ID
		}
		return ""
	}
}

// Containers counts the containers of each image, by its ID.
func (v *View) Containers() map[string]int {
	count := make(map[string]int)
	for i := range v.snap.Containers {
		count[v.snap.Containers[i].ImageID]++
	}
	return count
}

// tree finds images by where their parents may be.
type tree struct {
	images []store.Image
	layers map[string]*store.Layer
	at     map[spot][]int   // images that may be parents
	on     map[string][]int // the same by top layer alone
}

// spot is where a parent of an image may be found: on which top layer ("" for
// images without layers), with how long a history.
type spot struct {
	top     string
	history int
}

func newTree(snap *store.Snapshot, mayBeParent func(*store.Image) bool) *tree {
	t := &tree{images: snap.Images, layers: snap.LayersByID(), at: make(map[spot][]int), on: make(map[string][]int)}
	for i := range snap.Images {
		img := &snap.Images[i]
		if mayBeParent(img) && img.Config != nil && !img.IsList && t.known(img.TopLayer) {
			s := spot{img.TopLayer, len(img.Config.History)}
			t.at[s] = append(t.at[s], i)
			t.on[img.TopLayer] = append(t.on[img.TopLayer], i)
		}
	}
	return t
}

// known tells whether an image's layer is there: podman leaves images whose
// top layer is missing out of its tree. Images without layers are in it.
func (t *tree) known(top string) bool { return t.layers[top] != nil || top == "" }

// parentsOf returns the images that image i was built on.
func (t *tree) parentsOf(i int) (parents []int) {
	img := &t.images[i]
	if img.IsList || !t.known(img.TopLayer) {
		return nil
	}
	below := []string{img.TopLayer}
	if top := t.layers[img.TopLayer]; top != nil && top.Parent != "" {
		below = append(below, top.Parent)
	}
	for _, top := range below {
		candidates := t.on[top]
		if img.Config != nil {
			candidates = t.at[spot{top, len(img.Config.History) - 1}]
		}
		for _, p := range candidates {
			if p != i && (img.Config == nil || isChild(t.images[p].Config, img.Config)) {
				parents = append(parents, p)
			}
		}
	}
	return parents
}

// isChild tells whether child was built on parent in one step: it starts with
// the parent's diff IDs, and its history is the parent's plus one entry.
func isChild(parent, child *store.Config) bool {
	n := len(parent.DiffIDs)
	h := len(parent.History)
	return len(child.DiffIDs) >= n && slices.Equal(parent.DiffIDs, child.DiffIDs[:n]) &&
		len(child.History) == h+1 && slices.Equal(parent.History, child.History[:h])
}
