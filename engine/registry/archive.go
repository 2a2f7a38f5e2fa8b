package registry

import (
	"strings"

	dockerarchive "go.podman.io/image/v5/docker/archive"
	ociarchive "go.podman.io/image/v5/oci/archive"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/types"
)

// ArchiveSource is an image in an archive that gives it names, which may be
// short: then they are of localhost, as podman has it. What is no name counts
// as none.
func ArchiveSource(ref types.ImageReference, names []string) Source {
	s := Source{Ref: ref}
	for _, n := range names {
		switch named := namedOrNil(n); {
		case named == nil:
		case s.Name == nil:
			s.Name = named
		default:
			s.Also = append(s.Also, named)
		}
	}
	return s
}

// dockerArchiveNames returns the names that a docker archive gives to its
// image: the one that was asked for, else all, as podman pull takes them. An
// archive of several images has none: opening it without a choice is an error.
func dockerArchiveNames(sys *types.SystemContext, ref types.ImageReference) []string {
	path, _, _ := strings.Cut(ref.StringWithinTransport(), ":")
	reader, err := dockerarchive.NewReader(sys, path)
	if err != nil { // opening the archive reports the error
		if named := ref.DockerReference(); named != nil {
			return []string{named.String()}
		}
		return nil
	}
	defer func() { _ = reader.Close() }()            // only read
	names, _ := reader.ManifestTagsForReference(ref) // none where that fails
	return names
}

// archiveName returns the name that an OCI archive gives to its image: by
// containerd's own annotation, else by the specification's, which is podman's order.
func archiveName(sys *types.SystemContext, ref types.ImageReference) reference.Named {
	desc, err := ociarchive.LoadManifestDescriptorWithContext(sys, ref)
	if err != nil {
		return nil // opening the archive reports the error
	}
	for _, key := range []string{"io.containerd.image.name", imgspecv1.AnnotationRefName} {
		if name := namedOrNil(desc.Annotations[key]); name != nil {
			return name
		}
	}
	return nil
}
