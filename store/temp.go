package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	storagetransport "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"golang.org/x/sys/unix"
)

// tempFolder holds the directories of downloads in progress, in the graph
// root, so that they use the disk that the store uses and are found again when
// their owner died.
const tempFolder = "mpull-tmp"

// Destination returns the place of an image without a name in the store, as
// the image library writes to it.
func (w *Writer) Destination(id string) (types.ImageReference, error) {
	return storagetransport.Transport.NewStoreReference(w.lib, nil, id)
}

// TempDir makes a directory for a download. Its lock tells other mpulls that
// the owner lives; release removes it. Directories of dead owners are removed
// on the way.
func (w *Writer) TempDir(ctx context.Context) (dir string, release func() error, err error) {
	root := filepath.Join(w.Root(), tempFolder)
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", nil, fmt.Errorf("making the download directory: %w", err)
	}
	// Making a directory and locking it are two steps, between which a sweep
	// would take it for abandoned: both happen under the folder's own lock.
	folder, err := flock(ctx, filepath.Join(root, "lock"), unix.LOCK_EX)
	if err != nil {
		return "", nil, err
	}
	defer folder.Close()
	abandoned, err := abandonedIn(root)
	if err == nil {
		err = removeAll(abandoned)
	}
	if err != nil {
		return "", nil, fmt.Errorf("removing abandoned downloads: %w", err)
	}
	dir, err = os.MkdirTemp(root, "pull-")
	if err != nil {
		return "", nil, fmt.Errorf("making the download directory: %w", err)
	}
	lock, err := flock(ctx, dir+ownerSuffix, unix.LOCK_EX)
	if err != nil {
		return "", nil, errors.Join(err, os.Remove(dir))
	}
	return dir, func() error {
		return errors.Join(os.RemoveAll(dir), os.Remove(lock.Name()), lock.Close())
	}, nil
}

// ownerSuffix is what the lock file of a download directory has after the
// directory's name: beside it, so that the directory can be emptied at will.
const ownerSuffix = ".lock"

// AbandonedDownloads lists the download directories whose owner died.
func (s *Store) AbandonedDownloads() ([]string, error) {
	return abandonedIn(filepath.Join(s.Root(), tempFolder))
}

func abandonedIn(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		if dir := filepath.Join(root, e.Name()); e.IsDir() && !owned(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// owned tells whether somebody holds the lock of a download directory.
func owned(dir string) bool {
	f, err := os.OpenFile(dir+ownerSuffix, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}

// RemoveDownloads removes abandoned download directories.
func (d *Deleter) RemoveDownloads(dirs []string) error { return removeAll(dirs) }

func removeAll(dirs []string) error {
	var errs []error
	for _, dir := range dirs {
		errs = append(errs, os.RemoveAll(dir))
		if err := os.Remove(dir + ownerSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
