package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/mpull/mpull/integration/storelab"
)

// taken is what du says of a graph root, without the files that are rewritten
// rather than freed, and without the directories that hold all layers.
func taken(t *testing.T, root string) int64 {
	t.Helper()
	shared := []string{"", "overlay", "overlay/l", "overlay/tempdirs", "overlay-layers", "overlay-images", "overlay-layers/tmp", "vfs-layers/tmp", "vfs/tempdirs", "vfs", "vfs/dir", "vfs-layers", "vfs-images"}
	var bytes int64
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(path, root), "/")
		if slices.Contains(shared, rel) || strings.HasSuffix(rel, ".json") || strings.HasSuffix(rel, ".lock") {
			return nil
		}
		bytes += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func TestUsageIsWhatTheDiskGetsBack(t *testing.T) {
	dirs := map[string]func(testing.TB) string{"in memory": storelab.Dir, "on disk": func(tb testing.TB) string { return tb.TempDir() }}
	for _, driver := range []string{"overlay", "vfs"} {
		for where, dir := range dirs {
			t.Run(driver+" "+where, func(t *testing.T) {
				l := storelab.New(t, dir(t), driver)
				keep := l.Image(storelab.Spec{Layers: [][]int{{5000, 1}}})
				ids := []string{
					l.Image(storelab.Spec{Parent: keep, Layers: [][]int{{70000, 3, 0}}}),
					l.Image(storelab.Spec{Layers: [][]int{{10}, {4096, 4097}}, Labels: map[string]string{"pad": strings.Repeat("x", 9000)}}),
				}
				d := deleter(t, l)
				snap, err := d.Snapshot(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				syscall.Sync() // else blocks are still a guess of delayed allocation
				usage := d.Usage()
				kept, err := l.Lib.Image(keep)
				if err != nil {
					t.Fatal(err)
				}
				var want int64
				for _, layer := range snap.Layers {
					if layer.ID != kept.TopLayer {
						want += usage.Layer(layer.ID)
					}
				}
				for _, id := range ids {
					want += usage.Image(id)
				}
				before := taken(t, l.Root)
				if _, err := deleteImages(t.Context(), d, ids...); err != nil {
					t.Fatal(err)
				}
				if got := before - taken(t, l.Root); got != want || want == 0 || usage.Err() != nil {
					t.Errorf("the disk got %d bytes back, measured were %d (%v)", got, want, usage.Err())
				}
			})
		}
	}
}

func TestDiskUsageCountsInodesOnce(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	if err := os.WriteFile(file, make([]byte, 100000), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := diskUsage(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(file, filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	after, err := diskUsage(dir, filepath.Join(dir, "gone"))
	if err != nil || after != before || before < 100000 {
		t.Errorf("got %d bytes, then %d with a second link (%v)", before, after, err)
	}
}

func TestUsageRefusesPaths(t *testing.T) {
	u := &Usage{driver: "overlay", roots: []string{t.TempDir()}, seen: map[string]int64{}}
	if got := u.Layer("../../usr"); got != 0 {
		t.Errorf("got %d bytes for a path", got)
	}
}

func TestDownloads(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "vfs")
	d := deleter(t, l)
	dead, alive := filepath.Join(l.Root, DownloadDir, "dead"), filepath.Join(l.Root, DownloadDir, "alive")
	for _, dir := range []string{dead, alive} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	owner, err := os.Open(alive)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	if err := syscall.Flock(int(owner.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	found, err := d.Downloads()
	if err != nil || len(found) != 1 || found[0].Path != dead {
		t.Fatalf("found %+v, %v", found, err)
	}
	for _, path := range []string{alive, l.Root, filepath.Join(l.Root, DownloadDir), filepath.Join(dead, "x")} {
		if _, err := d.DeleteDownload(t.Context(), path); err == nil {
			t.Errorf("%s was removed", path)
		}
	}
	for _, wantGone := range []bool{false, true} {
		if gone, err := d.DeleteDownload(t.Context(), dead); err != nil || gone != wantGone {
			t.Errorf("got gone = %t, %v", gone, err)
		}
	}
}
