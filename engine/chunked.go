package engine

import (
	"slices"

	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
	"github.com/mpull/mpull/store/unpack"
)

// likeImages is how many images of a repository are looked at for files that
// need not be fetched, where nobody has listed them yet.
const likeImages = 2

// partial says how parts of layers are fetched, where the user wants that
// (enable_partial_images in storage.conf), else nil.
func (e *Engine) partial(w *store.Writer, blobs *ask.Blobs, like func() []string) *unpack.Chunked {
	options := w.PartialPulls()
	if options == nil {
		return nil
	}
	c := &unpack.Chunked{PullOptions: options, Like: like(), Debug: e.debug}
	if blobs.Image.InRegistry() { // else its blobs are at hand
		c.Parts = blobs.Parts
	}
	return c
}

// like returns the layers of the images here that a new image of that name has
// most in common with: of its holder, else of the latest of its repository.
func like(snap *store.Snapshot, name string) []string {
	var of []*store.Image
	for i := range snap.Images {
		img := &snap.Images[i]
		if slices.Contains(img.Names, name) {
			of = slices.Insert(of, 0, img)
		} else if name != "" && slices.ContainsFunc(img.Names, func(n string) bool { return query.Repository(n) == query.Repository(name) }) {
			of = append(of, img)
		}
	}
	if len(of) > 1 {
		slices.SortStableFunc(of[1:], func(a, b *store.Image) int { return b.Created.Compare(a.Created) })
	}
	sizes := query.New(snap, nil).Sizes()
	var layers []string
	for _, img := range of[:min(len(of), likeImages)] {
		for _, l := range sizes.Layers(img) {
			if !slices.Contains(layers, l.ID) {
				layers = append(layers, l.ID)
			}
		}
	}
	return layers
}
