package store

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"go.podman.io/storage"
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

// minFiles are as many files as are there for a moment while a list is replaced.
const minFiles = 8

// useReserve gives the reserve back to a disk that is too full for a deletion.
func (s *Store) useReserve() {
	if disk, err := DiskOf(s.Root()); err == nil && (disk.Free < s.reserveSize() || disk.Files < minFiles) {
		_ = os.Remove(filepath.Join(s.Root(), reserveFile))
	}
}

// takeAway removes what the library has begun of a layer and could not finish.
// It does so itself, but not on a full disk: there it cannot write its list
// anew, nor can whoever opens the store next, which all of them try.
func (w *Writer) takeAway(id string) {
	w.useReserve()
	l, err := w.lib.Layer(id)
	if err != nil || !incomplete(l) || w.lib.DeleteLayer(id) == nil {
		return
	}
	if w.emptyUnfinished(id) == nil { // its own files are in the way
		_ = w.lib.DeleteLayer(id) // what failed before is the error
	}
}

// emptyUnfinished removes the files of a layer that nobody finishes.
func (w *Writer) emptyUnfinished(id string) error {
	lists, err := w.lockLists()
	if err != nil {
		return err
	}
	defer lists.release()
	at, ok := lists.layers.at[id]
	if !ok {
		return storage.ErrLayerUnknown
	}
	var l storage.Layer
	if err := json.Unmarshal(lists.layers.raw[at], &l); err != nil || !incomplete(&l) {
		return errors.Join(err, ErrInUse)
	}
	dir, err := w.layerDir(id)
	if err != nil || dir == "" {
		return err
	}
	files, err := os.ReadDir(dir)
	for _, f := range files {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, f.Name())))
	}
	return err
}
