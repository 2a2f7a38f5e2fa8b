package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/storage"
)

// CreateImage makes an image. Where there is one of that ID, which has other
// layers than its config says, it is put onto the layers that it says: the
// library cannot change the layers of an image and refuses the whole one.
func (s surveyed) CreateImage(id string, names []string, layer, metadata string, options *storage.ImageOptions) (*storage.Image, error) {
	img, err := s.Store.CreateImage(id, names, layer, metadata, options)
	if errors.Is(err, storage.ErrDuplicateID) {
		if failed := s.own.makeWhole(id, layer, options, func() {}); failed != nil {
			return nil, fmt.Errorf("replacing the layers of image %s, which are not those of its config: %w", id, failed)
		}
	}
	return img, err
}

// makeWhole puts a half image onto the layers that its config names, which end
// with top and are in the store. It gets the documents of the whole one first,
// and is half until the last step, one change of one list behind the library's
// own locks: it has its names, its record and its containers at every moment.
// The layers that it had stay, for whoever else needs them. Of any other image
// nothing changes.
func (s *Store) makeWhole(id, top string, options *storage.ImageOptions, step func()) error {
	img, err := s.image(id)
	if err != nil || img.ReadOnly || s.checkChain(img) == nil {
		return nil // what is wrong with it, the library says
	}
	for _, item := range options.BigData {
		step()
		if err := s.lib.SetImageBigData(id, item.Key, item.Data, manifest.Digest); err != nil {
			return err
		}
	}
	l, err := s.lockLists()
	if err != nil {
		return err
	}
	defer l.release()
	at, ok := l.images.at[id]
	if !ok {
		return nil
	}
	snap, err := l.snapshot(&Snapshot{})
	if err != nil {
		return err
	}
	for i := range snap.Images {
		img := &snap.Images[i]
		if img.ID == id && (img.CheckChain(snap.chain(img.TopLayer)) == nil || img.CheckChain(snap.chain(top)) != nil) {
			return nil
		}
	}
	if l.images.raw[at], err = onLayer(l.images.raw[at], top, digestFrom(options)); err != nil {
		return err
	}
	return l.images.save(step, l.imageLocks, []int{at})
}

// digestFrom is the digest that an image gets which is made with options: that
// of its first manifest, which is the index where it came through one.
func digestFrom(options *storage.ImageOptions) digest.Digest {
	for _, item := range options.BigData {
		if strings.HasPrefix(item.Key, storage.ImageDigestManifestBigDataNamePrefix) {
			return item.Digest
		}
	}
	return options.Digest
}

// onLayer changes the layer and the digest in the record of an image.
func onLayer(raw json.RawMessage, top string, d digest.Digest) (json.RawMessage, error) {
	var record map[string]json.RawMessage
	if err := json.Unmarshal(raw, &record); err != nil {
		return nil, err
	}
	delete(record, "mapped-layers") // copies of the other one
	for key, value := range map[string]string{"layer": top, "digest": d.String()} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		if value != "" {
			record[key] = text
		}
	}
	return json.Marshal(record)
}

// LayersByID finds layers by their IDs: the writable one when there are two.
func (s *Snapshot) LayersByID() map[string]*Layer {
	at := make(map[string]*Layer, len(s.Layers))
	for i := range s.Layers {
		if l := &s.Layers[i]; at[l.ID] == nil || !l.ReadOnly {
			at[l.ID] = l
		}
	}
	return at
}

// chain returns the DiffIDs of a layer and those below it, bottom first, "" for
// one that is not known.
func (s *Snapshot) chain(top string) []digest.Digest {
	at := s.LayersByID()
	return chainOf(top, func(id string) (parent string, diffID digest.Digest, ok bool) {
		if l := at[id]; l != nil {
			return l.Parent, l.UncompressedDigest, true
		}
		return "", "", false
	})
}

// chainOf is chain over any list of layers. It ends at one that is missing.
func chainOf(top string, layer func(id string) (parent string, diffID digest.Digest, ok bool)) []digest.Digest {
	var down []digest.Digest
	for id := top; id != "" && len(down) <= maxLayers; {
		parent, diffID, ok := layer(id)
		if !ok {
			break
		}
		down, id = append(down, diffID), parent
	}
	slices.Reverse(down)
	return down
}

// maxLayers bounds the walk down the layers of an image.
const maxLayers = 10_000

// CheckChain tells how layers, by their DiffIDs and bottom first, are not those
// that the config of an image names. One that is not known, "", may be any.
func (i *Image) CheckChain(chain []digest.Digest) error {
	if i.Config == nil || i.Schema1 {
		return nil // nothing names them
	}
	want := i.Config.DiffIDs
	if len(want) != len(chain) {
		return fmt.Errorf("its config names %d layers, and it has %d", len(want), len(chain))
	}
	for at := range want {
		if chain[at] != "" && chain[at] != want[at] {
			return fmt.Errorf("its config names layer %d as %s, and it has %s there", at+1, want[at], chain[at])
		}
	}
	return nil
}
