package store

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/storage/types"
)

// drivers are the storage drivers that a store may have been written by.
func drivers() []string { return []string{"overlay", "vfs", "btrfs", "zfs"} }

// DriverAt tells which driver wrote the store that lies in a folder, "" for none: of
// several, the first that has images.
func DriverAt(root string) string {
	first := ""
	for _, driver := range drivers() {
		dir := filepath.Join(root, driver+"-images")
		if !exists(dir) {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, "images.json")); err == nil && info.Size() > int64(len("[]")) {
			return driver
		}
		first = cmp.Or(first, driver)
	}
	return first
}

// driverFor is the driver of the store that is there, else the one named,
// which may be "". podman keeps to the driver that its database tells, whatever
// storage.conf and STORAGE_DRIVER name later.
func driverFor(root, named string) string {
	switch found := DriverAt(root); {
	case named == "":
		return found
	case found == "" || exists(filepath.Join(root, named+"-images")):
		return named
	case exists(filepath.Join(root, "libpod/bolt_state.db")), exists(filepath.Join(root, "db.sql")):
		return found
	}
	return named
}

// optionsFor leaves out the options written for another driver, which a driver
// that is not theirs would refuse.
func optionsFor(driver string, options []string) []string {
	var kept []string
	for _, o := range options {
		prefix, _, dotted := strings.Cut(strings.SplitN(o, "=", 2)[0], ".")
		if driver == "" || !dotted || prefix == driver || prefix == "storage" || strings.HasPrefix(prefix, driver) {
			kept = append(kept, o)
		}
	}
	return kept
}

// present tells whether there is a store: not only a directory for one.
func present(options types.StoreOptions) bool {
	return exists(filepath.Join(options.GraphRoot, options.GraphDriverName+"-images")) ||
		exists(filepath.Join(options.GraphRoot, options.GraphDriverName+"-layers"))
}

// whole tells whether the library finds all that it would create when it opens
// a store.
func whole(options types.StoreOptions) bool {
	driver := options.GraphDriverName
	names := []string{
		"storage.lock", "userns.lock", driver, driver + "-layers/layers.lock", driver + "-images/images.lock", driver + "-containers/containers.lock",
	}
	if driver == "overlay" {
		names = append(names, "overlay/l")
	}
	return hasAll(options.GraphRoot, names...) && (options.ImageStore == "" || hasAll(options.ImageStore, driver+"-layers", driver+"-images"))
}

func hasAll(root string, names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !exists(filepath.Join(root, name)) })
}

// wholeRun is whole for the run root.
func wholeRun(options types.StoreOptions) bool {
	driver := options.GraphDriverName
	if !hasAll(options.RunRoot, driver+"-layers/mountpoints.lock", driver+"-containers", driver+"-locks") {
		return false
	}
	if driver != "overlay" {
		return true
	}
	for _, feature := range []string{"overlay-*", "metacopy(*", "native-diff(*"} { // what the driver found the kernel to do
		if found, err := filepath.Glob(filepath.Join(options.RunRoot, driver, feature)); err != nil || len(found) == 0 {
			return false
		}
	}
	return true
}

// copyRun makes a run root for a reader, with what there is in the store's own.
func copyRun(options types.StoreOptions, to string) error {
	driver := options.GraphDriverName
	for _, pattern := range []string{driver + "-layers/*.json", driver + "-containers/*.json", "overlay/*"} {
		found, err := filepath.Glob(filepath.Join(options.RunRoot, pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := copyFile(path, filepath.Join(to, filepath.Base(filepath.Dir(path)), filepath.Base(path))); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyFile copies a regular file; other things, and what is gone, are left out.
func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// scratch makes a directory for a reader, where one can be made: a user's
// TMPDIR need not be there.
func scratch() (dir string, err error) {
	for _, parent := range []string{"", "/tmp", "/var/tmp", "/dev/shm"} {
		if dir, err = os.MkdirTemp(parent, "mpull-reader-"); err == nil {
			return dir, nil
		}
	}
	return "", err
}

// Present tells whether there is a store where o says. It opens nothing.
func Present(o Options) bool {
	options, err := o.resolve()
	return err == nil && present(options)
}
