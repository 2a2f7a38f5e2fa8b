package store

import (
	"errors"
	"fmt"

	"go.podman.io/image/v5/manifest"
	"go.podman.io/storage"
)

// schema1Config makes the config of an image in Docker's schema 1 format. Such
// an image has none: its manifest says the same in other words, but for the
// DiffIDs, which only its layers know.
func schema1Config(img *Image, m *manifest.Schema1) ([]byte, error) {
	config, err := m.ToSchema2Config(nil)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of image %s, which is in Docker's schema 1 format: %w", img.ID, err)
	}
	return config, nil
}

// hasSchema1 tells whether an image is in that format.
func hasSchema1(img *Image, item items) bool {
	if _, ok := img.BigData["sha256:"+img.ID]; ok {
		return false // it has a config
	}
	blob, err := item(img, storage.ImageDigestBigDataKey)
	return err == nil && IsSchema1(manifest.GuessMIMEType(blob))
}

// ErrSchema1 says that an image is in Docker's schema 1 format: its manifest
// names no config, by whose digest mpull knows an image and checks its layers.
var ErrSchema1 = errors.New("it is in Docker's old schema 1 format, which names no config to check it by")

// IsSchema1 tells whether a media type is that of a manifest in that format.
func IsSchema1(mediaType string) bool {
	return mediaType == manifest.DockerV2Schema1MediaType || mediaType == manifest.DockerV2Schema1SignedMediaType
}
