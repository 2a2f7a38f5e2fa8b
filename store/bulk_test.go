package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"

	"github.com/mpull/mpull/integration/storelab"
)

// deleter opens the lab's store as mpull does.
func deleter(t testing.TB, l *storelab.Lab) *Deleter {
	t.Helper()
	s, err := Create(Options{Root: l.Root, RunRoot: l.RunRoot, Driver: l.Driver})
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Deleter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(d.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

// family makes images that share layers in all ways that matter: a base, a
// parent below others, twins on one layer, one with a container, one mounted.
func family(l *storelab.Lab) (ids []string, contained, mounted string) {
	base, diff := l.Layer("", 5000)
	for i := range 5 {
		ids = append(ids, l.Image(storelab.Spec{Top: base, DiffIDs: []digest.Digest{diff}, Layers: [][]int{{100 * i}, {10}}}))
	}
	parent := l.Image(storelab.Spec{Layers: [][]int{{700}}})
	child := l.Image(storelab.Spec{Parent: parent, Layers: [][]int{{30}}})
	twin := l.Image(storelab.Spec{Parent: child, Empty: 1})
	contained = l.Image(storelab.Spec{Parent: twin, Layers: [][]int{{40}}})
	l.Container("used", contained)
	mounted = l.Image(storelab.Spec{Layers: [][]int{{50}}})
	if _, err := l.Lib.MountImage(mounted, nil, ""); err != nil {
		l.TB.Fatal(err)
	}
	l.TB.Cleanup(func() {
		if _, err := l.Lib.UnmountImage(mounted, true); err != nil && !IsGone(err) {
			l.TB.Errorf("unmounting: %v", err)
		}
	})
	return append(ids, parent, child, twin, contained, mounted), contained, mounted
}

func TestBatchLeavesWhatTheLibraryLeaves(t *testing.T) {
	for _, driver := range []string{"overlay", "vfs"} {
		for _, spared := range []string{"none", "a child", "an image on the base"} {
			if driver == "vfs" && spared != "a child" {
				continue // the rules are the same, and each store takes seconds to make
			}
			t.Run(driver+" keeping "+spared, func(t *testing.T) {
				batch, one := storelab.New(t, storelab.Dir(t), driver), storelab.New(t, storelab.Dir(t), driver)
				got := deleteFamily(t, batch, spared, (*Deleter).DeleteImages)
				want := deleteFamily(t, one, spared, func(d *Deleter, ctx context.Context, ids []string) ([]Deletion, error) {
					return each(ctx, ids, d.DeleteImage)
				})
				if !slices.Equal(got, want) {
					t.Errorf("got  %v\nwant %v", got, want)
				}
				report, err := batch.Lib.Check(storage.CheckMost())
				if err != nil || len(report.Layers)+len(report.Images)+len(report.Containers) > 0 {
					t.Errorf("the store is not clean: %v %+v", err, report)
				}
			})
		}
	}
}

// deleteFamily deletes a family and describes the store afterwards: counts of
// outcomes, the diff IDs of the layers left, what lies in the directories.
func deleteFamily(t *testing.T, l *storelab.Lab, spared string, del func(*Deleter, context.Context, []string) ([]Deletion, error)) []string {
	t.Helper()
	ids, contained, _ := family(l)
	wanted := slices.Clone(ids)
	switch spared {
	case "a child":
		wanted = slices.Delete(wanted, 6, 7)
	case "an image on the base":
		wanted = slices.Delete(wanted, 0, 1)
	}
	d := deleter(t, l)
	done, err := del(d, t.Context(), append(wanted, "0123"))
	if err != nil {
		t.Fatal(err)
	}
	if len(done) != len(wanted)+1 || !done[len(wanted)].Gone {
		t.Errorf("got %d outcomes: %+v", len(done), done)
	}
	for _, one := range done {
		if inUse := errors.Is(one.Err, ErrInUse); inUse != (one.ID == contained) || one.Err != nil && !inUse {
			t.Errorf("image %.12s: %v", one.ID, one.Err)
		}
	}
	snap, err := d.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	left := []string{fmt.Sprintf("%d images", len(snap.Images))}
	for _, layer := range snap.Layers {
		left = append(left, layer.UncompressedDigest.String())
	}
	for _, pattern := range []string{l.Driver + "/*", l.Driver + "/dir/*", l.Driver + "/l/*", l.Driver + "-layers/*.tar-split.gz", l.Driver + "-images/*", l.Driver + "/tempdirs/*"} {
		found, err := filepath.Glob(filepath.Join(l.Root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, fmt.Sprintf("%d in %s", len(found), pattern))
	}
	slices.Sort(left)
	return left
}

func TestBatchInterruptedIsFinishedByTheLibrary(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "overlay")
	ids, _, _ := family(l)
	d := deleter(t, l)
	b, err := d.newBatch(ids[:5])
	if err != nil {
		t.Fatal(err)
	}
	b.remove = func(string) (func() error, error) { panic("killed") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the batch went past the kill")
			}
		}()
		_ = b.run()
	}()
	if _, err := d.DeleteLayer(t.Context(), "nothing"); err != nil {
		t.Fatalf("the next writer: %v", err)
	}
	snap, err := d.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range snap.Layers {
		if layer.Incomplete {
			t.Errorf("layer %.12s was not finished", layer.ID)
		}
	}
	if len(snap.Images) != 5 {
		t.Errorf("%d images are left, want the 5 that were not to go", len(snap.Images))
	}
	report, err := l.Lib.Check(storage.CheckMost())
	if err != nil || len(report.Layers)+len(report.Images) > 0 {
		t.Errorf("the store is not clean: %v %+v", err, report)
	}
}

func TestDeleteImagesStopsWithTheContext(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "vfs")
	id := l.Image(storelab.Spec{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := deleter(t, l)
	for _, n := range []int{1, bulkFrom} {
		done, err := d.DeleteImages(ctx, slices.Repeat([]string{id}, n))
		if !errors.Is(err, context.Canceled) || len(done) != 0 {
			t.Errorf("%d images: got %v, %v", n, done, err)
		}
	}
}

func TestTableRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, content := range map[string]string{
		"no list": `{}`, "no ID": `[{}]`, "a path": `[{"id":"../x"}]`, "twice": `[{"id":"a"},{"id":"a"}]`, "cut": `[{"id":"a"`,
	} {
		path := filepath.Join(t.TempDir(), "t.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := new(table).read(path); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkDelete500Of1000(b *testing.B) {
	for range b.N {
		b.StopTimer()
		l := storelab.New(b, storelab.Dir(b), "overlay")
		base, diff := l.Layer("", 10000)
		var ids []string
		for i := range 1000 {
			id := l.Image(storelab.Spec{Top: base, DiffIDs: []digest.Digest{diff}, Layers: [][]int{{5000}, {3000}}[:1+i%2]})
			if i%2 == 0 {
				ids = append(ids, id)
			}
		}
		d := deleter(b, l)
		b.StartTimer()
		if done, err := d.DeleteImages(b.Context(), ids); err != nil || len(done) != 500 {
			b.Fatalf("%d deleted: %v", len(done), err)
		}
	}
}
