package gc

import (
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// graph is a snapshot with its references resolved to indices. none stands
// for "no such layer".
type graph struct {
	snap  *store.Snapshot
	layer map[string]int // ID -> index in snap.Layers; the writable one when both exist
	above []int          // layer -> its parent layer, or none
	refs  []int          // writable layer -> images, child layers and containers that need it
	users map[string]*store.Container
	mount bool // a layer is mounted
}

const none = -1

func newGraph(snap *store.Snapshot) *graph {
	g := &graph{
		snap:  snap,
		layer: make(map[string]int, len(snap.Layers)),
		above: make([]int, len(snap.Layers)),
		refs:  make([]int, len(snap.Layers)),
		users: make(map[string]*store.Container, len(snap.Containers)),
	}
	for i := range snap.Layers {
		if l := &snap.Layers[i]; !l.ReadOnly || g.find(l.ID) == none {
			g.layer[l.ID] = i
		}
	}
	for i := range snap.Layers {
		g.above[i] = g.findNear(i-1, snap.Layers[i].Parent)
		g.mount = g.mount || snap.Layers[i].Mounts > 0
		// The library too looks only at children in the same, writable store.
		if !snap.Layers[i].ReadOnly {
			g.hold(g.above[i])
		}
	}
	for i := range snap.Containers {
		c := &snap.Containers[i]
		g.hold(g.find(c.LayerID))
		if _, ok := g.users[c.ImageID]; !ok {
			g.users[c.ImageID] = c
		}
	}
	for i := range snap.Images {
		if img := &snap.Images[i]; !img.ReadOnly {
			g.eachTop(img, g.hold)
		}
	}
	return g
}

func (g *graph) find(id string) int {
	if at, ok := g.layer[id]; ok && id != "" {
		return at
	}
	return none
}

// findNear looks first at a place where the layer often is: the store lists
// layers in the order in which they were made, most right after their parent.
func (g *graph) findNear(at int, id string) int {
	if at >= 0 && g.snap.Layers[at].ID == id && !g.snap.Layers[at].ReadOnly {
		return at
	}
	return g.find(id)
}

// eachTop calls f for the layers that an image points at.
func (g *graph) eachTop(img *store.Image, f func(int)) {
	f(g.find(img.TopLayer))
	for _, id := range img.MappedTopLayers {
		f(g.find(id))
	}
}

// user tells what uses an image, so that it must not go whatever its names: a
// container, or a mount of one of its layers. Image volumes of Kubernetes have
// nothing but the mount.
func (g *graph) user(img *store.Image) (Keeper, bool) {
	if c, ok := g.users[img.ID]; ok {
		return Keeper{UsedByContainer, c.ID, first(c.Names)}, true
	}
	mounted := false
	if g.mount {
		g.eachTop(img, func(layer int) {
			for n := 0; layer != none && n <= len(g.above); layer, n = g.above[layer], n+1 {
				mounted = mounted || g.snap.Layers[layer].Mounts > 0
			}
		})
	}
	return Keeper{Reason: Mounted}, mounted
}

// relative finds a child or a list of an image that does not go, and so keeps it.
func (g *graph) relative(kin *query.Kinship, i int, goes func(at int) bool) (Keeper, bool) {
	for _, r := range []struct {
		reason Reason
		images []int
	}{{Parent, kin.Children(i)}, {ListMember, kin.Lists(i)}} {
		for _, at := range r.images {
			if img := &g.snap.Images[at]; !goes(at) {
				return Keeper{r.reason, img.ID, first(img.Names)}, true
			}
		}
	}
	return Keeper{}, false
}

func (g *graph) hold(layer int) {
	if layer != none {
		g.refs[layer]++
	}
}

// drop takes one reference from a layer, and from its parent if the layer
// comes free by that, and so on: the rule by which containers/storage removes
// the layers of a deleted image. touched collects every layer that lost a
// reference; freed those that have none left. Read-only layers never come free.
func (g *graph) drop(refs []int, layer int, touched, freed []int) (t, f []int) {
	for layer != none && !g.snap.Layers[layer].ReadOnly {
		refs[layer]--
		touched = append(touched, layer)
		if refs[layer] > 0 {
			break
		}
		freed = append(freed, layer)
		layer = g.above[layer]
	}
	return touched, freed
}

// release drops what an image holds and returns the layers that come free.
func (g *graph) release(refs []int, img *store.Image) (touched, freed []int) {
	if img.ReadOnly {
		return nil, nil
	}
	g.eachTop(img, func(layer int) { touched, freed = g.drop(refs, layer, touched, freed) })
	return touched, freed
}

// alone returns the layers that would come free if only this image went.
func (g *graph) alone(img *store.Image) []int {
	touched, freed := g.release(g.refs, img)
	for _, layer := range touched {
		g.refs[layer]++
	}
	return freed
}

// unreferenced returns the writable layers that are in the chain of no image
// and of no container.
func (g *graph) unreferenced() []int {
	live := make([]bool, len(g.snap.Layers))
	mark := func(layer int) {
		for layer != none && !live[layer] {
			live[layer] = true
			layer = g.above[layer]
		}
	}
	for i := range g.snap.Images {
		g.eachTop(&g.snap.Images[i], mark)
	}
	for i := range g.snap.Containers {
		mark(g.find(g.snap.Containers[i].LayerID))
	}
	var dead []int
	for i := range live {
		if !live[i] && !g.snap.Layers[i].ReadOnly {
			dead = append(dead, i)
		}
	}
	return dead
}

// InUse returns what uses an image, so that it must not go whatever its names are:
// a container, or a mount. It is nil when nothing does.
func InUse(snap *store.Snapshot, img *store.Image) *Keeper {
	k, used := newGraph(snap).user(img)
	if !used {
		return nil
	}
	return &k
}
