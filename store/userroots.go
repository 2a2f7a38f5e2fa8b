package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"go.podman.io/storage/pkg/homedir"
	"go.podman.io/storage/pkg/unshare"
	"go.podman.io/storage/types"
)

// userRoots puts an ordinary user's roots in place of root's: those that the
// machine's storage.conf names, as Fedora's and many others do, are for root
// alone to podman before version 6, and no user may write to them. What the file
// has for users, rootless_storage_path, counts. A root that is written with
// $HOME or $UID is meant for users.
func userRoots(options *types.StoreOptions) error {
	if !perUser() {
		return nil
	}
	named, err := machineRoots()
	if err != nil {
		return err
	}
	if isRoots(named.Storage.GraphRoot, options.GraphRoot) {
		data, err := homedir.GetDataHome()
		if err != nil {
			return err
		}
		options.GraphRoot = filepath.Join(data, "containers", "storage")
		if path := named.Storage.RootlessStoragePath; path != "" {
			path = strings.ReplaceAll(path, "$UID", strconv.Itoa(unshare.GetRootlessUID()))
			options.GraphRoot = resolved(os.ExpandEnv(path))
		}
	}
	if isRoots(named.Storage.RunRoot, options.RunRoot) {
		options.RunRoot = filepath.Join(SettleRuntimeDir(), "containers")
	}
	return nil
}

// rootsFile is what of storage.conf names roots.
type rootsFile struct {
	Storage struct {
		GraphRoot           string `toml:"graphroot"`
		RunRoot             string `toml:"runroot"`
		RootlessStoragePath string `toml:"rootless_storage_path"`
	} `toml:"storage"`
}

// machineRoots reads the storage.conf in force where that is the machine's, and
// not one that the user wrote or named.
func machineRoots() (named rootsFile, err error) {
	if os.Getenv("CONTAINERS_STORAGE_CONF") != "" {
		return named, nil
	}
	machines := []string{"/etc/containers/storage.conf", "/usr/share/containers/storage.conf"}
	for _, path := range FindConfig(ConfigSearch{Name: "storage", Extension: "conf"}).Looked {
		if !slices.Contains(machines, path) {
			if exists(path) {
				return named, nil
			}
			continue
		}
		if _, err = toml.DecodeFile(path, &named); !errors.Is(err, fs.ErrNotExist) {
			return named, err
		}
	}
	return named, nil
}

// isRoots tells whether a root in force is the one that a file names for root.
func isRoots(named, inForce string) bool {
	return named != "" && !strings.Contains(named, "$") && resolved(named) == inForce
}

// resolved is a path as the library resolves it.
func resolved(path string) string {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		return to
	}
	return filepath.Clean(path)
}
