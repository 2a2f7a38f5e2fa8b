package preflight

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// overflowID is what the kernel shows for an ID without a mapping.
const overflowID = 65534

// Dir is a RootFS that is a directory on disk: a mounted image, a rootfs, or
// the only layer of an image. Close releases it.
type Dir struct {
	fd         int
	overridden func() bool // owners and modes are in attributes: found out when it is first needed
	// recorded lists the directories that the layer made opaque. It is nil where
	// their marks on disk can be read.
	recorded func() (map[string]bool, error)
	asked    sync.Once // for recorded
	seen     *sync.Map // what entry found, by path; nil when it is not kept
}

// OpenDir opens the directory dir as a root filesystem.
func OpenDir(dir string) (*Dir, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return &Dir{fd: fd, overridden: sync.OnceValue(func() bool {
		_, err := unix.Getxattr(dir, overrideXattr, nil) // by its name: that is faster than by procFD
		return err == nil
	})}, nil
}

// Close releases the directory.
func (d *Dir) Close() error { return unix.Close(d.fd) }

// open returns an O_PATH descriptor of the entry, which may be a link. Each
// part is opened in the directory before it and no link is ever followed, so
// that nothing outside the root is reached even when it changes meanwhile.
func (d *Dir) open(name string) (int, error) {
	fd, err := d.fd, error(nil)
	below := strings.TrimLeft(path.Clean("/"+name), "/")
	if strings.Contains(below, "/") { // the kernel does the same at once, unless it is an old one or meets a link
		how := unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
		switch fd, err := unix.Openat2(d.fd, below, &how); {
		case err == nil:
			return fd, nil
		case errors.Is(err, unix.ENOENT):
			return -1, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
	for part := range strings.SplitSeq(below, "/") {
		if part == "" {
			part = "." // the root itself
		}
		parent := fd
		fd, err = unix.Openat(parent, part, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if parent != d.fd {
			_ = unix.Close(parent)
		}
		if err != nil {
			break
		}
	}
	if errors.Is(err, unix.ENOTDIR) {
		err = unix.ENOENT
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

// Lstat implements RootFS.
func (d *Dir) Lstat(name string) (FileInfo, error) {
	st, err := d.stat(name)
	if err != nil {
		return FileInfo{}, err
	}
	return d.info(name, &st)
}

// stat is lstat(2). What lies in the root itself needs no descriptor for it.
func (d *Dir) stat(name string) (st unix.Stat_t, err error) {
	fd := d.fd
	dir, in := path.Split(path.Clean("/" + name))
	if dir != "/" {
		if fd, err = d.open(name); err != nil {
			return st, err
		}
		defer unix.Close(fd)
	}
	if dir != "/" || in == "" {
		err = unix.Fstat(fd, &st)
	} else {
		err = unix.Fstatat(fd, in, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		err = &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return st, err
}

// info describes an entry as the container sees it.
func (d *Dir) info(name string, st *unix.Stat_t) (FileInfo, error) {
	fi := FileInfo{
		Type: fileType(st.Mode),
		Perm: st.Mode & 0o7777,
		UID:  st.Uid,
		GID:  st.Gid,
		Size: st.Size,
	}
	if !d.overridden() {
		return fi, nil
	}
	fd, err := d.open(name)
	if err != nil {
		return fi, err
	}
	defer unix.Close(fd)
	if fi, err = override(fd, fi); err != nil {
		return fi, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return fi, nil
}

func fileType(mode uint32) fs.FileMode {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return 0
	case unix.S_IFDIR:
		return fs.ModeDir
	case unix.S_IFLNK:
		return fs.ModeSymlink
	case unix.S_IFIFO:
		return fs.ModeNamedPipe
	case unix.S_IFSOCK:
		return fs.ModeSocket
	case unix.S_IFCHR:
		return fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		return fs.ModeDevice
	}
	return fs.ModeIrregular
}

// Readlink implements RootFS.
func (d *Dir) Readlink(name string) (string, error) {
	fd, err := d.open(name)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var buf [pathMax]byte
	n, err := unix.Readlinkat(fd, "", buf[:])
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}

// Open implements RootFS. The entry is looked at before it is opened, through
// its descriptor, so that a FIFO or a device is never opened.
func (d *Dir) Open(name string) (File, error) {
	fd, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	fi, err := d.info(name, &st)
	if err != nil {
		return nil, err
	}
	if fi.Type != 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	f, err := os.OpenFile(procFD(fd), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.Unwrap(err)}
	}
	return f, nil
}
