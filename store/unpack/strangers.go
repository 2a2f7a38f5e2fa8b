package unpack

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sys/unix"
)

// maxStrangers is how many are named.
const maxStrangers = 3

// Strangers lists files, links and devices in the directory of a layer that none
// of its entries made, the first few of them. Its tar, put together again, says
// nothing of those. An entry is found where it lies, through links too, and
// names with which a driver marks what is hidden do not count. Folders do not,
// as entries imply them. Where an entry is no longer found, as a later one took
// its place or that of a link on its way, nobody can tell: there are none then.
func Strangers(ctx context.Context, dir, record string) (found []string, err error) {
	made, err := inodesOf(ctx, dir, record)
	if err != nil || made == nil {
		return nil, err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), archive.WhiteoutMetaPrefix) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if ok && !made[st.Ino] {
			found = append(found, strings.TrimPrefix(path, dir))
		}
		if len(found) == maxStrangers {
			return fs.SkipAll
		}
		return nil
	})
	return found, err
}

// inodesOf are what the entries of a record are in the directory now, nil where
// one is no longer found. A layer lies on one file system.
func inodesOf(ctx context.Context, dir, record string) (made map[uint64]bool, err error) {
	files, err := openTree(dir)
	if err != nil {
		return nil, err
	}
	defer files.close()
	made = map[uint64]bool{}
	err = eachRecorded(record, func(name string) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		inode, here, err := inodeOf(files, name)
		if err == nil && !here {
			err = errMoved
		}
		made[inode] = true
		return err
	})
	if errors.Is(err, errMoved) {
		return nil, nil
	}
	return made, err
}

// errMoved is about an entry that is no longer found.
var errMoved = errors.New("it is no longer there")

// inodeOf finds what an entry is in a layer: a whiteout has the name that it
// hides, or its own.
func inodeOf(files *tree, name string) (inode uint64, here bool, err error) {
	folder, base := split(name)
	if strings.HasPrefix(base, archive.WhiteoutMetaPrefix) {
		return 0, true, nil // a mark, of which the driver makes what it likes
	}
	parent, err := files.open(folder)
	for _, name := range []string{base, strings.TrimPrefix(base, archive.WhiteoutPrefix)} {
		var st unix.Stat_t
		if err == nil {
			st, err = entry{parent, name}.lstat()
		}
		switch {
		case err == nil:
			return st.Ino, true, nil
		case !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP):
			return 0, false, err
		case parent >= 0:
			err = nil
		}
	}
	return 0, false, nil
}
