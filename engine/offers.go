package engine

import (
	"context"
	"slices"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/manifest"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
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
func (e *Engine) Known(ctx context.Context) (known []KnownImage, err error) {
	err = e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		for i := range snap.Images {
			img := &snap.Images[i]
			known = append(known, KnownImage{ID: img.ID, Platform: img.Platform(), Names: img.Names, Lost: query.LostNames(img), Offers: offers(s, img)})
		}
		return nil
	})
	return known, err
}

// offers reads the platforms of the index that lies with an image. What cannot
// be read offers nothing.
func offers(s *store.Store, img *store.Image) (all []string) {
	eachOffer(s, img, func(_ digest.Digest, p platform.Platform) {
		if p.Complete() {
			all = append(all, p.String())
		}
	})
	return all
}

// indexPlatform is the platform under which the index that lies with an image
// lists it; zero when there is none, or it says nothing.
func indexPlatform(s *store.Store, img *store.Image) (said platform.Platform) {
	eachOffer(s, img, func(d digest.Digest, p platform.Platform) {
		if slices.Contains(img.Digests, d) && said == (platform.Platform{}) {
			said = p
		}
	})
	return said
}

// eachOffer calls f for the entries of the indexes that lie with an image, if
// they name a platform.
func eachOffer(s *store.Store, img *store.Image, f func(digest.Digest, platform.Platform)) {
	for _, d := range img.Digests {
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
			if err != nil || one.ReadOnly.Platform == nil {
				continue
			}
			p := one.ReadOnly.Platform
			f(instance, platform.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}.Canonical())
		}
	}
}
