package unpack

import (
	"archive/tar"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sys/unix"
)

// The library never sets the label an image asks for.
const xattrIgnored = "security.selinux"

// dirTimes is what is left to do for a directory once nothing more is created
// in it.
type dirTimes struct {
	name         string
	atime, mtime time.Time
}

// extractor creates what tar headers describe, in the order and with the
// outcome of archive.Unpack running in a chroot with the same options, of which
// the driver sets those that manner.go is about.
type extractor struct {
	*tree
	manner
	dirs []dirTimes
	root *tar.Header // of an entry for the root itself
}

// contents writes the data of the current entry to a file.
type contents func(fd int) error

// extract creates one entry. It calls write only for a regular file, and
// whoever calls extract reads what is left of the entry.
func (x *extractor) extract(hdr *tar.Header, write contents) error {
	dir, base := split(hdr.Name)
	isRoot := base == "."
	if isRoot && hdr.Typeflag != tar.TypeDir {
		return errors.New("root of the archive is not a directory")
	}
	parent, err := x.openMaking(dir, x.ids.RootPair())
	whiteout := x.opaque != "" && !isRoot && strings.HasPrefix(base, archive.WhiteoutPrefix)
	if name := strings.TrimPrefix(base, archive.WhiteoutPrefix); whiteout && (name == "" || name == "." || name == "..") {
		return errors.New("whiteout without a name")
	}
	if errors.Is(err, unix.ENOTDIR) && whiteout && base != archive.WhiteoutOpaqueDir {
		return nil // some tools whiteout "foo" and then "foo/bar"
	}
	if err != nil {
		return err
	}
	if err := x.mapOwner(hdr); err != nil {
		return err
	}
	e := entry{parent, base}
	if whiteout {
		return x.whiteout(hdr, dir, e)
	}
	if x.leftOut(hdr) {
		_, err := x.makeRoom(hdr, dir, e)
		return err
	}
	if err := x.create(hdr, dir, e, write); err != nil {
		return err
	}
	if hdr.Typeflag == tar.TypeDir {
		x.dirs = append(x.dirs, dirTimes{hdr.Name, hdr.AccessTime, hdr.ModTime})
		if isRoot {
			x.root = hdr
		}
	}
	return nil
}

// whiteout marks a directory as opaque or a name as deleted.
func (x *extractor) whiteout(hdr *tar.Header, dir string, e entry) error {
	// The name with the prefix can exist as the parent of another entry.
	e, err := x.makeRoom(hdr, dir, e)
	if err != nil {
		return err
	}
	if e.base == archive.WhiteoutOpaqueDir {
		return unix.Fsetxattr(e.parent, x.opaque, []byte{'y'}, 0)
	}
	e.base = strings.TrimPrefix(e.base, archive.WhiteoutPrefix)
	if err := unix.Mknodat(e.parent, e.base, unix.S_IFCHR, 0); err != nil {
		return err
	}
	return unix.Fchownat(e.parent, e.base, hdr.Uid, hdr.Gid, unix.AT_SYMLINK_NOFOLLOW)
}

// makeRoom removes what is in the way of a new entry: everything except a
// directory where a directory is to be.
func (x *extractor) makeRoom(hdr *tar.Header, dir string, e entry) (entry, error) {
	st, err := e.lstat()
	if err != nil {
		return e, nil //nolint:nilerr // nothing there; another cause shows when creating
	}
	if hdr.Typeflag == tar.TypeDir && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return e, nil
	}
	return x.remove(dir, e)
}

// create makes the entry and sets its metadata. Nothing is looked up before:
// something in the way is the exception and shows as EEXIST.
func (x *extractor) create(hdr *tar.Header, dir string, e entry, write contents) error {
	err := x.make(hdr, e, write)
	if errors.Is(err, unix.EEXIST) {
		if e, err = x.makeRoom(hdr, dir, e); err != nil {
			return err
		}
		if err = x.make(hdr, e, write); errors.Is(err, unix.EEXIST) && hdr.Typeflag == tar.TypeDir {
			err = nil // merged with the directory that is there
		}
	}
	if err != nil || x.kind(hdr) == tar.TypeReg { // done on the open file
		return err
	}
	return x.setMetadata(hdr, e)
}

func (x *extractor) make(hdr *tar.Header, e entry, write contents) error {
	switch x.kind(hdr) {
	case tar.TypeReg:
		return x.writeFile(hdr, e, write)
	case tar.TypeDir:
		if e.base == "." {
			return nil
		}
		return unix.Mkdirat(e.parent, e.base, 0o700)
	case tar.TypeSymlink:
		return unix.Symlinkat(hdr.Linkname, e.parent, e.base)
	case tar.TypeLink:
		return x.link(hdr.Linkname, e)
	case tar.TypeChar:
		return mknod(hdr, e, unix.S_IFCHR)
	case tar.TypeBlock:
		return mknod(hdr, e, unix.S_IFBLK)
	case tar.TypeFifo:
		return mknod(hdr, e, unix.S_IFIFO)
	}
	return fmt.Errorf("tar entry type %q", hdr.Typeflag)
}

func (x *extractor) link(name string, e entry) error {
	dir, base := split(name)
	target, err := x.resolve(dir)
	if err != nil {
		return err
	}
	err = unix.Linkat(target, base, e.parent, e.base, 0)
	return errors.Join(err, unix.Close(target))
}

func mknod(hdr *tar.Header, e entry, kind uint32) error {
	return unix.Mknodat(e.parent, e.base, kind|uint32(hdr.Mode&0o7777), device(hdr.Devmajor, hdr.Devminor))
}

// device packs device numbers as mknod(2) takes them (new_decode_dev in
// include/linux/kdev_t.h).
func device(major, minor int64) int {
	return int(uint32(minor&0xfff00)<<12 | uint32(major&0xfff)<<8 | uint32(minor&0xff))
}

// finish sets the times of directories, which creating their contents changed,
// and what is noted of the root.
func (x *extractor) finish() error {
	for _, d := range x.dirs {
		dir, base := split(d.name)
		parent, err := x.open(dir)
		if err != nil {
			return err
		}
		e := entry{parent, base}
		st, err := e.lstat()
		if err != nil {
			return fmt.Errorf("%s: %w", path.Join(dir, base), err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			continue // replaced by a later entry
		}
		if err := setTimes(e, sinceEpoch(d.atime), sinceEpoch(d.mtime)); err != nil {
			return err
		}
	}
	return x.noteRoot(x.tree.root, x.root)
}
