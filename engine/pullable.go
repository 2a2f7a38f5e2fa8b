package engine

import (
	"fmt"

	"go.podman.io/image/v5/manifest"

	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
)

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
	case store.IsSchema1(manifest.NormalizedMIMEType(d.MediaType)):
		return fmt.Errorf("%w: podman pull takes it", store.ErrSchema1)
	case layers != diffIDs:
		return fmt.Errorf("the image %s contradicts itself: its manifest has %d layers, its config %d", d.Digest, layers, diffIDs)
	}
	return nil
}
