package unpack

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWalk resolves directories in both ways: with openat2(2), and step by step
// for kernels and sandboxes without it.
func TestWalk(t *testing.T) {
	dest := t.TempDir()
	for _, dir := range []string{"a/b/c", "usr/lib"} {
		if err := os.MkdirAll(filepath.Join(dest, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dest, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"lib": "usr/lib", "abs": "/usr/lib", "up": "../../../../usr", "out": "/etc", "loop": "loop", "a/link": "../lib", "dangling": "nowhere", "a/b/file": "/file",
	} {
		if err := os.Symlink(target, filepath.Join(dest, name)); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := openTree(dest)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	for _, dir := range []string{"/", "/a/b/c", "/lib", "/abs", "/up", "/up/lib", "/out", "/loop", "/a/link", "/dangling", "/nowhere/x", "/file", "/a/b/file", "/file/x", "/proc/self/fd"} {
		want, wantErr := tr.resolve(dir)
		got, gotErr := tr.walk(dir)
		if gotErr != wantErr { //nolint:errorlint // both are bare numbers of the system
			t.Errorf("%s: step by step %v, by the kernel %v", dir, gotErr, wantErr)
		}
		if wantErr != nil || gotErr != nil {
			continue
		}
		var w, g unix.Stat_t
		if err := unix.Fstat(want, &w); err != nil {
			t.Fatal(err)
		}
		if err := unix.Fstat(got, &g); err != nil {
			t.Fatal(err)
		}
		if w.Ino != g.Ino || w.Dev != g.Dev {
			t.Errorf("%s: step by step inode %d, by the kernel %d", dir, g.Ino, w.Ino)
		}
		_ = unix.Close(want)
		_ = unix.Close(got)
	}
}
