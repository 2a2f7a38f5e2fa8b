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
	if s.lib == nil {
		return nil, fmt.Errorf("looking up %s: %w", img.ID, storage.ErrImageUnknown)
	}
	var named reference.Named
	if name != "" {
		var err error
		if named, err = reference.ParseNormalizedNamed(name); err != nil {
			return nil, fmt.Errorf("reading the name %q of image %s: %w", name, img.ID, err)
		}
	}
	return storagetransport.Transport.NewStoreReference(s.lib, named, img.ID)
}
