package store

import (
	"os"
	"path/filepath"

	"github.com/mpull/mpull/store/unpack"
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
func SpoolIn(dir string) (*os.File, error) { return unpack.Nameless(dir) }
