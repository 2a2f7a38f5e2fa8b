package store

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testenv"
)

// TestReserveFollowsTheLists keeps room for each list twice, makes it anew when it
// has become too little, and gives it up only on a full disk.
func TestReserveFollowsTheLists(t *testing.T) {
	s, o := testStore(t)
	path := filepath.Join(o.Root, reserveFile)
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			return -1
		}
		return info.Size()
	}
	for _, tt := range []struct{ before, list, want int64 }{
		{-1, 0, minReserve},
		{minReserve, 0, minReserve},
		{minReserve / 2, 0, minReserve / 2}, // still half of it
		{minReserve/2 - 1, 0, minReserve},
		{minReserve, 1 << 20, minReserve + 2<<20},
		{minReserve, 100 << 20, maxReserve},
		{minReserve/2 + 1<<20, 1 << 20, minReserve/2 + 1<<20},
		{minReserve/2 + 1<<20 - 1, 1 << 20, minReserve + 2<<20},
	} {
		_ = os.Remove(path)
		if tt.before >= 0 {
			if err := os.WriteFile(path, make([]byte, tt.before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		list := filepath.Join(o.Root, "vfs-layers", "layers.json")
		if err := os.MkdirAll(filepath.Dir(list), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(list, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(list, tt.list); err != nil {
			t.Fatal(err)
		}
		s.keepReserve()
		if got := size(); got != tt.want {
			t.Errorf("%d bytes before, a list of %d: %d, not %d", tt.before, tt.list, got, tt.want)
		}
		s.useReserve()
		if got := size(); got != tt.want {
			t.Errorf("on a disk with room it becomes %d", got)
		}
		if err := os.Remove(list); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReserveOfASmallDisk leaves a disk alone that has not much more than that.
func TestReserveOfASmallDisk(t *testing.T) {
	testenv.Root(t)
	for size, want := range map[string]bool{"size=3m": false, "size=6m": true} {
		s, o := testStore(t)
		inner := filepath.Join(t.TempDir(), "small")
		if err := os.Mkdir(inner, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", inner, "tmpfs", 0, size); err != nil {
			t.Skipf("a small disk cannot be mounted: %v", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(inner, unix.MNT_DETACH) })
		small := &Store{options: s.options, lib: s.lib}
		small.options.GraphRoot = inner
		small.keepReserve()
		if got := exists(filepath.Join(inner, reserveFile)); got != want {
			t.Errorf("%s: there is a reserve = %t, in %s", size, got, o.Root)
		}
	}
}

// TestDiskOf reads the disk of the nearest folder that is there.
func TestDiskOf(t *testing.T) {
	dir := t.TempDir()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	total := int64(st.Blocks) * int64(st.Bsize) //nolint:unconvert // not 64 bits everywhere
	for _, path := range []string{dir, filepath.Join(dir, "not/yet")} {
		disk, err := DiskOf(path)
		if err != nil || disk.Total != total || disk.Free < disk.Total/1000 || disk.Free > disk.Total {
			t.Errorf("%s: %+v, %v", path, disk, err)
		}
		if (st.Files == 0) != (disk.Files == math.MaxInt64) {
			t.Errorf("%s: %d files of %d", path, disk.Files, st.Files)
		}
	}
	if disk, err := DiskOf("/proc/self"); err != nil || disk.Files != math.MaxInt64 {
		t.Errorf("a file system that does not count files: %+v, %v", disk, err)
	}
	for total, want := range map[int64]int64{0: 0, 1000: 30, 10 << 30: (10 << 30) / 100 * 3, 100 << 30: 1 << 30} {
		if got := (Disk{Total: total}).Reserve(); got != want {
			t.Errorf("of %d bytes %d stay free, not %d", total, got, want)
		}
	}
}

// TestDriverAt takes of several drivers the first that has images, else the first.
func TestDriverAt(t *testing.T) {
	for _, tt := range []struct {
		files map[string]string
		want  string
	}{
		{nil, ""},
		{map[string]string{"vfs-images/images.lock": ""}, "vfs"},
		{map[string]string{"vfs-images/images.lock": "", "overlay-images/images.lock": ""}, "overlay"},
		{map[string]string{"vfs-images/images.json": `[{"id":"a"}]`, "overlay-images/images.lock": ""}, "vfs"},
		{map[string]string{"vfs-images/images.json": `[]`, "overlay-images/images.json": `[]`}, "overlay"},
		{map[string]string{"vfs-images/images.json": `[{}]`, "overlay-images/images.json": `[]`}, "vfs"},
		{map[string]string{"zfs-images/images.json": `[]`, "btrfs-images/images.json": `[]`}, "btrfs"},
	} {
		root := t.TempDir()
		for path, text := range tt.files {
			if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := DriverAt(root); got != tt.want {
			t.Errorf("%v: %q, not %q", tt.files, got, tt.want)
		}
	}
}

// TestOptionsForADriver leaves out those of another.
func TestOptionsForADriver(t *testing.T) {
	all := []string{"overlay.mountopt=nodev", "vfs.ignore_chown_errors=true", "overlay2.size=1", "storage.x=y", "plain=a.b"}
	for driver, want := range map[string][]string{
		"": all, "overlay": {all[0], all[2], all[3], all[4]}, "vfs": {all[1], all[3], all[4]}, "zfs": {all[3], all[4]},
	} {
		if got := optionsFor(driver, all); !slices.Equal(got, want) {
			t.Errorf("%q: %v, not %v", driver, got, want)
		}
	}
}

// TestIDs knows one from other names of folders.
func TestIDs(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for name, want := range map[string]bool{id: true, id[1:]: false, id + "0": false, "g" + id[1:]: false, "A" + id[1:]: false, "": false} {
		if isHexID(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}
