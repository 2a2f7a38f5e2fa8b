package archive

import (
	"context"
	"errors"
	"path/filepath"

	"go.podman.io/image/v5/docker/reference"
	ociarchive "go.podman.io/image/v5/oci/archive"
	"go.podman.io/image/v5/types"
)

// place is an archive as the image library names it: the path of its file. The
// library's own type refuses paths with a colon, and what has no path.
type place string

// Transport implements types.ImageReference.
func (p place) Transport() types.ImageTransport { return ociarchive.Transport }

// StringWithinTransport implements types.ImageReference.
func (p place) StringWithinTransport() string { return string(p) }

// DockerReference implements types.ImageReference: an archive's names are not
// the user's.
func (p place) DockerReference() reference.Named { return nil }

// PolicyConfigurationIdentity implements types.ImageReference: the file, links
// followed. An archive without a file is judged by the default.
func (p place) PolicyConfigurationIdentity() string {
	path, err := filepath.Abs(string(p))
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return ""
	}
	return path
}

// PolicyConfigurationNamespaces implements types.ImageReference: the folders
// above the file.
func (p place) PolicyConfigurationNamespaces() []string {
	var all []string
	for path := p.PolicyConfigurationIdentity(); path != "" && path != "/"; path = filepath.Dir(path) {
		all = append(all, path)
	}
	return all
}

// NewImageDestination implements types.ImageReference.
func (p place) NewImageDestination(context.Context, *types.SystemContext) (types.ImageDestination, error) {
	return nil, errors.New("an archive is only read")
}

// DeleteImage implements types.ImageReference.
func (p place) DeleteImage(context.Context, *types.SystemContext) error {
	return errors.New("an archive is only read")
}
