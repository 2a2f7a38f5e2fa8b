package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Spool returns an empty file on the disk that has the store, or will have it;
// where that cannot be written, in the system's directory for temporary files.
// It has no name: nothing of it stays when the program is killed, and no other
// one finds it. Close gives its space back.
func Spool(o Options) (*os.File, error) {
	options, err := o.resolve()
	if err != nil {
		return nil, err
	}
	return spoolBeside(options.GraphRoot)
}

// Spool is Spool of the open store.
func (s *Store) Spool() (*os.File, error) { return spoolBeside(s.Root()) }

func spoolBeside(dir string) (*os.File, error) {
	for !exists(dir) {
		dir = filepath.Dir(dir)
	}
	if f, err := SpoolIn(dir); err == nil {
		return f, nil
	}
	return SpoolIn(os.TempDir())
}

// SpoolIn returns an empty file without a name in a directory.
func SpoolIn(dir string) (*os.File, error) {
	if f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600); err == nil {
		return f, nil
	}
	// The file system cannot make one: it has a name for a moment.
	f, err := os.CreateTemp(dir, ".mpull-spool-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
