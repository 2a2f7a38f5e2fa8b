package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// DownloadDir is the directory under the graph root that holds one directory
// for each download in progress, and the partial blobs (Partial). Its owner
// holds a flock(2) on either while it lives.
const DownloadDir = "mpull-downloads"

// Download is the directory of a download, or a partial blob, whose owner is
// dead.
type Download struct {
	Path    string
	Since   time.Time // when it was last written to
	Bytes   int64     // what it takes on disk
	Partial bool      // the next pull of the blob goes on with it
}

// Downloads lists the directories of downloads and the partial blobs whose
// owner is dead.
func (s *Store) Downloads() ([]Download, error) {
	dir := filepath.Join(s.Root(), DownloadDir)
	entries, err := readOwnDir(dir)
	if err != nil {
		return nil, fmt.Errorf("looking for abandoned downloads: %w", err)
	}
	var found []Download
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err != nil || !e.IsDir() && !isPartial(e) || owned(path, e.IsDir()) {
			continue // gone meanwhile, not ours, or alive
		}
		bytes, err := diskUsage(path)
		if err != nil {
			return nil, fmt.Errorf("looking for abandoned downloads: %w", err)
		}
		found = append(found, Download{Path: path, Since: info.ModTime(), Bytes: bytes, Partial: !e.IsDir()})
	}
	return found, nil
}

// owned tells whether the owner of a download's directory, or of a partial
// blob, lives.
func owned(path string, dir bool) bool {
	flags := 0
	if dir {
		flags = unix.O_DIRECTORY
	}
	f, err := openOwn(path, flags)
	if err != nil {
		return true
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}

// DeleteDownload removes the directory of a download, or a partial blob, whose
// owner is dead. It refuses any other path. gone is true when there was none.
func (d *Deleter) DeleteDownload(_ context.Context, path string) (gone bool, err error) {
	if filepath.Dir(path) != filepath.Join(d.Root(), DownloadDir) {
		return false, fmt.Errorf("removing the download %q: it is not in %s", path, filepath.Join(d.Root(), DownloadDir))
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("removing the download %q: %w", path, err)
	}
	if owned(path, info.IsDir()) {
		return false, fmt.Errorf("removing the download %q: it is still running", path)
	}
	return false, os.RemoveAll(path)
}
