package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// reserveFile holds disk space for a deletion: the library rewrites its JSON
// files to delete anything, and on a full disk it could not.
const reserveFile = "mpull.reserve"

// Bounds of the reserve: enough for each JSON file twice.
const (
	minReserve = 256 << 10
	maxReserve = 64 << 20
)

// reserveSize returns how many bytes a deletion may need.
func (s *Store) reserveSize() int64 {
	size := int64(minReserve)
	for _, name := range []string{"images/images.json", "layers/layers.json", "containers/containers.json"} {
		if info, err := os.Stat(filepath.Join(s.Root(), s.Driver()+"-"+name)); err == nil {
			size += 2 * info.Size()
		}
	}
	return min(size, maxReserve)
}

// keepReserve makes the reserve, when there is ample space for it. Without it
// everything works but a prune of a full disk: what fails here is no error.
func (s *Store) keepReserve() {
	path, size := filepath.Join(s.Root(), reserveFile), s.reserveSize()
	info, err := os.Lstat(path)
	if err == nil && info.Size() >= size/2 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if disk, err := DiskOf(s.Root()); err != nil || disk.Free < 16*size {
		return
	}
	f, err := openOwn(path, os.O_WRONLY|os.O_CREATE)
	if err != nil {
		return
	}
	defer f.Close()
	if unix.Fallocate(int(f.Fd()), 0, 0, size) != nil {
		_ = os.Remove(path)
	}
}

// useReserve gives the reserve back to a disk that is too full for a deletion.
func (s *Store) useReserve() {
	if disk, err := DiskOf(s.Root()); err == nil && disk.Free < s.reserveSize() {
		_ = os.Remove(filepath.Join(s.Root(), reserveFile))
	}
}
