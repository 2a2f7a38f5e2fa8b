package gc

import "github.com/mpull/mpull/store"

// Share is what one image takes on disk.
type Share struct {
	Own    int64 `json:"own"`    // layers that no other image uses, and its manifests, config and records
	Shared int64 `json:"shared"` // layers that other images use too
}

// Shares measures each image, by its index in the snapshot. What lies in
// additional read-only stores takes nothing here.
func Shares(snap *store.Snapshot, disk Measure) []Share {
	g := newGraph(snap)
	users := g.imagesPerLayer()
	shares := make([]Share, len(snap.Images))
	for i := range snap.Images {
		img := &snap.Images[i]
		if img.ReadOnly {
			continue
		}
		shares[i].Own = disk.Image(img.ID)
		counted := map[int]bool{} // its mapped top layers may stand on the same ones
		g.eachTop(img, func(layer int) {
			for ; layer != none && !counted[layer]; layer = g.above[layer] {
				counted[layer] = true
				l := &snap.Layers[layer]
				switch {
				case l.ReadOnly:
				case users[layer] > 1:
					shares[i].Shared += disk.Layer(l.ID)
				default:
					shares[i].Own += disk.Layer(l.ID)
				}
			}
		})
	}
	return shares
}
