package unpack

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sys/unix"
)

// maxOpenDirs bounds the directory descriptors of one layer in progress.
const maxOpenDirs = 64

// tree is a directory that files are created in and nowhere else.
//
// A name from an archive is split into a directory and a last element. The
// kernel resolves the directory with the tree as its root, symbolic links
// included; the last element is used only with calls that do not follow links.
type tree struct {
	at   *os.File       // the tree's own directory
	root int            // its descriptor
	dirs map[string]int // open directories by cleaned absolute name in the tree

	removed bool // something was, in favour of a later entry
}

func openTree(dest string) (*tree, error) {
	fd, err := unix.Open(dest, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dest, Err: err}
	}
	return &tree{at: os.NewFile(uintptr(fd), dest), root: fd, dirs: make(map[string]int)}, nil
}

func (t *tree) close() {
	t.forget()
	_ = t.at.Close() // read-only: nothing is lost
}

// forget closes the remembered directories. It is called when something that
// names were resolved through is removed.
func (t *tree) forget() {
	for _, fd := range t.dirs {
		_ = unix.Close(fd) // read-only: nothing is lost
	}
	clear(t.dirs)
}

// split returns the directory, absolute and without "." and "..", and the last
// element of name, which is "." for the root. ".." stops at the root, as it
// does for a process whose root directory is the tree.
func split(name string) (dir, base string) {
	name = path.Clean("/" + name)
	dir, base = path.Split(name)
	return path.Clean(dir), cmp.Or(base, ".")
}

// open returns a descriptor of a directory, owned by the tree and valid until
// the next call of open, openMaking or remove.
func (t *tree) open(dir string) (int, error) {
	if dir == "/" {
		return t.root, nil
	}
	if fd, ok := t.dirs[dir]; ok {
		return fd, nil
	}
	fd, err := t.resolve(dir)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	if len(t.dirs) >= maxOpenDirs {
		t.forget()
	}
	t.dirs[dir] = fd
	return fd, nil
}

// resolve opens a directory for the caller to close.
func (t *tree) resolve(dir string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	// EAGAIN: the kernel could not rule out that a ".." raced with a rename
	// somewhere on the machine (openat2(2)).
	for range 128 {
		fd, err := unix.Openat2(t.root, "."+dir, &how)
		switch err {
		case unix.EAGAIN, unix.EINTR:
		case unix.ENOSYS, unix.EPERM:
			return t.walk(dir)
		default:
			return fd, err
		}
	}
	return -1, unix.EAGAIN
}

// walk is resolve where openat2(2) is not there: before Linux 5.6, under
// qemu-user, and in sandboxes that refuse calls they do not know.
func (t *tree) walk(dir string) (int, error) {
	handle, err := pathrs.OpenatInRoot(t.at, dir)
	if err != nil {
		return -1, errno(err)
	}
	defer handle.Close()
	f, err := pathrs.Reopen(handle, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return -1, errno(err)
	}
	defer f.Close()
	return unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
}

// errno is the system's error inside of err, or err itself.
func errno(err error) error {
	if e, ok := errors.AsType[unix.Errno](err); ok {
		return e
	}
	return err
}

// openMaking is open, but creates what is missing as the library does: mode
// 0777 less the process's umask, owned by whom the layer has for root.
func (t *tree) openMaking(dir string, root idtools.IDPair) (int, error) {
	fd, err := t.open(dir)
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	at := ""
	for _, element := range strings.Split(strings.TrimPrefix(dir, "/"), "/") {
		parent, err := t.open(path.Clean("/" + at))
		if err != nil {
			return -1, err
		}
		at += "/" + element
		if _, err := t.open(at); !errors.Is(err, unix.ENOENT) {
			continue // the next open, of this or of a child, reports other errors
		}
		// EEXIST means a dangling symbolic link, whose target the library
		// would create.
		if err := unix.Mkdirat(parent, element, 0o777); err != nil {
			return -1, &os.PathError{Op: "mkdirat", Path: at, Err: err}
		}
		if err := unix.Fchownat(parent, element, root.UID, root.GID, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return -1, &os.PathError{Op: "fchownat", Path: at, Err: err}
		}
	}
	return t.open(dir)
}

// entry is a place in a tree: an open directory and a name in it.
type entry struct {
	parent int
	base   string
}

// proc is a path of the entry for system calls that have no *at form. It must
// be used with those that do not follow a link in the last element.
func (e entry) proc() string { return fmt.Sprintf("/proc/self/fd/%d/%s", e.parent, e.base) }

func (e entry) lstat() (unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstatat(e.parent, e.base, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st, err
}

// remove deletes the entry and what is below. The parent's descriptor stays
// valid; all other descriptors of the tree are closed.
func (t *tree) remove(dir string, e entry) (entry, error) {
	t.removed = true
	// RemoveAll works on descriptors and does not follow links below the
	// directory that contains e.
	if err := os.RemoveAll(e.proc()); err != nil {
		return e, err
	}
	t.forget()
	parent, err := t.open(dir)
	return entry{parent, e.base}, err
}
