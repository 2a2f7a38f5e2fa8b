package unpack

import (
	"archive/tar"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// writeFile creates a regular file with its data and metadata.
func (x *extractor) writeFile(hdr *tar.Header, e entry, write contents) (err error) {
	fd, err := unix.Openat(e.parent, e.base, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if err := write(fd); err != nil {
		return err
	}
	// Changing the owner clears setuid and setgid, so it comes first.
	if err := x.chown(hdr, func(uid, gid int) error { return unix.Fchown(fd, uid, gid) }); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, x.mode(hdr)); err != nil {
		return err
	}
	if err := setTimes(e, sinceEpoch(accessTime(hdr)), sinceEpoch(hdr.ModTime)); err != nil {
		return err
	}
	return x.xattrs(hdr, func(name string, value []byte) error {
		return unix.Fsetxattr(fd, name, value, 0)
	})
}

// setMetadata does for all other entries what writeFile does for files. A hard
// link's header applies to the file it shares.
func (x *extractor) setMetadata(hdr *tar.Header, e entry) error {
	var shared unix.Stat_t
	if hdr.Typeflag == tar.TypeLink {
		var err error
		if shared, err = e.lstat(); err != nil {
			return err
		}
	}
	err := x.chown(hdr, func(uid, gid int) error {
		// Changing the owner to who it is would still take away capabilities.
		if hdr.Typeflag == tar.TypeLink && shared.Uid == uint32(uid) && shared.Gid == uint32(gid) {
			return nil
		}
		return unix.Fchownat(e.parent, e.base, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return err
	}
	switch {
	case hdr.Typeflag == tar.TypeSymlink:
		err = setTimes(e, timespec(accessTime(hdr)), timespec(hdr.ModTime))
	case shared.Mode&unix.S_IFMT != unix.S_IFLNK:
		if err = unix.Fchmodat(e.parent, e.base, x.mode(hdr), 0); err == nil {
			err = setTimes(e, sinceEpoch(accessTime(hdr)), sinceEpoch(hdr.ModTime))
		}
	}
	if err != nil {
		return err
	}
	return x.xattrs(hdr, func(name string, value []byte) error {
		return unix.Lsetxattr(e.proc(), name, value, 0)
	})
}

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
