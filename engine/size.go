package engine

import "github.com/mpull/mpull/store"

// sizes answers questions about bytes for one snapshot, each layer looked at a
// bounded number of times.
type sizes struct {
	layers map[string]*store.Layer
	users  map[string]int // images, containers and child layers that stand on a layer directly
}

func newSizes(snap *store.Snapshot) *sizes {
	s := &sizes{layers: make(map[string]*store.Layer, len(snap.Layers)), users: make(map[string]int, len(snap.Layers))}
	for i := range snap.Layers {
		l := &snap.Layers[i]
		s.layers[l.ID] = l
		s.users[l.Parent]++
	}
	for i := range snap.Images {
		s.users[snap.Images[i].TopLayer]++
		for _, id := range snap.Images[i].MappedTopLayers {
			s.users[id]++
		}
	}
	return s
}

// of returns what podman shows as an image's size: the unpacked bytes of all
// its layers and its own data, whoever else uses the layers.
func (s *sizes) of(img *store.Image) int64 {
	n := ownData(img)
	s.chain(img.TopLayer, func(l *store.Layer) bool {
		n += max(l.UncompressedSize, 0)
		return true
	})
	return n
}

// freed returns the bytes that come free when img alone is removed, by the
// sizes in the layers' records.
func (s *sizes) freed(img *store.Image) int64 {
	n := ownData(img)
	s.chain(img.TopLayer, func(l *store.Layer) bool {
		if s.users[l.ID] > 1 {
			return false
		}
		n += max(l.UncompressedSize, 0)
		return true
	})
	return n
}

// chain visits a layer and those below it until visit says stop. A damaged
// store may hold a circle of layers: no chain is longer than all layers.
func (s *sizes) chain(id string, visit func(*store.Layer) bool) {
	for n := 0; id != "" && n <= len(s.layers); n++ {
		l := s.layers[id]
		if l == nil || !visit(l) {
			return
		}
		id = l.Parent
	}
}

func ownData(img *store.Image) int64 {
	var n int64
	for _, size := range img.BigData {
		n += size
	}
	return n
}
