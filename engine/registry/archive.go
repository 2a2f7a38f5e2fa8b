package registry

import (
	"strings"

	dockerarchive "go.podman.io/image/v5/docker/archive"
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

// dockerArchiveName returns the first name that a docker archive gives to its
// image, as docker load and podman pull take it. An archive of several images
// has none: opening it without a choice is an error.
func dockerArchiveName(sys *types.SystemContext, ref types.ImageReference) reference.Named {
	if named := ref.DockerReference(); named != nil {
		return named
	}
	path, _, _ := strings.Cut(ref.StringWithinTransport(), ":")
	reader, err := dockerarchive.NewReader(sys, path)
	if err != nil {
		return nil // opening the archive reports the error
	}
	defer func() { _ = reader.Close() }() // only read
	images, err := reader.List()
	if err != nil || len(images) != 1 {
		return nil
	}
	return images[0][0].DockerReference()
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
