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

// DriverData returns what the storage driver says about an image's top layer:
// directories on this machine, by the driver's own names (overlay: UpperDir,
// LowerDir, WorkDir, and MergedDir when the layer is mounted). It is nil for
// an image without layers. Nothing is mounted.
func (s *Store) DriverData(img *Image) (map[string]string, error) {
	if s.lib == nil || img.TopLayer == "" {
		return nil, nil
	}
	driver, err := s.lib.GraphDriver()
	if err != nil {
		return nil, fmt.Errorf("opening the storage driver: %w", err)
	}
	data, err := driver.Metadata(img.TopLayer)
	if err != nil {
		return nil, fmt.Errorf("reading where layer %s lies: %w", img.TopLayer, err)
	}
	if mounted, err := s.lib.Mounted(img.TopLayer); err != nil || mounted == 0 {
		delete(data, "MergedDir") // it exists while the layer is mounted
	}
	return data, nil
}

// Present tells whether there is a store where o says. It opens nothing.
func Present(o Options) bool {
	options, err := o.resolve()
	return err == nil && present(options)
}
