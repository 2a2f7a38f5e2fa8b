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
// machine's storage.conf names, as Fedora's and many others do, or one that
// CONTAINERS_STORAGE_CONF names, are for root alone to podman before version 6.
// What such a file has for users, rootless_storage_path, counts.
func userRoots(options *types.StoreOptions) error {
	if !perUser() {
		return nil
	}
	named, own, err := namedRoots()
	if err != nil {
		return err
	}
	if own {
		dir := filepath.Join(os.TempDir(), "containers-user-"+strconv.Itoa(unshare.GetRootlessUID()))
		if named.Storage.RunRoot == "" && filepath.Dir(SettleRuntimeDir()) == os.TempDir() && ownDir(dir) {
			options.RunRoot = filepath.Join(dir, "containers") // where the library before that of podman 5 has it then
		}
		return nil
	}
	if inForce(named.Storage.GraphRoot, options.GraphRoot) {
		data, err := homedir.GetDataHome()
		if err != nil {
			return err
		}
		options.GraphRoot = filepath.Join(data, "containers", "storage")
		if path := named.Storage.RootlessStoragePath; path != "" {
			options.GraphRoot = resolved(path)
		}
	}
	if inForce(named.Storage.RunRoot, options.RunRoot) {
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

// namedRoots reads the storage.conf in force; own tells that the user wrote it.
func namedRoots() (named rootsFile, own bool, err error) {
	if path := os.Getenv("CONTAINERS_STORAGE_CONF"); path != "" {
		_, err = toml.DecodeFile(path, &named)
		return named, false, err
	}
	machines := []string{"/etc/containers/storage.conf", "/usr/share/containers/storage.conf"}
	for _, path := range FindConfig(ConfigSearch{Name: "storage", Extension: "conf"}).Looked {
		if _, err = toml.DecodeFile(path, &named); !errors.Is(err, fs.ErrNotExist) {
			return named, !slices.Contains(machines, path), err
		}
	}
	return named, false, nil
}

// inForce tells whether a root in force is the one that a file names.
func inForce(named, root string) bool { return named != "" && resolved(named) == root }

// resolved is a path as the library expands and resolves it.
func resolved(path string) string {
	return realPath(os.ExpandEnv(strings.ReplaceAll(path, "$UID", strconv.Itoa(unshare.GetRootlessUID()))))
}
