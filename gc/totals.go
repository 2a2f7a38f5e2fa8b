package gc

import (
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// Disk measures a whole store. *store.Usage is one.
type Disk interface {
	Measure
	Container(id string) int64 // a container's big data, without its layer
	Total() int64              // everything below the graph root
}

// Totals says where the bytes of a store are. The parts add up to Total.
type Totals struct {
	Images     int `json:"images"`
	Dangling   int `json:"dangling"` // of the images
	Layers     int `json:"layers"`   // of images
	Containers int `json:"containers"`

	UniqueLayers    int64 `json:"uniqueLayers"`    // layers that one image uses
	SharedLayers    int64 `json:"sharedLayers"`    // layers that several images use, each counted once
	ImageData       int64 `json:"imageData"`       // manifests, configs, records
	ContainerLayers int64 `json:"containerLayers"` // what containers wrote
	ContainerData   int64 `json:"containerData"`   // what tools keep with containers
	Leftovers       int64 `json:"leftovers"`       // layers that nothing uses, dead downloads
	Other           int64 `json:"other"`           // the store's own records and locks, other tools' files
	Total           int64 `json:"total"`           // everything below the graph root
}

// MakeTotals adds up what a store takes on disk. What lies in additional
// read-only stores is not counted: it is not below this graph root.
func MakeTotals(snap *store.Snapshot, downloads []store.Download, disk Disk) Totals {
	g := newGraph(snap)
	t := Totals{Total: disk.Total(), Containers: len(snap.Containers)}
	kin := query.NewKinship(snap)
	for i := range snap.Images {
		if snap.Images[i].ReadOnly {
			continue
		}
		t.Images++
		t.ImageData += disk.Image(snap.Images[i].ID)
		if kin.Dangling(i) {
			t.Dangling++
		}
	}
	users := g.imagesPerLayer()
	for i := range snap.Layers {
		l := &snap.Layers[i]
		if l.ReadOnly || g.layer[l.ID] != i {
			continue
		}
		switch bytes := disk.Layer(l.ID); {
		case users[i] == 1:
			t.UniqueLayers += bytes
			t.Layers++
		case users[i] > 1:
			t.SharedLayers += bytes
			t.Layers++
		case users[i] == ofContainer:
			t.ContainerLayers += bytes
		default:
			t.Leftovers += bytes
		}
	}
	for i := range snap.Containers {
		t.ContainerData += disk.Container(snap.Containers[i].ID)
	}
	for _, d := range downloads {
		t.Leftovers += d.Bytes
	}
	t.Other = t.Total - t.UniqueLayers - t.SharedLayers - t.ImageData - t.ContainerLayers - t.ContainerData - t.Leftovers
	return t
}

// ofContainer marks a layer that containers use and no image.
const ofContainer = -1

// imagesPerLayer counts the images that use each layer, up to two: several is
// all that has to be known, and so no layer is walked over more than twice.
func (g *graph) imagesPerLayer() []int {
	users := make([]int, len(g.snap.Layers))
	last := make([]int, len(g.snap.Layers)) // the image that was counted last, plus one
	for i := range g.snap.Images {
		img := &g.snap.Images[i]
		if img.ReadOnly {
			continue
		}
		g.eachTop(img, func(layer int) {
			for layer != none && users[layer] < 2 && last[layer] != i+1 {
				users[layer]++
				last[layer] = i + 1
				layer = g.above[layer]
			}
		})
	}
	for i := range g.snap.Containers {
		for layer := g.find(g.snap.Containers[i].LayerID); layer != none && users[layer] == 0; layer = g.above[layer] {
			users[layer] = ofContainer
		}
	}
	return users
}
