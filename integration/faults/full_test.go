package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testimage"
)

// zeros is a layer that is much larger than what a registry sends of it: no
// look at the sizes tells that it will not fit.
func zeros(t *testing.T, name string, files, size int) []byte {
	entries := []entry{dir(name + "/")}
	for i := range files {
		entries = append(entries, file(fmt.Sprintf("%s/%d", name, i), make([]byte, size)))
	}
	return tarOf(t, entries...)
}

// TestFullDisk pulls into stores on disks of every size, and with every number
// of inodes, around what an image needs. A pull that does not fit says so and
// leaves a sound store; with more room the same command succeeds.
func TestFullDisk(t *testing.T) { eachDriver(t, fullDisk) }

func fullDisk(t *testing.T, driver string) {
	testbed.NeedRoot(t)
	reg := newRegistry(t)
	id := pushLayers(t, reg, "app:1", zeros(t, "a", 64, 16<<10), zeros(t, "b", 64, 16<<10), zeros(t, "c", 8, 64<<10))
	name := reg.Host + "/app:1"
	need, inodes := int64(3<<20), 320
	if driver == "vfs" { // which copies all layers below
		need, inodes = 6<<20, 520
	}
	var refused atomic.Int64
	try := func(t *testing.T, bytes int64, inodes int) {
		t.Parallel()
		b := newBed(t)
		b.Driver = driver
		b.Tmpfs("root", bytes, inodes)
		r := b.Mpull("pull", "--quiet", "--retry", "0", "--tls-verify=false", name)
		switch {
		case r.Code == 0:
		case r.Code == 125 && (strings.Contains(r.Stderr, "space") || strings.Contains(r.Stderr, "full")):
			refused.Add(1)
		default:
			t.Error(r)
		}
		if v := sound(t, b, false); len(v.Names) > 0 != (r.Code == 0) {
			t.Errorf("exit code %d, names %v", r.Code, v.Names)
		}
		b.Tmpfs("root", 64<<20, 0)
		b.Must("pull", "--quiet", "--tls-verify=false", name)
		if v := sound(t, b, false); v.Names[name] != id {
			t.Errorf("the tag is %q", v.Names[name])
		}
	}
	sizes, counts := figure(t, 6, 80, 400), figure(t, 3, 20, 100)
	t.Run("disks", func(t *testing.T) {
		for n := range sizes {
			percent := 5 + 115*n/(sizes-1)
			t.Run(fmt.Sprintf("%d %%", percent), func(t *testing.T) { try(t, need*int64(percent)/100, 0) })
		}
		for n := range counts {
			count := inodes/10 + inodes*n/(counts-1)
			t.Run(fmt.Sprintf("%d inodes", count), func(t *testing.T) { try(t, 64<<20, count) })
		}
	})
	t.Logf("%d disks, %d pulls did not fit", sizes+counts, refused.Load())
	if refused.Load() < int64(sizes+counts)/4 {
		t.Errorf("only %d pulls did not fit", refused.Load())
	}
}

// fill writes a file that leaves so many bytes of a file system free.
func fill(t *testing.T, dir string, leave int64) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	free, _, err := testbed.Free(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, max(free-leave, 0)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSecondTagOnFullDisk gives one image one more tag after the other while
// only a few pages are free. The library's own way deletes the image with all
// its tags when that fails.
func TestSecondTagOnFullDisk(t *testing.T) {
	runs := figure(t, 12, 96, 500)
	b, reg := newBed(t), newRegistry(t)
	root := b.Tmpfs("root", 24<<20, 0)
	img := testimage.Spec{Layers: 2}
	push(t, reg, "app:0", img)
	b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/app:0")
	page := int64(os.Getpagesize())
	failed := 0
	var names []string
	for n := range runs {
		names = append(names, fmt.Sprintf("%s/app:%d", reg.Host, n))
		push(t, reg, fmt.Sprintf("app:%d", n), img)
		fill(t, root, int64(1+n%6)*page)
		if r := b.Mpull("pull", "--quiet", "--retry", "0", "--tls-verify=false", names[n]); r.Code != 0 {
			failed++
			names = names[:n]
			fill(t, root, 1<<20)
			b.Must("pull", "--quiet", "--tls-verify=false", fmt.Sprintf("%s/app:%d", reg.Host, n))
			names = append(names, fmt.Sprintf("%s/app:%d", reg.Host, n))
		}
		v := sound(t, b, false)
		for _, name := range names {
			if v.Names[name] == "" {
				t.Fatalf("run %d: %s was lost; left are %d names", n, name, len(v.Names))
			}
		}
	}
	t.Logf("%d runs, %d did not fit, 0 names lost", runs, failed)
}

// TestPruneFullDisk frees space where there is none left.
func TestPruneFullDisk(t *testing.T) {
	b, reg := newBed(t), newRegistry(t)
	root := b.Tmpfs("root", 64<<20, 0)
	name := reg.Host + "/app:1"
	for seed := range uint64(3) {
		push(t, reg, "app:1", testimage.Spec{Layers: 2, Seed: seed, FileSize: 64 << 10})
		b.Must("pull", "--quiet", "--tls-verify=false", name)
	}
	fill(t, root, 0)
	if free, _, err := testbed.Free(root); err != nil || free > 0 {
		t.Fatalf("%d bytes are free, %v", free, err)
	}
	r := b.Must("prune", "--force")
	if ids := strings.Fields(r.Stdout); len(ids) != 2 {
		t.Errorf("pruned %v", ids)
	}
	v := sound(t, b, false)
	if v.Names[name] == "" {
		t.Error("the tag is gone")
	}
	if free, _, err := testbed.Free(root); err != nil || free < 256<<10 {
		t.Errorf("%d bytes are free after the prune, %v", free, err)
	}
	if err := os.Remove(filepath.Join(root, "filler")); err != nil {
		t.Fatal(err)
	}
	if left := b.Must("images", "--all", "--quiet").Stdout; len(slices.Compact(strings.Fields(left))) != 1 {
		t.Errorf("left: %s", left)
	}
}
