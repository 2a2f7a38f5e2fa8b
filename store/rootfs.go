package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/storage"

	"github.com/mpull/mpull/store/unpack"
)

// LayerDirs returns the directories that hold an image's files, lowest layer
// first, for reading without a mount. A driver that keeps each layer whole
// (vfs) has one. chain is the image's layers, uppermost first, for who has them
// from a snapshot; nil asks the driver, which takes longer.
func (s *Store) LayerDirs(img *Image, chain []*Layer) ([]string, error) {
	if !s.Exists() || img.TopLayer == "" {
		return nil, fmt.Errorf("image %s has no layers: %w", img.ID, storage.ErrLayerUnknown)
	}
	switch s.Driver() {
	case "overlay":
		dirs, err := s.overlayDirs(img, chain)
		if err != nil {
			return nil, fmt.Errorf("finding the files of image %s: %w", img.ID, err)
		}
		if s.composed(dirs, chain) {
			return nil, fmt.Errorf("the files of image %s are in composefs form and cannot be read without a mount", img.ID)
		}
		slices.Reverse(dirs)
		return dirs, nil
	case "vfs":
		if dir, err := s.layerDir(img.TopLayer); err == nil {
			return []string{dir}, nil
		}
	}
	return nil, errors.New("the files of images of the storage driver " + s.Driver() + " cannot be read without a mount")
}

// composed tells whether a layer of an image has its files in composefs form. Only
// one that was fetched by the list of its files can, which is kept with it.
func (s *Store) composed(dirs []string, chain []*Layer) bool {
	for i, dir := range dirs {
		if (len(chain) == 0 || chain[i].Listed) && s.isComposefs(dir) {
			return true
		}
	}
	return false
}

// isComposefs tells whether a layer's directory has its files in composefs form.
// Many images share their lowest layers, so it looks once at each.
func (s *Store) isComposefs(dir string) bool {
	known, ok := s.composefs.Load(dir)
	if !ok {
		known = exists(filepath.Join(filepath.Dir(dir), "composefs-data"))
		s.composefs.Store(dir, known)
	}
	return known.(bool)
}

// overlayDirs returns the directories that overlay merges, uppermost first.
func (s *Store) overlayDirs(img *Image, chain []*Layer) (dirs []string, err error) {
	roots := s.roots()
	for _, l := range chain {
		at := 0
		if len(roots) > 1 {
			at = slices.IndexFunc(roots, func(root string) bool { return exists(filepath.Join(root, "overlay", l.ID)) })
		}
		if at < 0 {
			return nil, fmt.Errorf("layer %s: %w", l.ID, storage.ErrLayerUnknown)
		}
		dirs = append(dirs, filepath.Join(roots[at], "overlay", l.ID, "diff"))
	}
	if len(chain) > 0 {
		return dirs, nil
	}
	driver, err := s.graphDriver()
	if err != nil {
		return nil, err
	}
	meta, err := driver.Metadata(img.TopLayer)
	if err != nil {
		return nil, err
	}
	dirs = []string{meta["UpperDir"]}
	if lower := meta["LowerDir"]; lower != "" {
		dirs = append(dirs, strings.Split(lower, ":")...)
	}
	return dirs, nil
}

// OpaqueDirs returns the directories that a layer made opaque, as absolute paths
// inside it. dir is one of LayerDirs; the layer's record is asked.
func OpaqueDirs(dir string) (map[string]bool, error) {
	files, err := filepath.EvalSymlinks(dir) // overlay/l/SHORT leads to overlay/ID/diff
	if err != nil {
		return nil, err
	}
	layer := filepath.Dir(files)
	return unpack.OpaqueDirs(filepath.Join(filepath.Dir(layer)+"-layers", filepath.Base(layer)+".tar-split.gz"))
}

// MountLimit is the number of layers up to which the driver mounts a container
// of an image, 0 for any: maxDepth of drivers/overlay, which looks at it when
// it mounts and not before.
func (s *Store) MountLimit() int {
	if s.Driver() == "overlay" {
		return 500
	}
	return 0
}

// additionalStores returns the additional image stores among driver options.
func additionalStores(options []string) []string {
	var roots []string
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		if strings.HasSuffix(key, "imagestore") {
			roots = append(roots, strings.Split(value, ",")...)
		}
	}
	return roots
}
