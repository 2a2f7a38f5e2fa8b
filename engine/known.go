package engine

import (
	"context"
	"slices"

	"go.podman.io/image/v5/manifest"

	"github.com/mpull/mpull/store"
)

// KnownImage is what can be said about a local image when a command line is
// completed.
type KnownImage struct {
	ID       string
	Platform string
	Names    []string // it holds
	Lost     []string // it once held
	Offers   []string // platforms of the index that it was pulled through
}

// Known lists the local images for completion.
func (e *Engine) Known(ctx context.Context) ([]KnownImage, error) {
	var known []KnownImage
	err := e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		for i := range snap.Images {
			img := &snap.Images[i]
			k := KnownImage{ID: img.ID, Platform: img.Platform(), Names: img.Names, Offers: offers(s, img)}
			for _, n := range img.NamesHistory {
				if !slices.Contains(img.Names, n) {
					k.Lost = append(k.Lost, n)
				}
			}
			known = append(known, k)
		}
		return nil
	})
	return known, err
}

// offers reads the platforms of the index that lies with an image. What cannot
// be read offers nothing.
func offers(s *store.Store, img *store.Image) []string {
	var all []string
	for _, d := range img.Digests {
		if d == img.Digest {
			continue
		}
		blob, err := s.Manifest(img, d)
		if err != nil || !manifest.MIMETypeIsMultiImage(manifest.GuessMIMEType(blob)) {
			continue
		}
		list, err := manifest.ListFromBlob(blob, manifest.GuessMIMEType(blob))
		if err != nil {
			continue
		}
		for _, instance := range list.Instances() {
			one, err := list.Instance(instance)
			if err != nil || one.ReadOnly.Platform == nil || one.ReadOnly.Platform.OS == "unknown" {
				continue
			}
			p := one.ReadOnly.Platform
			name := p.OS + "/" + p.Architecture
			if p.Variant != "" {
				name += "/" + p.Variant
			}
			all = append(all, name)
		}
	}
	return all
}
