package engine

import (
	"context"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/manifest"

	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// ManifestDocument is a manifest or an index.
type ManifestDocument struct {
	Blob      []byte // byte for byte
	MediaType string
	Digest    digest.Digest // of Blob
	IsIndex   bool
}

// InspectManifest returns the index or manifest of an image. A bare name means
// the local image of that name: the index that it was pulled from when it has
// one, else its own manifest. docker://IMAGE, and a bare name that is not here,
// ask the registry, with one request.
func (e *Engine) InspectManifest(ctx context.Context, input string, o LookOptions) (m *ManifestDocument, err error) {
	if registry.HasTransport(input) && !strings.HasPrefix(input, localTransport) {
		return e.RawManifest(ctx, input, o)
	}
	err = e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		m, err = e.localManifest(s, snap, input)
		return err
	})
	if query.IsUnknown(err) && !registry.HasTransport(input) {
		return e.RawManifest(ctx, input, o)
	}
	return m, err
}

// localManifest finds the manifest of a local image that an input means: the
// one with the digest that the input names, else the index it came from, else
// its own.
func (e *Engine) localManifest(s *store.Store, snap *store.Snapshot, input string) (*ManifestDocument, error) {
	found, err := e.view(snap).Find(input)
	if err != nil {
		return nil, err
	}
	img, wanted := found.Image, query.DigestOf(input)
	if wanted == "" {
		wanted = indexOf(s, img)
	}
	blob, err := s.Manifest(img, wanted)
	if err != nil {
		return nil, err
	}
	m := &ManifestDocument{Blob: blob, MediaType: manifest.GuessMIMEType(blob)}
	m.IsIndex = manifest.MIMETypeIsMultiImage(m.MediaType)
	m.Digest, err = manifest.Digest(blob)
	return m, err
}

// indexOf returns the digest of the index that an image came from, "" when it
// came from none or the index is not kept.
func indexOf(s *store.Store, img *store.Image) digest.Digest {
	for _, d := range img.Digests {
		blob, err := s.Manifest(img, d)
		if err == nil && manifest.MIMETypeIsMultiImage(manifest.GuessMIMEType(blob)) {
			return d
		}
	}
	return ""
}
