package userfile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links are followed, as the kernel does.
const maxLinks = 40

// Replace has write fill the file at path. A regular file, or one that is not
// there, is replaced in one step when write has succeeded, in the directory in
// which it really lies: symbolic links stay, and so do the mode and the owner
// of what was there; a new file gets mode, whatever the umask. dir is that directory,
// for files that write needs meanwhile. What is no regular file is written into
// as it is, and dir is "". So is a regular file that cannot be replaced, as its
// directory is not writable, or its owner could not be kept.
//
// An error of write comes back as it is.
func Replace(ctx context.Context, path string, mode fs.FileMode, write func(w io.Writer, dir string) error) error {
	var failed error
	err := replace(ctx, path, mode, func(w io.Writer, dir string) error {
		failed = write(w, dir)
		return failed
	})
	if err == nil || failed != nil {
		return err
	}
	return fmt.Errorf("writing %s: %w", path, err)
}

func replace(ctx context.Context, path string, mode fs.FileMode, write func(io.Writer, string) error) error {
	if f, err := descriptor(path); f != nil || err != nil {
		return into(ctx, f, err, write)
	}
	old, err := os.Stat(path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil && old.IsDir():
		return unix.EISDIR
	case err == nil && !old.Mode().IsRegular():
		f, err := openForWriting(ctx, path)
		return into(ctx, f, err, write)
	case err != nil:
		old = nil
	}
	target, err := follow(path)
	if err != nil {
		return err
	}
	temp, err := beside(target, mode, old)
	if old != nil && irreplaceable(err) {
		return overwrite(ctx, target, write)
	}
	if err != nil {
		return err
	}
	return swap(ctx, temp, target, old, write)
}

// swap fills temp and puts it in the place of target.
func swap(ctx context.Context, temp *part, target string, old fs.FileInfo, write func(io.Writer, string) error) error {
	err := errors.Join(write(temp, filepath.Dir(target)), temp.Sync())
	if err != nil {
		return errors.Join(err, temp.remove(), temp.Close())
	}
	err = temp.become(target)
	if old != nil && irreplaceable(err) { // a file that is mounted there
		err = errors.Join(overwrite(ctx, target, func(w io.Writer, _ string) error {
			_, err := io.Copy(w, io.NewSectionReader(temp, 0, 1<<62))
			return err
		}), temp.remove())
	}
	return errors.Join(err, temp.Close())
}

// irreplaceable tells whether err says that a file may only be written into.
func irreplaceable(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.EBUSY)
}

// beside makes the file that will take the place of target, with the mode and
// the owner of what is there.
func beside(target string, mode fs.FileMode, old fs.FileInfo) (*part, error) {
	f, err := newPart(target, mode)
	if err != nil {
		return nil, err
	}
	if old == nil {
		err = f.Chmod(mode)
	} else {
		err = likeness(f.File, old)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), f.remove())
	}
	return f, nil
}

// likeness gives a file the owner and the mode of another.
func likeness(f *os.File, old fs.FileInfo) error {
	made, err := f.Stat()
	if err != nil {
		return err
	}
	was, ok := old.Sys().(*syscall.Stat_t)
	is, isOK := made.Sys().(*syscall.Stat_t)
	if ok && isOK && (was.Uid != is.Uid || was.Gid != is.Gid) {
		if err := f.Chown(int(was.Uid), int(was.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(old.Mode().Perm())
}

// follow returns where a path leads that may be a symbolic link, also to
// nothing. Links on the way to its directory are the kernel's.
func follow(path string) (string, error) {
	for range maxLinks {
		to, err := os.Readlink(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EINVAL) {
			return path, nil // nothing there, or no link
		}
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			// Not filepath.Join: `..` behind a link to a directory is the kernel's.
			to = strings.TrimSuffix(path, filepath.Base(path)) + to
		}
		path = to
	}
	return "", unix.ELOOP
}

// descriptor returns a copy of the open file that a path such as /dev/stdout or
// /dev/fd/3 stands for; nil for any other path. Opening it by name would begin
// at its first byte again, and a socket cannot be opened.
func descriptor(path string) (*os.File, error) {
	for range maxLinks {
		dir, name := filepath.Split(path)
		folder, _ := filepath.EvalSymlinks(dir)
		own := strings.HasSuffix(folder, "/fd") && strings.HasPrefix(folder, fmt.Sprintf("/proc/%d/", os.Getpid()))
		if n, err := strconv.ParseUint(name, 10, 31); err == nil && own {
			fd, err := unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				return nil, err
			}
			return os.NewFile(uintptr(fd), path), nil //nolint:gosec // not negative without an error
		}
		to, err := os.Readlink(path)
		if err != nil {
			return nil, nil //nolint:nilerr // whatever it is, it is no descriptor of ours
		}
		if !filepath.IsAbs(to) {
			to = dir + to
		}
		path = to
	}
	return nil, unix.ELOOP
}

// openForWriting opens what is no regular file. It waits for who reads from a
// FIFO until ctx ends.
func openForWriting(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if info, statErr := os.Stat(path); !errors.Is(err, unix.ENXIO) || statErr != nil || info.Mode()&fs.ModeNamedPipe == 0 {
			return f, err
		}
		if err := pause(ctx); err != nil {
			return nil, fmt.Errorf("waiting for who reads it: %w", err)
		}
	}
}

// into writes into an open file. What is written in small pieces reaches it in
// larger ones.
func into(ctx context.Context, f *os.File, err error, write func(io.Writer, string) error) error {
	if err != nil {
		return err
	}
	defer endWith(ctx, f)()
	w := bufio.NewWriterSize(f, 64<<10)
	if err = write(w, ""); err == nil {
		err = w.Flush()
	}
	if ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		err = context.Cause(ctx)
	}
	return errors.Join(err, f.Close())
}

// overwrite writes into a regular file and cuts off what was longer.
func overwrite(ctx context.Context, target string, write func(io.Writer, string) error) error {
	f, err := os.OpenFile(target, os.O_WRONLY|unix.O_NOFOLLOW, 0)
	return into(ctx, f, err, func(w io.Writer, dir string) error {
		if err := f.Truncate(0); err != nil {
			return err
		}
		return write(w, dir)
	})
}
