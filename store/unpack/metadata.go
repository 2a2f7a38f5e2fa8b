package unpack

import (
	"archive/tar"
	"errors"
	"os"
	"strings"
	"time"

	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sys/unix"
)

// writeFile creates a regular file with its data and metadata.
func writeFile(hdr *tar.Header, e entry, write contents) (err error) {
	fd, err := unix.Openat(e.parent, e.base, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if err := write(fd); err != nil {
		return err
	}
	// Changing the owner clears setuid and setgid, so it comes first.
	if err := unix.Fchown(fd, hdr.Uid, hdr.Gid); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, mode(hdr)); err != nil {
		return err
	}
	if err := setTimes(e, sinceEpoch(accessTime(hdr)), sinceEpoch(hdr.ModTime)); err != nil {
		return err
	}
	return eachXattr(hdr, func(name string, value []byte) error {
		return unix.Fsetxattr(fd, name, value, 0)
	})
}

// setMetadata does for all other entries what writeFile does for files. A hard
// link's header applies to the file it shares.
func (x *extractor) setMetadata(hdr *tar.Header, e entry) error {
	if err := unix.Fchownat(e.parent, e.base, hdr.Uid, hdr.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	symlink := hdr.Typeflag == tar.TypeSymlink
	linkToSymlink := false
	if hdr.Typeflag == tar.TypeLink {
		st, err := e.lstat()
		if err != nil {
			return err
		}
		linkToSymlink = st.Mode&unix.S_IFMT == unix.S_IFLNK
	}
	switch {
	case symlink:
		if err := setTimes(e, timespec(accessTime(hdr)), timespec(hdr.ModTime)); err != nil {
			return err
		}
	case !linkToSymlink:
		if err := unix.Fchmodat(e.parent, e.base, mode(hdr), 0); err != nil {
			return err
		}
		if err := setTimes(e, sinceEpoch(accessTime(hdr)), sinceEpoch(hdr.ModTime)); err != nil {
			return err
		}
	}
	return eachXattr(hdr, func(name string, value []byte) error {
		return unix.Lsetxattr(e.proc(), name, value, 0)
	})
}

// mode returns the permission, setuid, setgid and sticky bits.
func mode(hdr *tar.Header) uint32 { return uint32(hdr.Mode & 0o7777) }

// accessTime returns the access time, which is never before the last
// modification.
func accessTime(hdr *tar.Header) time.Time {
	if hdr.AccessTime.Before(hdr.ModTime) {
		return hdr.ModTime
	}
	return hdr.AccessTime
}

// sinceEpoch gives the epoch for times before it or beyond what 64 bits of
// nanoseconds hold, as the library does for all but symbolic links.
func sinceEpoch(t time.Time) unix.Timespec {
	epoch, last := time.Unix(0, 0), time.Unix(0, 1<<63-1)
	if t.Before(epoch) || t.After(last) {
		t = epoch
	}
	return timespec(t)
}

// timespec leaves the time as it is for the zero Time.
func timespec(t time.Time) unix.Timespec {
	if t.IsZero() {
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	return unix.NsecToTimespec(t.UnixNano())
}

func setTimes(e entry, atime, mtime unix.Timespec) error {
	return unix.UtimesNanoAt(e.parent, e.base, []unix.Timespec{atime, mtime}, unix.AT_SYMLINK_NOFOLLOW)
}

// eachXattr calls set for each extended attribute of the header.
func eachXattr(hdr *tar.Header, set func(name string, value []byte) error) error {
	for key, value := range hdr.PAXRecords {
		name, ok := strings.CutPrefix(key, archive.PaxSchilyXattr)
		if !ok || name == xattrIgnored {
			continue
		}
		if err := set(name, []byte(value)); err != nil {
			return &os.PathError{Op: "setxattr " + name, Path: hdr.Name, Err: err}
		}
	}
	return nil
}
