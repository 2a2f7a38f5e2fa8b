package query

import (
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/store"
)

// TestSizes adds up what an image stands on, by the writable record of a layer
// that an additional store has too.
func TestSizes(t *testing.T) {
	layers := []store.Layer{
		{ID: "a", UncompressedSize: 1000, ReadOnly: true}, {ID: "a", UncompressedSize: 100}, {ID: "b", UncompressedSize: 20, Parent: "a"},
		{ID: "b", UncompressedSize: 2000, ReadOnly: true}, {ID: "c", UncompressedSize: -1, Parent: "b"}, {ID: "r", UncompressedSize: 7, ReadOnly: true},
		{ID: "x", UncompressedSize: 1, Parent: "y"}, {ID: "y", UncompressedSize: 1, Parent: "x"},
	}
	sizes := New(&store.Snapshot{Layers: layers}, nil).Sizes()
	for _, tt := range []struct {
		img    store.Image
		bytes  int64
		layers int
	}{
		{store.Image{}, 0, 0},
		{store.Image{TopLayer: "c", BigData: map[string]int64{"manifest": 3, "config": 4, "lost": -1}}, 127, 3}, // c's size is not known
		{store.Image{TopLayer: "r"}, 7, 1},
		{store.Image{TopLayer: "gone"}, 0, 0},
	} {
		if got := sizes.Of(&tt.img); got != tt.bytes || len(sizes.Layers(&tt.img)) != tt.layers {
			t.Errorf("%+v: %d bytes in %d layers", tt.img, got, len(sizes.Layers(&tt.img)))
		}
	}
	if chain := sizes.Layers(&store.Image{TopLayer: "x"}); len(chain) < 2 || len(chain) > len(layers) {
		t.Errorf("a circle has %d layers", len(chain))
	}
}

func TestComplete(t *testing.T) {
	diffIDs := []digest.Digest{d("1"), d("2")}
	whole := func() (store.Image, []store.Layer) {
		return store.Image{TopLayer: "b", BigData: map[string]int64{"manifest": 1}, Config: &store.Config{DiffIDs: diffIDs}},
			[]store.Layer{{ID: "a", UncompressedDigest: d("1")}, {ID: "b", Parent: "a", UncompressedDigest: d("2")}}
	}
	for name, change := range map[string]func(*store.Image, []store.Layer){
		"":                      func(*store.Image, []store.Layer) {},
		"a layer is gone":       func(_ *store.Image, l []store.Layer) { l[0].ID = "z" },
		"it is half written":    func(_ *store.Image, l []store.Layer) { l[1].Incomplete = true },
		"it is another":         func(_ *store.Image, l []store.Layer) { l[0].UncompressedDigest = d("9") },
		"there is no manifest":  func(img *store.Image, _ []store.Layer) { img.BigData = nil },
		"there is no config":    func(img *store.Image, _ []store.Layer) { img.Config = nil },
		"it cannot be read":     func(img *store.Image, _ []store.Layer) { img.ConfigError = errors.New("damaged") },
		"it has a layer less":   func(img *store.Image, _ []store.Layer) { img.Config.DiffIDs = diffIDs[:1] },
		"it has them otherwise": func(img *store.Image, _ []store.Layer) { img.Config.DiffIDs = []digest.Digest{d("2"), d("1")} },
	} {
		img, layers := whole()
		change(&img, layers)
		if got := New(&store.Snapshot{Layers: layers}, nil).Sizes().Complete(&img); got != (name == "") {
			t.Errorf("where %q: complete = %t", name, got)
		}
	}
}
