package userfile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func text(s string) func(io.Writer, string) error {
	return func(w io.Writer, _ string) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func is(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q (%v), want %q", path, got, err, want)
	}
}

func only(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if strings.Join(names, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %v, want %v", dir, names, want)
	}
}

func TestReplaceMakesAFileOfItsMode(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	path := filepath.Join(t.TempDir(), "new")
	write := func(w io.Writer, dir string) error {
		only(t, dir) // until it is complete there is nothing to be left behind
		return text("x")(w, dir)
	}
	if err := Replace(t.Context(), path, 0o640, write); err != nil {
		t.Fatal(err)
	}
	is(t, path, "x")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
}

func TestReplaceKeepsModeAndOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("old and longer"), 0o604); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	uid := os.Getuid()
	if uid == 0 && os.Chown(path, 4321, 4321) == nil { // root may have one ID only
		uid = 4321
	}
	if err := Replace(t.Context(), path, 0o666, text("new")); err != nil {
		t.Fatal(err)
	}
	is(t, path, "new")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Uid; info.Mode().Perm() != 0o604 || int(got) != uid {
		t.Errorf("mode %v owner %d, want 0604 and %d", info.Mode(), got, uid)
	}
}

func TestReplaceFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(other, 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"one": "two", "two": "a/b/three", "dir": "a/b"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	// The link in b leads out by `..` of the folder where it really lies.
	if err := os.Symlink("../target", filepath.Join(other, "three")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"one", "dir/three"} {
		for _, value := range []string{"first", "second"} {
			if err := Replace(t.Context(), filepath.Join(dir, path), 0o600, text(path+value)); err != nil {
				t.Fatal(err)
			}
			is(t, filepath.Join(dir, "a", "target"), path+value)
		}
	}
	only(t, dir, "a", "dir", "one", "two")
	only(t, other, "three")
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if err := Replace(t.Context(), filepath.Join(dir, "loop"), 0o600, text("x")); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link to itself: %v", err)
	}
}

func TestReplaceFailedLeavesWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("no such image")
	if err := Replace(t.Context(), path, 0o600, func(io.Writer, string) error { return failed }); !errors.Is(err, failed) || err.Error() != failed.Error() {
		t.Errorf("%v", err)
	}
	is(t, path, "old")
	only(t, dir, "f")
	if err := Replace(t.Context(), dir, 0o600, text("x")); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
}

func TestReplaceWritesIntoDevices(t *testing.T) {
	before, err := os.Stat(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if err := Replace(t.Context(), os.DevNull, 0o600, text("x")); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(os.DevNull); err != nil || !os.SameFile(before, after) || after.Mode() != before.Mode() {
		t.Errorf("/dev/null is %v now (%v)", after, err)
	}
	if err := Replace(t.Context(), "/dev/full", 0o600, text("x")); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("/dev/full: %v", err)
	}
}

func TestReplaceWritesIntoDescriptors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("before "); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/"} {
		if err := Replace(t.Context(), dir+strconv.Itoa(int(f.Fd())), 0o600, text("more ")); err != nil {
			t.Fatal(err)
		}
	}
	is(t, path, "before more more ")
}

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFIFOCarriesWhatIsWritten(t *testing.T) {
	path := fifo(t)
	done := make(chan error, 1)
	go func() { done <- Replace(t.Context(), path, 0o600, text(strings.Repeat("x", 1<<20))) }()
	got, err := Read(t.Context(), path, 1<<20)
	if err := errors.Join(err, <-done); err != nil || len(got) != 1<<20 {
		t.Errorf("%d bytes (%v)", len(got), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		t.Errorf("it is no FIFO any more: %v (%v)", info, err)
	}
}

func TestFIFOEndsWithItsContext(t *testing.T) {
	stopped := errors.New("stopped")
	for name, f := range map[string]func(context.Context, string) error{
		"nobody writes": func(ctx context.Context, path string) error {
			_, err := Read(ctx, path, 10)
			return err
		},
		"nobody reads": func(ctx context.Context, path string) error {
			return Replace(ctx, path, 0o600, text("x"))
		},
		"the writer says nothing": func(ctx context.Context, path string) error {
			w, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer w.Close()
			_, err = Read(ctx, path, 10)
			return err
		},
		"the reader takes nothing": func(ctx context.Context, path string) error {
			r, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
			if err != nil {
				return err
			}
			defer r.Close()
			return Replace(ctx, path, 0o600, text(strings.Repeat("x", 1<<20)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := fifo(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(2*pollTime, func() { cancel(stopped) })
			if err := f(ctx, path); !errors.Is(err, stopped) && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestReadIsBounded(t *testing.T) {
	if _, err := Read(t.Context(), "/dev/zero", 100); err == nil || !strings.Contains(err.Error(), "more than 100 bytes") {
		t.Errorf("/dev/zero: %v", err)
	}
	if _, err := Read(t.Context(), filepath.Join(t.TempDir(), "nothing"), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := Read(t.Context(), t.TempDir(), 1); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
}

func TestCheckRegular(t *testing.T) {
	for path, bad := range map[string]bool{fifo(t): true, t.TempDir(): true, os.DevNull: false, "/nowhere": false, "": false} {
		if err := CheckRegular(path); (err != nil) != bad {
			t.Errorf("%s: %v", path, err)
		}
	}
}
