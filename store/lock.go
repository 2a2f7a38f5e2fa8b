package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Names of mpull's own lock files, in the graph root. They are taken with
// flock(2), which belongs to the open file: unlike the store's own POSIX
// locks it is not lost when another descriptor of the file is closed.
const (
	lockFile      = "mpull.lock"       // shared: adding; exclusive: deleting
	namesLockFile = "mpull-names.lock" // exclusive: record and name move as one step
)

// lockPoll is how often a waiting lock is tried: waiting must end when the
// context does, which a blocking flock cannot.
const lockPoll = 20 * time.Millisecond

// flockDir takes the exclusive lock of a directory that exists.
func flockDir(ctx context.Context, path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return waitFlock(ctx, f, unix.LOCK_EX)
}

// flock opens path and takes the lock how (unix.LOCK_SH or unix.LOCK_EX). The
// lock is released by closing the file, also when the process dies.
func flock(ctx context.Context, path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) {
			return nil, fmt.Errorf("locking %s: %w", path, ErrReadOnly)
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return waitFlock(ctx, f, how)
}

// waitFlock takes the lock of an open file, or closes it.
func waitFlock(ctx context.Context, f *os.File, how int) (*os.File, error) {
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", f.Name(), err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for the lock %s, held by another mpull: %w", f.Name(), context.Cause(ctx)), f.Close())
		case <-tick.C:
		}
	}
}

// Writer adds to a store: images, layers, names, records. It holds mpull's
// lock shared, so that no mpull deletes what is being added; any number of
// writers may exist at once. Close releases the lock.
type Writer struct {
	*Store
	lock *os.File
}

// Deleter deletes from a store. It holds mpull's lock exclusively: no mpull
// is adding meanwhile. It can do all that a Writer can.
type Deleter struct {
	Writer
}

// Writer waits until no mpull is deleting and returns the right to add.
func (s *Store) Writer(ctx context.Context) (*Writer, error) {
	f, err := s.lock(ctx, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	s.keepReserve()
	return &Writer{Store: s, lock: f}, nil
}

// Deleter waits until no mpull is adding or deleting and returns the right to
// delete. Never ask a question on a terminal while holding it.
func (s *Store) Deleter(ctx context.Context) (*Deleter, error) {
	f, err := s.lock(ctx, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	s.useReserve()
	return &Deleter{Writer{Store: s, lock: f}}, nil
}

func (s *Store) lock(ctx context.Context, how int) (*os.File, error) {
	if s.ReadOnly() {
		return nil, fmt.Errorf("changing the store at %s: %w", s.Root(), ErrReadOnly)
	}
	return flock(ctx, filepath.Join(s.Root(), lockFile), how)
}

// Close releases the lock.
func (w *Writer) Close() error { return w.lock.Close() }

// Close makes up for what was taken from the reserve and releases the lock.
func (d *Deleter) Close() error {
	d.keepReserve()
	return d.Writer.Close()
}
