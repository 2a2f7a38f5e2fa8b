package engine

import (
	"errors"
	"fmt"

	"go.podman.io/image/v5/manifest"

	"github.com/mpull/mpull/engine/registry"
)

// ErrSchema1 says that an image is in Docker's schema 1 format: its manifest
// names no config, by whose digest mpull knows an image and checks its layers.
var ErrSchema1 = errors.New("it is in Docker's old schema 1 format, which names no config to check it by")

// schema1Note is what commands say of such an image that another tool has brought.
const schema1Note = "this image is in Docker's old schema 1 format: it can be listed, inspected, checked and run, but only podman pulls and saves it"

// pullable tells, from an image's documents alone, why it cannot be kept.
func pullable(d *registry.Detail) error {
	layers := 0
	for _, l := range d.Layers {
		if !l.EmptyLayer {
			layers++
		}
	}
	switch diffIDs := len(d.Config.RootFS.DiffIDs); {
	case isSchema1(manifest.NormalizedMIMEType(d.MediaType)):
		return fmt.Errorf("%w: podman pull takes it", ErrSchema1)
	case layers != diffIDs:
		return fmt.Errorf("the image %s contradicts itself: its manifest has %d layers, its config %d", d.Digest, layers, diffIDs)
	}
	return nil
}

func isSchema1(mediaType string) bool {
	return mediaType == manifest.DockerV2Schema1MediaType || mediaType == manifest.DockerV2Schema1SignedMediaType
}
