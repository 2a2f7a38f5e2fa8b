package store

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.podman.io/storage"
	"go.podman.io/storage/types"

	"github.com/mpull/mpull/store/crio"
)

// imageStore fills in where images lie apart from the graph root, and what else
// CRI-O's configuration says about the store. standard is what storage.conf
// says.
func (o Options) imageStore(options *types.StoreOptions, standard types.StoreOptions) (err error) {
	config, err := o.CRIO.Config()
	if err != nil {
		return err
	}
	if isCRIOs(config, options.GraphRoot, standard) {
		options.ImageStore = cmp.Or(config.ImageStore, options.ImageStore)
		if o.RunRoot == "" && config.RunRoot != "" {
			options.RunRoot = config.RunRoot
		}
	}
	if o.ImageStore != "" {
		options.ImageStore, err = filepath.Abs(o.ImageStore)
	}
	if options.ImageStore != "" {
		options.ImageStore = filepath.Clean(options.ImageStore)
	}
	if options.ImageStore == filepath.Clean(options.GraphRoot) {
		options.ImageStore = "" // the same place twice is none apart
	}
	return err
}

// isCRIOs tells whether the store at root is the one that CRI-O's configuration
// speaks of: the root that it names, else storage.conf's. A configuration that
// the user named, and that names no root, is about the store at hand.
func isCRIOs(c crio.Config, root string, standard types.StoreOptions) bool {
	switch {
	case !c.Present():
		return false
	case c.Root != "":
		return samePlace(c.Root, root)
	}
	return c.Named || samePlace(standard.GraphRoot, root)
}

func samePlace(a, b string) bool { return realPath(a) == realPath(b) }

// realPath follows links where the path is there.
func realPath(path string) string {
	if followed, err := filepath.EvalSymlinks(path); err == nil {
		return followed
	}
	return filepath.Clean(path)
}

// ImageRoot is where the store's images lie: the graph root, but for a store
// that has them apart.
func (s *Store) ImageRoot() string { return cmp.Or(s.options.ImageStore, s.options.GraphRoot) }

// removeLayer is the driver's way to move a layer's directory aside, and before
// that what the driver misses with an image store: it looks for a layer's short
// link in the graph root only (overlay.go, removeCommon), and leaves the one in
// the image store dangling.
func (s *Store) removeLayer(remove func(id string) (func() error, error)) func(id string) (func() error, error) {
	if s.options.ImageStore == "" || s.Driver() != "overlay" {
		return remove
	}
	home := filepath.Join(s.options.ImageStore, s.Driver())
	return func(id string) (func() error, error) {
		file := filepath.Join(home, id, "link")
		if name, err := os.ReadFile(file); err == nil && linkedLayer([]string{home}, string(name)) == id {
			if err := os.Remove(filepath.Join(home, "l", string(name))); err != nil {
				return nil, err
			}
			if err := os.Remove(file); err != nil { // the driver warns of a link that it does not find
				return nil, err
			}
		}
		return remove(id)
	}
}

// Touched returns when the manifest of an image was last written, zero when that
// cannot be told. The library writes it at each pull, also of an image that is
// here already.
func (s *Store) Touched(img *Image) time.Time {
	if !s.Exists() || img.ReadOnly {
		return time.Time{}
	}
	info, err := os.Stat(filepath.Join(s.ImageRoot(), s.Driver()+"-images", img.ID, storage.ImageDigestBigDataKey))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// ElsewhereError says that what was opened as a store is where another one has
// its images: the containers that use them are recorded there.
type ElsewhereError struct {
	Images  string // what was opened
	Root    string // where the containers are recorded
	RunRoot string
	Says    string // which configuration says so
	Shared  bool   // an additional image store: Root is one user of it
}

func (e *ElsewhereError) Error() string {
	return fmt.Sprintf("%s holds the images of the store at %s (%s), where the containers are recorded that use them", e.Images, e.Root, e.Says)
}

// Elsewhere is an *ElsewhereError when the containers that use the images of
// the store cannot be seen in it.
func (o Options) Elsewhere() error {
	options, err := o.resolve()
	if err != nil {
		return err
	}
	standard, err := types.DefaultStoreOptions()
	if err != nil {
		return fmt.Errorf("reading storage.conf: %w", err)
	}
	config, err := o.CRIO.Config()
	if err != nil {
		return err
	}
	e := &ElsewhereError{Images: options.GraphRoot, Root: standard.GraphRoot, RunRoot: standard.RunRoot}
	if samePlace(options.GraphRoot, standard.GraphRoot) {
		return nil
	}
	holds := func(dir string) bool { return dir != "" && samePlace(dir, options.GraphRoot) }
	switch {
	case holds(config.ImageStore):
		e.Says = "imagestore in CRI-O's configuration"
		e.Root, e.RunRoot = cmp.Or(config.Root, e.Root), cmp.Or(config.RunRoot, e.RunRoot)
		if samePlace(e.Root, options.GraphRoot) {
			return nil
		}
	case holds(standard.ImageStore):
		e.Says = "imagestore in storage.conf"
	case slices.ContainsFunc(additionalStores(standard.GraphDriverOptions), holds):
		e.Says, e.Shared = "additionalimagestores in storage.conf", true
	default:
		return nil
	}
	return e
}
