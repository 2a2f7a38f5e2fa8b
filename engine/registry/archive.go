package registry

import (
	ociarchive "go.podman.io/image/v5/oci/archive"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/types"
)

// nameAnnotations are where tools write the name of an image in an OCI layout,
// in podman's order: containerd's own annotation, then the specification's.
func nameAnnotations() []string {
	return []string{"io.containerd.image.name", imgspecv1.AnnotationRefName}
}

// archiveName returns the name that an OCI archive gives to its image.
func archiveName(sys *types.SystemContext, ref types.ImageReference) reference.Named {
	desc, err := ociarchive.LoadManifestDescriptorWithContext(sys, ref)
	if err != nil {
		return nil // opening the archive reports the error
	}
	for _, key := range nameAnnotations() {
		if name := namedOrNil(desc.Annotations[key]); name != nil {
			return name
		}
	}
	return nil
}
