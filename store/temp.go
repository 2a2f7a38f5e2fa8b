package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// TempDir makes a directory for a download, in DownloadDir: on the disk that
// the store uses, where it is found again when its owner dies. The lock on it
// tells other mpulls that the owner lives; release removes both. Directories
// of dead owners are removed on the way.
func (s *Store) TempDir(ctx context.Context) (dir string, release func() error, err error) {
	root := filepath.Join(s.Root(), DownloadDir)
	if err := makeOwnDir(root); err != nil {
		return "", nil, fmt.Errorf("making the download directory: %w", err)
	}
	// Making a directory and locking it are two steps, between which a sweep
	// would take it for abandoned: both happen under the folder's own lock.
	folder, err := flockDir(ctx, root)
	if err != nil {
		return "", nil, err
	}
	defer folder.Close()
	abandoned, err := s.Downloads()
	if err != nil {
		return "", nil, err
	}
	for _, d := range abandoned {
		if d.Partial {
			continue // the next pull of that blob goes on with it
		}
		if err := os.RemoveAll(d.Path); err != nil {
			return "", nil, fmt.Errorf("removing an abandoned download: %w", err)
		}
	}
	dir, err = os.MkdirTemp(root, "pull-")
	if err != nil {
		return "", nil, fmt.Errorf("making the download directory: %w", err)
	}
	lock, err := flockDir(ctx, dir)
	if err != nil {
		return "", nil, errors.Join(err, os.Remove(dir))
	}
	return dir, func() error { return errors.Join(os.RemoveAll(dir), lock.Close()) }, nil
}
