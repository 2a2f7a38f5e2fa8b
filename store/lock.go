package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/store/unpack"
)

// Names of mpull's own lock files, in the graph root. They are taken with
// flock(2), which belongs to the open file: unlike the store's own POSIX
// locks it is not lost when another descriptor of the file is closed.
const (
	lockFile      = "mpull.lock"       // shared: adding; exclusive: deleting
	gateFile      = "mpull-gate.lock"  // exclusive: waiting to delete; shared: on the way to lockFile
	namesLockFile = "mpull-names.lock" // exclusive: record and name move as one step
)

// otherMpull is who is said to hold a lock that is waited for.
const otherMpull = "another mpull"

// While a deleter waits, new adders wait at the gate, so that it has its turn
// beside any number of them. It keeps the gate for gateTime and then lets them
// pass for as long: one adder that takes long must not hold up all others.
const gateTime = 15 * time.Second

// flockDir takes the exclusive lock of a directory that exists.
func flockDir(ctx context.Context, path string) (*os.File, error) {
	f, err := openOwn(path, unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return unpack.Flock(ctx, f, unix.LOCK_EX, otherMpull)
}

// flock opens path and takes the lock how (unix.LOCK_SH or unix.LOCK_EX). The
// lock is released by closing the file, also when the process dies.
func flock(ctx context.Context, path string, how int) (*os.File, error) {
	f, err := openOwn(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) {
			return nil, fmt.Errorf("locking %s: %w", path, ErrReadOnly)
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return unpack.Flock(ctx, f, how, otherMpull)
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
	f, err := s.shared(ctx)
	if err != nil {
		return nil, err
	}
	s.keepReserve()
	return &Writer{Store: s, lock: f}, nil
}

// Deleter waits until no mpull is adding or deleting and returns the right to
// delete. Never ask a question on a terminal while holding it.
func (s *Store) Deleter(ctx context.Context) (*Deleter, error) {
	f, err := s.exclusive(ctx, gateTime)
	if err != nil {
		return nil, err
	}
	s.useReserve()
	return &Deleter{Writer{Store: s, lock: f}}, nil
}

// shared goes through the gate and takes the lock.
func (s *Store) shared(ctx context.Context) (_ *os.File, err error) {
	gate, err := s.lock(ctx, gateFile, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, gate.Close()) }()
	return s.lock(ctx, lockFile, unix.LOCK_SH)
}

// exclusive takes the lock behind a gate that is closed and open by turns.
func (s *Store) exclusive(ctx context.Context, turn time.Duration) (*os.File, error) {
	for {
		f, err := s.behindGate(ctx, turn)
		if !errors.Is(err, errTurn) {
			return f, err
		}
		pass, stop := context.WithTimeoutCause(ctx, turn, errTurn)
		f, err = s.lock(pass, lockFile, unix.LOCK_EX)
		stop()
		if !errors.Is(err, errTurn) {
			return f, err
		}
	}
}

// errTurn is the cause when a deleter's turn at the gate, or that of the
// others, is over.
var errTurn = errors.New("the turn is over")

// behindGate takes the lock while no further adder can, for a limited time.
func (s *Store) behindGate(ctx context.Context, turn time.Duration) (_ *os.File, err error) {
	gate, err := s.lock(ctx, gateFile, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, gate.Close()) }()
	ctx, stop := context.WithTimeoutCause(ctx, turn, errTurn)
	defer stop()
	return s.lock(ctx, lockFile, unix.LOCK_EX)
}

func (s *Store) lock(ctx context.Context, name string, how int) (*os.File, error) {
	if s.ReadOnly() {
		return nil, fmt.Errorf("changing the store at %s: %w", s.Root(), ErrReadOnly)
	}
	return flock(ctx, filepath.Join(s.Root(), name), how)
}

// Close releases the lock.
func (w *Writer) Close() error { return w.lock.Close() }

// Close makes up for what was taken from the reserve and releases the lock.
func (d *Deleter) Close() error {
	d.keepReserve()
	return d.Writer.Close()
}
