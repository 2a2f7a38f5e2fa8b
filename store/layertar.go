package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"

	"github.com/mpull/mpull/store/unpack"
)

// LayerTar opens the tar of a layer, uncompressed and byte for byte as it was
// unpacked: its digest is the DiffID, which the caller checks. See unpack.Tar
// for what reading it cannot do.
func (s *Store) LayerTar(ctx context.Context, id string) (io.ReadCloser, error) {
	r, err := s.layerTar(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading layer %s: %w", id, err)
	}
	return r, nil
}

// CanRead tells why LayerTar will not give a layer, as far as that is known
// without reading it. A layer without a record of its tar is one of those: its
// digest is not known to come out.
func (s *Store) CanRead(ctx context.Context, id string) error {
	if dir, err := s.layerDir(id); err == nil && dir != "" && s.layerRecord(id) == "" {
		return fmt.Errorf("layer %s is damaged: the record of its tar is missing", id)
	}
	r, err := s.LayerTar(ctx, id)
	if err != nil {
		return err
	}
	return r.Close()
}

// layerRecord returns the path of a layer's tar-split record, "" where there is
// none.
func (s *Store) layerRecord(id string) string {
	return s.inRoots(s.Driver()+"-layers", id+".tar-split.gz")
}

func (s *Store) layerTar(ctx context.Context, id string) (io.ReadCloser, error) {
	if !s.Exists() {
		return nil, storage.ErrLayerUnknown
	}
	dir, err := s.layerDir(id)
	if err != nil {
		return nil, err
	}
	switch record := s.layerRecord(id); {
	case record == "":
	case dir != "":
		return unpack.Tar(ctx, dir, record)
	default:
		if tar, err := s.flatTar(ctx, id, record); tar != nil || err != nil {
			return tar, err
		}
	}
	// A layer without a record, or of a driver that keeps no plain directories:
	// what the library makes of it need not be what it was made from.
	none := archive.Uncompressed
	lib, err := s.library()
	if err != nil {
		return nil, err
	}
	return lib.Diff("", id, &storage.DiffOptions{Compression: &none})
}

// flatTar reads a layer of a store with composefs. The library would mount it
// for that, and fail at the end of all to take the mount's directory away. It
// returns nothing of any other layer.
func (s *Store) flatTar(ctx context.Context, id, record string) (_ io.ReadCloser, err error) {
	lib, err := s.library()
	if err != nil {
		return nil, err
	}
	driver, err := lib.GraphDriver()
	if err != nil {
		return nil, err
	}
	metadata, err := driver.Metadata(id)
	if err != nil || metadata["UpperDir"] == "" {
		return nil, err
	}
	list, err := lib.LayerBigData(id, unpack.ListKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	return unpack.FlatTar(ctx, metadata["UpperDir"], record, list)
}

// layerDir returns the directory that has a layer's own files, "" where the
// driver keeps them in another form.
func (s *Store) layerDir(id string) (string, error) {
	switch s.Driver() {
	case "overlay":
		driver, err := s.graphDriver()
		if err != nil {
			return "", err
		}
		metadata, err := driver.Metadata(id)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("its directory is missing: %w", err)
		}
		if err != nil || exists(filepath.Join(filepath.Dir(metadata["UpperDir"]), "composefs-data")) {
			return "", err
		}
		return metadata["UpperDir"], nil
	case "vfs":
		if dir := s.inRoots("vfs", "dir", id); dir != "" {
			return dir, nil
		}
		return "", fmt.Errorf("its directory is missing: %w", fs.ErrNotExist)
	}
	return "", nil
}

// inRoots returns a path below the first of the roots that has it, "" for none.
func (s *Store) inRoots(names ...string) string {
	for _, root := range s.roots() {
		if path := filepath.Join(root, filepath.Join(names...)); exists(path) {
			return path
		}
	}
	return ""
}

// roots are the graph roots that the open store reads from.
func (s *Store) roots() []string {
	roots := []string{s.options.GraphRoot}
	if s.locked {
		roots = []string{s.lib.GraphRoot(), s.options.GraphRoot}
	}
	if s.options.ImageStore != "" {
		roots = append(roots, s.options.ImageStore)
	}
	return slices.Compact(append(roots, additionalStores(s.options.GraphDriverOptions)...))
}
