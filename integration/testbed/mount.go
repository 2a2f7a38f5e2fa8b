package testbed

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Mounts lists the mount points below dir, deepest first.
func Mounts(dir string) ([]string, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir)) // undoes what the file does to blanks
	if err != nil {
		return nil, err
	}
	var found []string
	for _, m := range mounts {
		if m.Mountpoint != dir {
			found = append(found, m.Mountpoint)
		}
	}
	slices.Sort(found)
	slices.Reverse(found)
	return found, nil
}

// Unmount undoes every mount in the bed: what a killed program, and podman by
// its own rules, leave mounted, and what the test mounted.
func (b *Bed) Unmount() {
	b.t.Helper()
	mounts, err := Mounts(b.Dir)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, m := range mounts {
		if err := unix.Unmount(m, unix.MNT_DETACH); err != nil {
			b.t.Errorf("unmounting %s: %v", m, err)
		}
	}
}

// Tmpfs mounts a file system of so many bytes and inodes (0: no limit of
// inodes) on a directory of the bed, or changes the size of the one there.
func (b *Bed) Tmpfs(name string, bytes int64, inodes int) string {
	b.t.Helper()
	dir := filepath.Join(b.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.t.Fatal(err)
	}
	flags := uintptr(0)
	mounts, err := Mounts(b.Dir)
	if err != nil {
		b.t.Fatal(err)
	}
	if slices.Contains(mounts, dir) {
		flags = unix.MS_REMOUNT
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("size=%d,nr_inodes=%d", bytes, inodes)); err != nil {
		b.t.Fatalf("mounting a tmpfs of %d bytes: %v", bytes, err)
	}
	return dir
}

// Free returns the bytes and inodes that are free where path is.
func Free(path string) (bytes, inodes int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * int64(st.Frsize), int64(st.Ffree), nil //nolint:unconvert // 32 bits wide on 32-bit machines
}

// EmptyTemp removes what is in the temporary directory: a program that cannot
// remove anything leaves it there.
func (b *Bed) EmptyTemp() {
	b.t.Helper()
	if err := os.RemoveAll(b.Temp); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Mkdir(b.Temp, 0o700); err != nil {
		b.t.Fatal(err)
	}
}
