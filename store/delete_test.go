package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
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

// libraryLoop deletes as the library does, one by one: the oracle. Images that
// are mounted it would unmount, so they are left out.
func libraryLoop(t *testing.T, l *storelab.Lab, ids []string, mounted string) []Deletion {
	t.Helper()
	var done []Deletion
	for _, id := range ids {
		one := Deletion{ID: id, Image: true}
		if id == mounted {
			one.Err = errMounted(id)
		} else if _, err := l.Lib.DeleteImage(id, true); err != nil {
			switch {
			case errors.Is(err, storage.ErrImageUsedByContainer):
				one.Err = fmt.Errorf("%w: %w", ErrInUse, err)
			case IsGone(err):
				one.Gone = true
			default:
				t.Fatal(err)
			}
		}
		done = append(done, one)
	}
	return done
}

func TestDeleteLeavesWhatTheLibraryLeaves(t *testing.T) {
	for _, driver := range []string{"overlay", "vfs"} {
		for _, spared := range []string{"none", "a child", "an image on the base", "all but one"} {
			if driver == "vfs" && spared != "a child" {
				continue // the rules are the same, and each store takes seconds to make
			}
			t.Run(driver+" keeping "+spared, func(t *testing.T) {
				ours, theirs := storelab.New(t, storelab.Dir(t), driver), storelab.New(t, storelab.Dir(t), driver)
				got := deleteFamily(t, ours, spared, func(d *Deleter, ids []string, _ string) []Deletion {
					done, err := deleteImages(t.Context(), d, ids...)
					if err != nil {
						t.Fatal(err)
					}
					return done
				})
				want := deleteFamily(t, theirs, spared, func(_ *Deleter, ids []string, mounted string) []Deletion {
					return libraryLoop(t, theirs, ids, mounted)
				})
				if !slices.Equal(got, want) {
					t.Errorf("got  %v\nwant %v", got, want)
				}
				sane(t, ours.Lib)
			})
		}
	}
}

// sane fails the test when the library's check finds damage.
func sane(t *testing.T, lib storage.Store) {
	t.Helper()
	report, err := lib.Check(storage.CheckMost())
	if err != nil || len(report.Layers)+len(report.Images)+len(report.Containers) > 0 {
		t.Errorf("the store is not clean: %v %+v", err, report)
	}
}

