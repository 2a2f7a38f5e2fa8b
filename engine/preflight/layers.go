package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

func procFD(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// Layers is a RootFS made of the directories of an image's layers, seen as
// overlayfs would show them, without mounting. Both marks for removed entries
// are understood: those of overlayfs (a character device 0:0, the xattr
// overlay.opaque) and those of layer archives (.wh.NAME, .wh..wh..opq). Links
// between directories (redirect_dir) are not; containers/storage turns them off.
//
// A directory's layers are remembered when they are first seen: the layers of
// an image do not change. Layers may be used by several goroutines.
type Layers struct {
	top []*Dir // uppermost first

	mu     sync.Mutex
	merged map[string][]*Dir // of a directory, the layers that it shows
}

// OpenLayers opens the directories of the layers, lowest first. Without layers
// the root is an empty directory.
func OpenLayers(lowestFirst []string, ids IDMaps) (*Layers, error) {
	l := &Layers{merged: map[string][]*Dir{}}
	for i := len(lowestFirst) - 1; i >= 0; i-- {
		d, err := OpenDir(lowestFirst[i], ids)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.top = append(l.top, d)
	}
	l.merged["/"] = l.top
	return l, nil
}

// Close releases the directories.
func (l *Layers) Close() error {
	var errs []error
	for _, d := range l.top {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// Lstat implements RootFS.
func (l *Layers) Lstat(name string) (FileInfo, error) {
	_, fi, err := l.find(name)
	return fi, err
}

// Readlink implements RootFS.
func (l *Layers) Readlink(name string) (string, error) {
	d, _, err := l.find(name)
	if err != nil {
		return "", err
	}
	return d.Readlink(name)
}

// Open implements RootFS.
func (l *Layers) Open(name string) (File, error) {
	d, _, err := l.find(name)
	if err != nil {
		return nil, err
	}
	return d.Open(name)
}

// find returns the layer that shows the entry.
func (l *Layers) find(name string) (*Dir, FileInfo, error) {
	name = path.Clean("/" + name)
	if name == "/" && len(l.top) == 0 {
		return nil, FileInfo{Type: fs.ModeDir, Perm: 0o755}, nil
	}
	if name == "/" {
		fi, err := l.top[0].Lstat("/")
		return l.top[0], fi, err
	}
	merged, err := l.dir(path.Dir(name))
	if err != nil {
		return nil, FileInfo{}, err
	}
	found, fi, err := lookup(merged, name, path.Base(name))
	if err != nil {
		return nil, fi, err
	}
	if fi.Type.IsDir() {
		l.mu.Lock()
		l.merged[name] = found
		l.mu.Unlock()
	}
	return found[0], fi, nil
}

// dir returns the layers whose directories are merged at name.
func (l *Layers) dir(name string) ([]*Dir, error) {
	l.mu.Lock()
	merged, ok := l.merged[name]
	l.mu.Unlock()
	if ok {
		return merged, nil
	}
	_, fi, err := l.find(name)
	if err == nil && !fi.Type.IsDir() {
		err = notThere(name)
	}
	if err != nil {
		return nil, err
	}
	return l.dir(name)
}

// lookup finds an entry in merged directories: the uppermost one counts, and
// directories are merged until something else, a removal or an opaque one.
func lookup(merged []*Dir, at, part string) (found []*Dir, fi FileInfo, err error) {
	if strings.HasPrefix(part, archiveMark) {
		return nil, fi, notThere(at)
	}
	for i, d := range merged {
		e, removed, err := d.entry(at, part)
		if err != nil {
			return nil, fi, err
		}
		if removed || e != nil && len(found) > 0 && !e.Type.IsDir() {
			break
		}
		if e == nil {
			continue
		}
		if found = append(found, d); len(found) == 1 {
			fi = *e
		}
		if !e.Type.IsDir() || i+1 < len(merged) && d.opaque(at) {
			break
		}
	}
	if len(found) == 0 {
		return nil, fi, notThere(at)
	}
	return found, fi, nil
}

func notThere(at string) error {
	return &fs.PathError{Op: "lstat", Path: at, Err: fs.ErrNotExist}
}

// archiveMark begins the names that remove entries in a layer archive.
const archiveMark = ".wh."

// entry looks at one layer. It returns nil when the layer has nothing to say,
// and removed when it hides what is below.
func (d *Dir) entry(at, part string) (e *FileInfo, removed bool, err error) {
	fd, err := d.open(at)
	if errors.Is(err, fs.ErrNotExist) {
		_, err := d.Lstat(path.Join(path.Dir(at), archiveMark+part))
		switch {
		case err == nil:
			return nil, true, nil
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENAMETOOLONG):
			return nil, false, nil
		}
		return nil, false, err
	}
	if err != nil {
		return nil, false, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, false, fmt.Errorf("looking at %s: %w", at, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 {
		return nil, true, nil
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0 && xattr(fd, "whiteout") != "" {
		return nil, true, nil
	}
	fi, err := d.fstat(fd, at)
	return &fi, false, err
}

// opaque reports whether a directory of this layer hides those below.
func (d *Dir) opaque(at string) bool {
	if _, err := d.Lstat(path.Join(at, archiveMark+archiveMark+".opq")); err == nil {
		return true
	}
	fd, err := d.open(at)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return xattr(fd, "opaque") == "y"
}

// xattr reads a mark of overlayfs, which is in trusted. for root and in user.
// for others.
func xattr(fd int, mark string) string {
	for _, space := range []string{"trusted.", "user."} {
		var buf [8]byte
		n, err := unix.Getxattr(procFD(fd), space+"overlay."+mark, buf[:])
		if err == nil && n > 0 {
			return string(buf[:n])
		}
		if err == nil {
			return "y" // a mark without a value
		}
	}
	return ""
}
