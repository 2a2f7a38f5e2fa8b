package store

import (
	"fmt"

	"go.podman.io/image/v5/docker/reference"
	storagetransport "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
)

// Reference returns an image of the store as the image library reads it. name
// is the name under which it was found, "" for none.
func (s *Store) Reference(img *Image, name string) (types.ImageReference, error) {
	if !s.Exists() {
		return nil, fmt.Errorf("looking up %s: %w", img.ID, storage.ErrImageUnknown)
	}
	var named reference.Named
	if name != "" {
		var err error
		if named, err = reference.ParseNormalizedNamed(name); err != nil {
			return nil, fmt.Errorf("reading the name %q of image %s: %w", name, img.ID, err)
		}
	}
	lib, err := s.library()
	if err != nil {
		return nil, err
	}
	return storagetransport.Transport.NewStoreReference(lib, named, img.ID)
}
