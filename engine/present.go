package engine

import (
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// complete tells whether an image of the store has all that pulling d would
// give it: its config, its manifest under both keys, its index, and every layer.
// Where storage.conf allows it, it may be one that is known by lists.
func complete(s *store.Store, snap *store.Snapshot, d *registry.Detail, top digest.Digest) *store.Image {
	id, trusts := imageID(d), s.TrustsLists()
	for i := range snap.Images {
		img := &snap.Images[i]
		if img.ID != id && (!trusts || !slices.Contains(img.Digests, d.Digest) || !knownByLists(snap, img, d.ConfigInfo.Digest)) {
			continue
		}
		if img.ConfigError != nil || !img.HasManifest() || !slices.Contains(img.Digests, d.Digest) || !slices.Contains(img.Digests, top) || d.Index != "" && !slices.Contains(img.Digests, d.Index) || !query.New(snap, nil).Sizes().Complete(img) {
			if img.ID == id {
				return nil
			}
			continue
		}
		return img
	}
	return nil
}

func knownByLists(snap *store.Snapshot, img *store.Image, config digest.Digest) bool {
	chain := query.New(snap, nil).Sizes().Layers(img)
	slices.Reverse(chain)
	return img.KnownByLists(config, chain)
}