// deleteFamily deletes a family and describes the store afterwards: counts of
// outcomes, the diff IDs of the layers left, what lies in the directories.
func deleteFamily(t *testing.T, l *storelab.Lab, spared string, del func(d *Deleter, ids []string, mounted string) []Deletion) []string {
	t.Helper()
	ids, contained, mounted := family(l)
	wanted := slices.Clone(ids)
	switch spared {
	case "a child":
		wanted = slices.Delete(wanted, 6, 7)
	case "an image on the base":
		wanted = slices.Delete(wanted, 0, 1)
	case "all but one":
		wanted = wanted[:1]
	}
	d := deleter(t, l)
	done := del(d, append(wanted, "0123"), mounted)
	if len(done) != len(wanted)+1 || !done[len(wanted)].Gone {
		t.Errorf("got %d outcomes: %+v", len(done), done)
	}
	for _, one := range done {
		if inUse := errors.Is(one.Err, ErrInUse); inUse != (one.ID == contained || one.ID == mounted) || one.Err != nil && !inUse || !one.Image {
			t.Errorf("image %.12s: %v", one.ID, one.Err)
		}
		if errors.Is(one.Err, ErrMounted) != (one.ID == mounted) {
			t.Errorf("image %.12s: %v, mounted is %.12s", one.ID, one.Err, mounted)
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

// The snapshot that is taken behind the locks, without the library, says what
// the library's says.
func TestDeleteSeesWhatTheLibrarySees(t *testing.T) {
	for _, driver := range []string{"overlay", "vfs"} {
		l := storelab.New(t, storelab.Dir(t), driver)
		ids, _, mounted := family(l)
		l.List([]string{"localhost/all:1"}, ids[0], ids[1])
		if err := l.Lib.AddNames(ids[2], []string{"localhost/a:1", "localhost/a:2"}); err != nil {
			t.Fatal(err)
		}
		d := deleter(t, l)
		if _, err := d.MoveName(t.Context(), "localhost/a:1", ids[3], "tag"); err != nil {
			t.Fatal(err)
		}
		var fresh *Snapshot
		if _, err := d.Delete(t.Context(), func(s *Snapshot) (Removal, error) { fresh = s; return Removal{}, nil }); err != nil {
			t.Fatal(err)
		}
		want, err := d.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fresh.TakenAt = want.TakenAt
		for _, s := range []*Snapshot{fresh, want} {
			for i := range s.Images { // the library's order of these is that of a map
				slices.Sort(s.Images[i].Digests)
			}
		}
		if !reflect.DeepEqual(fresh, want) {
			t.Errorf("%s: got  %+v\nwant %+v", driver, fresh, want)
		}
		top := find(t, d.Store, mounted).TopLayer
		if !slices.ContainsFunc(fresh.Layers, func(layer Layer) bool { return layer.ID == top && layer.Mounts == 1 }) {
			t.Errorf("%s: the mount is not seen", driver)
		}
	}
}

// A mount that the library's count says nothing of is one of a tool with
// another run root.
func TestDeleteSparesWhatOthersMounted(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "overlay")
	_, _, mounted := family(l)
	s, err := Create(Options{Root: l.Root, RunRoot: filepath.Join(t.TempDir(), "other"), Driver: l.Driver})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d, err := s.Deleter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	done, err := deleteImages(t.Context(), d, mounted)
	if err != nil || len(done) != 1 || !errors.Is(done[0].Err, ErrMounted) {
		t.Errorf("got %+v, %v", done, err)
	}
}

// A layer that a reboot may lose has its record in another file. What it lies
// on is needed all the same, also when its container is gone.
func TestDeleteKeepsWhatVolatileLayersLieOn(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "overlay")
	image := l.Image(storelab.Spec{Layers: [][]int{{10}, {20}}})
	c, err := l.Lib.CreateContainer("", nil, image, "", "", &storage.ContainerOptions{Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(l.Root, "overlay-containers", "volatile-containers.json")
	if data, err := os.ReadFile(list); err != nil || !bytes.Contains(data, []byte(c.ID)) {
		t.Fatalf("the container is not volatile: %v", err)
	}
	if err := os.WriteFile(list, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := deleter(t, l)
	if done, err := deleteImages(t.Context(), d, image); err != nil || done[0].Err != nil {
		t.Fatalf("got %+v, %v", done, err)
	}
	snap, err := d.Snapshot(t.Context())
	if err != nil || len(snap.Images) != 0 || len(snap.Layers) != 3 {
		t.Errorf("%d images and %d layers are left, not 0 and 3: %v", len(snap.Images), len(snap.Layers), err)
	}
}

func TestDeleteAsksForWhatIsThereNow(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "vfs")
	id := l.Image(storelab.Spec{Layers: [][]int{{1}}})
	d := deleter(t, l)
	if _, err := d.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Lib.AddNames(id, []string{"localhost/kept:1"}); err != nil {
		t.Fatal(err)
	}
	no := errors.New("it has a name")
	_, err := d.Delete(t.Context(), func(fresh *Snapshot) (Removal, error) {
		if len(fresh.Images) != 1 || !slices.Equal(fresh.Images[0].Names, []string{"localhost/kept:1"}) {
			t.Errorf("it is shown %+v", fresh.Images)
		}
		return Removal{Images: []string{id}}, no
	})
	if !errors.Is(err, no) || !slices.Equal(find(t, d.Store, id).Names, []string{"localhost/kept:1"}) {
		t.Errorf("got %v", err)
	}
}

func TestDeleteStopsWithTheContext(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "vfs")
	id := l.Image(storelab.Spec{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := deleter(t, l)
	done, err := deleteImages(ctx, d, id)
	if !errors.Is(err, context.Canceled) || len(done) != 0 {
		t.Errorf("got %v, %v", done, err)
	}
	find(t, d.Store, id)
}

func TestDeleteLayers(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "overlay")
	base, _ := l.Layer("", 10)
	top, _ := l.Layer(base, 10)
	used, diff := l.Layer(base, 20)
	image := l.Image(storelab.Spec{Top: used, DiffIDs: []digest.Digest{diff}})
	d := deleter(t, l)
	done, err := d.Delete(t.Context(), func(*Snapshot) (Removal, error) {
		return Removal{Layers: []string{top, base, used, "gone"}}, nil
	})
	if err != nil || len(done) != 4 {
		t.Fatal(done, err)
	}
	for i, inUse := range []bool{false, true, true, false} {
		if errors.Is(done[i].Err, ErrInUse) != inUse || done[i].Gone != (i == 3) || done[i].Image {
			t.Errorf("layer %d: %+v", i, done[i])
		}
	}
	find(t, d.Store, image)
	sane(t, l.Lib)
}

func TestTableRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, content := range map[string]string{
		"no list": `{}`, "no ID": `[{}]`, "a path": `[{"id":"../x"}]`, "twice": `[{"id":"a"},{"id":"a"}]`, "cut": `[{"id":"a"`,
	} {
		path := filepath.Join(t.TempDir(), "t.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readTable(path); err == nil {
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
		if done, err := deleteImages(b.Context(), d, ids...); err != nil || len(done) != 500 {
			b.Fatalf("%d deleted: %v", len(done), err)
		}
	}
}

// TestDeleteSparesAMountedLayer: a layer that nothing but a mount uses stays.
func TestDeleteSparesAMountedLayer(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "overlay")
	layer, _ := l.Layer("", 100)
	if _, err := l.Lib.Mount(layer, ""); err != nil {
		t.Fatal(err)
	}
	d := deleter(t, l)
	done, err := d.Delete(t.Context(), func(*Snapshot) (Removal, error) { return Removal{Layers: []string{layer}}, nil })
	if err != nil || len(done) != 1 || !errors.Is(done[0].Err, ErrInUse) {
		t.Fatalf("%v (%v)", done, err)
	}
	if _, err := l.Lib.Unmount(layer, true); err != nil {
		t.Fatal(err)
	}
	if done, err = d.Delete(t.Context(), func(*Snapshot) (Removal, error) { return Removal{Layers: []string{layer}}, nil }); err != nil || done[0].Err != nil {
		t.Fatalf("unmounted: %v (%v)", done, err)
	}
	if _, err := l.Lib.Layer(layer); !IsGone(err) {
		t.Errorf("the layer: %v", err)
	}
}
