package archive

import (
	"cmp"
	"encoding/json"
	"fmt"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"

	dockerarchive "go.podman.io/image/v5/docker/archive"
)

// Names lists what may stand behind the file in the reference of a transport,
// docker-archive or oci-archive, for each image of the archive: its names, or @N
// where it has none, counted from 0.
func (a *Archive) Names(transport string) ([]string, error) {
	if transport != dockerarchive.Transport.Name() {
		index, err := a.layoutIndex()
		return LayoutNames(index.Manifests), err
	}
	list, err := a.dockerList()
	var names []string
	for i, image := range list {
		if len(image.RepoTags) == 0 {
			names = append(names, nth(i))
		}
		names = append(names, image.RepoTags...)
	}
	return names, err
}

// LayoutNames is Names for what the index of an OCI layout lists.
func LayoutNames(images []imgspecv1.Descriptor) []string {
	var names []string
	for i, d := range images {
		names = append(names, cmp.Or(d.Annotations[imgspecv1.AnnotationRefName], nth(i)))
	}
	return names
}

// nth is how the image library calls an image without a name.
func nth(i int) string { return fmt.Sprintf("@%d", i) }

// layoutIndex reads the list of images of an OCI archive.
func (a *Archive) layoutIndex() (index imgspecv1.Index, err error) {
	data, err := a.document(indexFile)
	if err != nil {
		return index, err
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return index, fmt.Errorf("reading %s: %w", indexFile, err)
	}
	if len(index.Manifests) > maxImages {
		return imgspecv1.Index{}, fmt.Errorf("%s has more than %d images", indexFile, maxImages)
	}
	return index, nil
}

// dockerList reads the list of images of a docker archive.
func (a *Archive) dockerList() (list []dockerImage, err error) {
	data, err := a.document(dockerFile)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("reading %s: %w", dockerFile, err)
	}
	if len(list) > maxImages {
		return nil, fmt.Errorf("%s has more than %d images", dockerFile, maxImages)
	}
	return list, nil
}
