package userfile

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Read returns what a file holds, at most as many bytes. It waits for who
// writes into a FIFO until ctx ends. A file that is not there is fs.ErrNotExist.
func Read(ctx context.Context, path string, most int64) (data []byte, err error) {
	f, err := Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	defer endWith(ctx, f)()
	data, err = io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("reading %s: %w", path, context.Cause(ctx))
	case err != nil:
		return nil, err
	case int64(len(data)) > most:
		return nil, fmt.Errorf("reading %s: it has more than %d bytes", path, most)
	}
	return data, nil
}

// Open opens a file of any size for reading. It waits for who writes into a
// FIFO until ctx ends: that is open at once, but has nothing to give and no end
// until somebody opens it for writing.
func Open(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "read", Path: path, Err: unix.EISDIR}
	}
	if err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		err = awaitWriter(ctx, f)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// pollTime is how often it is looked whether a context has ended, where the
// kernel cannot be asked for both.
const pollTime = 50 * time.Millisecond

func awaitWriter(ctx context.Context, f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		var ready int
		var pollErr error
		err := raw.Control(func(fd uintptr) {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // descriptors are small
			ready, pollErr = unix.Poll(fds, int(pollTime.Milliseconds()))
		})
		switch {
		case err != nil:
			return err
		case pollErr != nil && pollErr != unix.EINTR:
			return os.NewSyscallError("poll", pollErr)
		case ready > 0:
			return nil
		}
	}
	return fmt.Errorf("waiting for what is written to %s: %w", f.Name(), context.Cause(ctx))
}

// endWith ends what waits for a file when ctx does, where that file can wait.
func endWith(ctx context.Context, f *os.File) (release func()) {
	stop := context.AfterFunc(ctx, func() { _ = f.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

// CheckRegular refuses, in one line, a file that a library is about to read as
// often as it likes and for as long as it takes: one that is neither regular nor
// a device such as /dev/null. One that is not there is for the library to miss.
func CheckRegular(path string) error {
	info, err := os.Stat(path)
	if path == "" || err != nil {
		return nil //nolint:nilerr // the library says it better, or does without
	}
	if m := info.Mode(); m.IsRegular() || m&fs.ModeDevice != 0 {
		return nil
	}
	return fmt.Errorf("%s is %s: name a regular file", filepath.Clean(path), kind(info.Mode()))
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a directory"
	case m&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "no regular file"
}

// pause waits a little, or until ctx ends.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(pollTime):
		return nil
	}
}
