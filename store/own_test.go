package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPlantedNames puts something else under each name of mpull's own in a
// store's root. Nothing is followed, waited for, written to or removed.
func TestPlantedNames(t *testing.T) {
	uses := map[string]func(context.Context, *Store) error{
		lockFile: func(ctx context.Context, s *Store) error { _, err := s.Writer(ctx); return err },
		gateFile: func(ctx context.Context, s *Store) error { _, err := s.Deleter(ctx); return err },
		namesLockFile: func(ctx context.Context, s *Store) error {
			w, err := s.Writer(ctx)
			if err != nil {
				return err
			}
			defer w.Close()
			_, err = w.lockNames(ctx)
			return err
		},
		DownloadDir: func(ctx context.Context, s *Store) error {
			w, err := s.Writer(ctx)
			if err != nil {
				return err
			}
			defer w.Close()
			_, listErr := s.Downloads()
			_, _, err = w.TempDir(ctx)
			if listErr == nil {
				return errors.New("it was listed")
			}
			return err
		},
		RunDir: func(ctx context.Context, s *Store) error {
			_, listErr := s.DeadRuns()
			r := &Run{ID: "x", store: s}
			err := r.claim(ctx)
			if listErr == nil {
				return errors.New("it was listed")
			}
			return err
		},
	}
	plants := map[string]func(path, outside string) error{
		"a link to a file":      func(path, outside string) error { return os.Symlink(filepath.Join(outside, "file"), path) },
		"a link to a directory": func(path, outside string) error { return os.Symlink(outside, path) },
		"a link to nothing":     func(path, outside string) error { return os.Symlink(filepath.Join(outside, "new"), path) },
		"a FIFO":                func(path, _ string) error { return unix.Mkfifo(path, 0o600) },
		"the other kind": func(path, _ string) error {
			if name := filepath.Base(path); name == DownloadDir || name == RunDir {
				return os.WriteFile(path, nil, 0o600)
			}
			return os.Mkdir(path, 0o700)
		},
		"somebody else's": func(path, _ string) error {
			if os.Geteuid() != 0 {
				return errors.ErrUnsupported
			}
			put := func() error { return os.WriteFile(path, nil, 0o666) }
			if name := filepath.Base(path); name == DownloadDir || name == RunDir {
				put = func() error { return os.Mkdir(path, 0o777) }
			}
			if err := put(); err != nil {
				return err
			}
			err := os.Chown(path, 4321, 4321)
			if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) { // root of a user namespace with one ID
				return errors.ErrUnsupported
			}
			return err
		},
	}
	for name, use := range uses {
		for what, plant := range plants {
			t.Run(name+" is "+what, func(t *testing.T) {
				s, _ := testStore(t)
				outside := t.TempDir()
				if err := os.WriteFile(filepath.Join(outside, "file"), []byte("keep"), 0o600); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(s.Root(), name)
				if err := plant(path, outside); errors.Is(err, errors.ErrUnsupported) {
					t.Skip("only root can give a file to somebody else")
				} else if err != nil {
					t.Fatal(err)
				}
				err := use(t.Context(), s)
				var planted *PlantedError
				if !errors.As(err, &planted) || planted.Path != path {
					t.Errorf("%v", err)
				}
				if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
					t.Errorf("outside: %v (%v)", entries, err)
				}
				if _, err := os.Lstat(path); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestPlantedReserve is not waited for: a reserve is good, not needed.
func TestPlantedReserve(t *testing.T) {
	s, _ := testStore(t)
	if err := unix.Mkfifo(filepath.Join(s.Root(), reserveFile), 0o600); err != nil {
		t.Fatal(err)
	}
	s.keepReserve()
}
