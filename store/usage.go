package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Usage measures what parts of a store take on disk: the blocks allocated to
// files and directories, in bytes, each hard-linked file once. It remembers
// what it measured, and is safe for concurrent use. The records in the store's
// JSON files are not counted: they are rewritten, not freed.
type Usage struct {
	driver string
	roots  []string // graph root, and the image store when it is apart

	mu   sync.Mutex
	seen map[string]int64 // by kind and ID
	err  error
}

// Usage returns a new measure of the store's present state.
func (s *Store) Usage() *Usage {
	u := &Usage{driver: s.Driver(), roots: []string{s.options.GraphRoot}, seen: map[string]int64{}}
	if s.options.ImageStore != "" {
		u.roots = append(u.roots, s.options.ImageStore)
	}
	return u
}

// Layer returns the bytes of a layer: the driver's directory, its short link,
// the tar-split file and big data.
func (u *Usage) Layer(id string) int64 {
	return u.measure("layer "+id, func(root string) []string {
		records := filepath.Join(root, u.driver+"-layers")
		paths := []string{filepath.Join(records, id), filepath.Join(records, id+".tar-split.gz")}
		if u.driver != "overlay" {
			return append(paths, filepath.Join(root, u.driver, "dir", id))
		}
		home := filepath.Join(root, u.driver)
		paths = append(paths, filepath.Join(home, id))
		if link, err := os.ReadFile(filepath.Join(home, id, "link")); err == nil && filepath.Base(string(link)) == string(link) {
			paths = append(paths, filepath.Join(home, "l", string(link)))
		}
		return paths
	})
}

// Image returns the bytes of an image's big data: manifests, config,
// signatures, displacement record.
func (u *Usage) Image(id string) int64 {
	return u.measure("image "+id, func(root string) []string {
		return []string{filepath.Join(root, u.driver+"-images", id)}
	})
}

// Container returns the bytes of a container's big data, without its layer.
func (u *Usage) Container(id string) int64 {
	return u.measure("container "+id, func(root string) []string {
		return []string{filepath.Join(root, u.driver+"-containers", id)}
	})
}

// Total returns the bytes of everything under the graph root, and under the
// image store when it is apart.
func (u *Usage) Total() int64 {
	return u.measure("total", func(root string) []string { return []string{root} })
}

// Err returns the first error met. What could not be read counts 0.
func (u *Usage) Err() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// measure sums the paths that exist below the roots. An ID with a slash would
// lead elsewhere: it has no bytes.
func (u *Usage) measure(key string, paths func(root string) []string) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if bytes, ok := u.seen[key]; ok || strings.ContainsRune(key, '/') {
		return bytes
	}
	var bytes int64
	for _, root := range u.roots {
		n, err := diskUsage(paths(root)...)
		bytes += n
		if err != nil && u.err == nil {
			u.err = err
		}
	}
	u.seen[key] = bytes
	return bytes
}

// diskUsage returns the bytes of the blocks allocated to paths and all below
// them, on their own file system, each inode once. What does not exist, or
// vanishes meanwhile, counts 0.
func diskUsage(paths ...string) (int64, error) {
	w := walker{inodes: map[uint64]bool{}}
	var errs []error
	for _, path := range paths {
		errs = append(errs, w.add(path, nil))
	}
	return w.bytes, errors.Join(errs...)
}

type walker struct {
	bytes  int64
	inodes map[uint64]bool // files with several links
}

// add adds what lies in the directory in, and that directory itself without one.
func (w *walker) add(path string, in *unix.Stat_t) error {
	var st unix.Stat_t
	switch err := unix.Lstat(path, &st); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &fs.PathError{Op: "lstat", Path: path, Err: err}
	case in != nil && st.Dev != in.Dev:
		return nil // a mount of a running container
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if !isDir && st.Nlink > 1 {
		if w.inodes[st.Ino] {
			return nil
		}
		w.inodes[st.Ino] = true
	}
	w.bytes += st.Blocks * 512 // st_blocks counts units of 512 bytes: stat(2)
	if !isDir {
		return nil
	}
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, w.add(filepath.Join(path, e.Name()), &st))
	}
	return errors.Join(errs...)
}
