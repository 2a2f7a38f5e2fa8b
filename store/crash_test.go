package store

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/storelab"
)

// crashName is the name by which the test program deletes images and kills
// itself before its n-th change on disk.
const crashName = "mpull-test-delete"

// wholeName is the name by which it puts half an image onto all its layers.
const wholeName = "mpull-test-whole"

// toCrash opens the store that the arguments name, and returns what to call
// before each change.
func toCrash() (*Store, func()) {
	root, runRoot, driver := os.Args[1], os.Args[2], os.Args[3]
	n, err := strconv.Atoi(os.Args[4])
	if err != nil {
		panic(err)
	}
	s, err := Create(Options{Root: root, RunRoot: runRoot, Driver: driver})
	if err != nil {
		panic(err)
	}
	return s, func() {
		if n--; n == 0 {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		}
	}
}

func makeWholeAndCrash() {
	s, step := toCrash()
	if err := s.makeWhole(os.Args[5], os.Args[6], wholeOptions(os.Args[5]), step); err != nil {
		panic(err)
	}
}

// wholeOptions are those of a commit of the whole image.
func wholeOptions(id string) *storage.ImageOptions {
	doc := []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"sha256:%s"},"layers":[]}`, id))
	d := digest.FromBytes(doc)
	return &storage.ImageOptions{BigData: []storage.ImageBigDataOption{{Key: storage.ImageDigestBigDataKey, Data: doc, Digest: d}}}
}

func deleteAndCrash() {
	s, step := toCrash()
	d, err := s.Deleter(context.Background())
	if err != nil {
		panic(err)
	}
	b, err := d.newBatch(context.Background())
	if err != nil {
		panic(err)
	}
	b.step = step
	if _, err := b.run(context.Background(), func(*Snapshot) (Removal, error) { return Removal{Images: os.Args[5:]}, nil }); err != nil {
		panic(err)
	}
}

// TestDeleteKilledAtEachStep kills a deletion before each of its changes on
// disk. Each time the store opens, for podman first where that is installed;
// nothing that was to stay is harmed; and the same deletion finishes the work.
func TestDeleteKilledAtEachStep(t *testing.T) {
	for _, driver := range []string{"overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			kills := 0
			for n := 1; ; n++ {
				if !killedAt(t, driver, n) {
					break
				}
				kills++
			}
			if kills < 14 {
				t.Errorf("only %d kills", kills)
			}
			t.Logf("%d kills, 0 lost", kills)
		})
	}
}

func killedAt(t *testing.T, driver string, n int) bool {
	t.Helper()
	l := storelab.New(t, storelab.Dir(t), driver)
	base, diff := l.Layer("", 5000)
	var doomed []string
	for i := range 2 {
		doomed = append(doomed, l.Image(storelab.Spec{Top: base, DiffIDs: []digest.Digest{diff}, Layers: [][]int{{100 * i}, {10}}}))
	}
	kept := l.Image(storelab.Spec{Names: []string{"localhost/kept:1"}, Top: base, DiffIDs: []digest.Digest{diff}, Layers: [][]int{{7}}})
	cmd := reexec.Command(append([]string{crashName, l.Root, l.RunRoot, driver, strconv.Itoa(n)}, doomed...)...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if status, ok := cmd.ProcessState.Sys().(interface{ Signaled() bool }); !ok || !status.Signaled() {
		t.Fatalf("step %d: %v: %s", n, err, out)
	}
	if _, err := exec.LookPath("podman"); err == nil && n%2 == 0 { // else the library is the first to open it
		list, err := podman(t, l, "images", "--no-trunc", "--quiet").CombinedOutput()
		if err != nil || !strings.Contains(string(list), kept) {
			t.Errorf("step %d: podman says %v: %s", n, err, list)
		}
	}
	d := deleter(t, l)
	if damage, err := d.Check(t.Context()); err != nil || len(damage) > 0 {
		t.Errorf("step %d: damaged: %+v, %v", n, damage, err)
	}
	if img := find(t, d.Store, kept); !slices.Equal(img.Names, []string{"localhost/kept:1"}) || img.ConfigError != nil {
		t.Errorf("step %d: the image that was to stay is %+v", n, img)
	}
	finish(t, d, doomed)
	left, err := d.Snapshot(t.Context())
	if err != nil || len(left.Images) != 1 || len(left.Layers) != 2 {
		t.Errorf("step %d: %d images and %d layers are left, not 1 and 2: %v", n, len(left.Images), len(left.Layers), err)
	}
	sane(t, l.Lib)
	for _, pattern := range []string{driver + "-images/*[0-9a-f]", driver + "-layers/*.gz", driver + "/l/*"} {
		found, err := filepath.Glob(filepath.Join(l.Root, pattern))
		want := map[string]int{"-images/*[0-9a-f]": 1, "-layers/*.gz": 2, "/l/*": 2}[strings.TrimPrefix(pattern, driver)]
		if driver == "vfs" && strings.HasSuffix(pattern, "/l/*") {
			want = 0
		}
		if err != nil || len(found) != want {
			t.Errorf("step %d: %s: %v, want %d", n, pattern, found, want)
		}
	}
	return true
}

// TestMakeWholeKilledAtEachStep kills the mending of half an image before each of
// its changes on disk: at every moment the image has its names and its record,
// and its container is one. What is not half stays as it is.
func TestMakeWholeKilledAtEachStep(t *testing.T) {
	kills := 0
	for n := 1; ; n++ {
		l := storelab.New(t, storelab.Dir(t), "vfs")
		low, first := l.Layer("", 50)
		top, second := l.Layer(low, 60)
		half := l.Image(storelab.Spec{Names: []string{"localhost/half:1"}, Top: low, DiffIDs: []digest.Digest{first, second}})
		sound := l.Image(storelab.Spec{Names: []string{"localhost/sound:1"}, Top: top, DiffIDs: []digest.Digest{first, second}})
		used := l.Container("used", half)
		d := deleter(t, l)
		if err := d.appendRecord(half, Displacement{Name: "localhost/lost:1", At: now(), Command: "pull"}); err != nil {
			t.Fatal(err)
		}
		if damage, err := d.Check(t.Context()); err != nil || len(damage) != 1 || damage[0].ID != half {
			t.Fatalf("the half image is not seen: %+v, %v", damage, err)
		}
		for id, onto := range map[string]string{sound: low, half: low} {
			if err := d.makeWhole(id, onto, wholeOptions(id), func() {}); err != nil {
				t.Fatal(err)
			}
		}
		if img := find(t, d.Store, sound); img.TopLayer != top {
			t.Fatal("an image that was whole has other layers now")
		}
		cmd := reexec.Command(wholeName, l.Root, l.RunRoot, l.Driver, strconv.Itoa(n), half, top)
		out, err := cmd.CombinedOutput()
		if status, ok := cmd.ProcessState.Sys().(interface{ Signaled() bool }); err != nil && (!ok || !status.Signaled()) {
			t.Fatalf("step %d: %v: %s", n, err, out)
		}
		img := find(t, d.Store, half)
		if !slices.Equal(img.Names, []string{"localhost/half:1"}) || len(img.Displaced) != 1 || img.ConfigError != nil {
			t.Errorf("step %d: the image is %+v", n, img)
		}
		if c, err := l.Lib.Container(used); err != nil || c.ImageID != half {
			t.Errorf("step %d: the container: %v", n, err)
		}
		if err == nil {
			if damage, err := d.Check(t.Context()); err != nil || len(damage) > 0 || img.TopLayer != top || img.Digest != digestFrom(wholeOptions(half)) {
				t.Errorf("not whole: %+v, %v", damage, err)
			}
			break
		}
		kills++
	}
	if kills < 3 {
		t.Errorf("only %d kills", kills)
	}
	t.Logf("%d kills, 0 lost", kills)
}

// podman prepares podman on a lab's store, with a storage.conf of its own.
func podman(t *testing.T, l *storelab.Lab, args ...string) *exec.Cmd {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "storage.conf")
	text := fmt.Sprintf("[storage]\ndriver = %q\ngraphroot = %q\nrunroot = %q\n", l.Driver, l.Root, l.RunRoot)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("podman", append([]string{"--root", l.Root, "--runroot", l.RunRoot, "--storage-driver", l.Driver}, args...)...)
	cmd.Env = append(os.Environ(), "CONTAINERS_STORAGE_CONF="+conf)
	return cmd
}

// finish does what the next prune does: it deletes the images again, and the
// layers that nothing needs.
func finish(t *testing.T, d *Deleter, images []string) {
	t.Helper()
	for range 2 {
		done, err := d.Delete(t.Context(), func(fresh *Snapshot) (Removal, error) {
			return Removal{Images: images, Layers: unneeded(fresh)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range done {
			if one.Err != nil {
				t.Error(one.Err)
			}
		}
	}
}

// unneeded returns the layers that no image uses, children first.
func unneeded(snap *Snapshot) (ids []string) {
	parents, used := map[string]string{}, map[string]bool{}
	for _, layer := range snap.Layers {
		parents[layer.ID] = layer.Parent
	}
	for _, img := range snap.Images {
		for id := img.TopLayer; id != ""; id = parents[id] {
			used[id] = true
		}
	}
	for _, layer := range slices.Backward(snap.Layers) { // they are listed as they were made
		if !used[layer.ID] {
			ids = append(ids, layer.ID)
		}
	}
	return ids
}
