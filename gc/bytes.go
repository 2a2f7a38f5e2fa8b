package gc

import (
	"time"

	"github.com/mpull/mpull/store"
)

// sizer gives bytes: measured ones, or the estimates of the records.
type sizer struct {
	*graph
	measure Measure
}

func (s *sizer) layer(layer int) int64 {
	l := &s.snap.Layers[layer]
	if s.measure != nil {
		return s.measure.Layer(l.ID)
	}
	return max(0, l.UncompressedSize)
}

func (s *sizer) image(img *store.Image) int64 {
	switch {
	case img.ReadOnly:
		return 0
	case s.measure != nil:
		return s.measure.Image(img.ID)
	}
	var bytes int64
	for _, size := range img.BigData {
		bytes += max(0, size)
	}
	return bytes
}

func (s *sizer) sum(layers []int) int64 {
	var bytes int64
	for _, layer := range layers {
		bytes += s.layer(layer)
	}
	return bytes
}

// leftovers plans what no image uses: layers, children before their parents,
// and what dead downloads left. With filters they all stay: a filter asks
// for certain images, and a leftover is none.
func (p *planner) leftovers() {
	dead := p.unreferenced()
	wanted := make(map[int]bool, len(dead))
	var leaves []int
	for _, layer := range dead {
		l := &p.snap.Layers[layer]
		wanted[layer] = l.Mounts == 0 && p.abandoned(l.Created)
		if p.refs[layer] == 0 {
			leaves = append(leaves, layer)
		}
	}
	gone := make(map[int]bool, len(dead))
	for _, layer := range leaves {
		for layer != none && p.refs[layer] == 0 && wanted[layer] {
			gone[layer] = true
			p.leftover(LeftoverLayer, p.snap.Layers[layer].ID, p.snap.Layers[layer].Created, p.sizes.layer(layer), true)
			if layer = p.above[layer]; layer != none && !p.snap.Layers[layer].ReadOnly {
				p.refs[layer]--
			}
		}
	}
	for _, layer := range dead {
		if !gone[layer] {
			p.leftover(LeftoverLayer, p.snap.Layers[layer].ID, p.snap.Layers[layer].Created, 0, false)
		}
	}
	for _, d := range p.policy.Downloads {
		goes := p.policy.AllDownloads && !p.policy.Enough || p.abandoned(d.Since)
		p.leftover(LeftoverDownload, d.Path, d.Since, d.Bytes, goes)
	}
}

func (p *planner) abandoned(at time.Time) bool {
	return !p.policy.Enough && len(p.policy.Filters) == 0 && older(at, p.now, p.policy.LeftoverAge)
}

func (p *planner) leftover(kind LeftoverKind, id string, since time.Time, bytes int64, goes bool) {
	if !goes {
		bytes = 0
	}
	p.plan.Leftovers = append(p.plan.Leftovers, Leftover{kind, id, goes, since.UTC(), bytes})
	p.plan.Bytes += bytes
}
