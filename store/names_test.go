package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"go.podman.io/image/v5/manifest"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/storelab"
	"github.com/mpull/mpull/integration/testenv"
)

const (
	amd64 = `{"os":"linux","architecture":"amd64"}`
	armv7 = `{"os":"linux","architecture":"arm","variant":"v7"}`
	name  = "docker.io/library/alpine:3.15"
)

func TestMoveName(t *testing.T) {
	s, _ := testStore(t)
	w := testWriter(t, s)
	a, b := addImage(t, s, amd64, name, "localhost/other:1"), addImage(t, s, armv7)
	moved, err := w.MoveName(t.Context(), name, b, "pull --platform linux/arm/v7")
	if err != nil {
		t.Fatal(err)
	}
	if moved.Loser == nil || moved.Loser.ID != a || moved.Entry.By.ID != b || moved.Entry.By.Platform != "linux/arm/v7" || moved.Entry.Was.Platform != "linux/amd64" {
		t.Fatalf("moved %+v", moved)
	}
	loser, winner := find(t, s, a), find(t, s, b)
	if !slices.Equal(winner.Names, []string{name}) || !slices.Equal(loser.Names, []string{"localhost/other:1"}) {
		t.Errorf("names are %v and %v", loser.Names, winner.Names)
	}
	if len(loser.Displaced) != 1 || loser.Displaced[0].Name != name || loser.Displaced[0].Command != "pull --platform linux/arm/v7" {
		t.Errorf("record %+v", loser.Displaced)
	}
	again, err := w.MoveName(t.Context(), name, b, "pull")
	if err != nil || again.Loser != nil {
		t.Errorf("moving a name to its holder: %+v, %v", again, err)
	}
	// Back: the entry about the name it has again is ignored by readers.
	if _, err := w.MoveName(t.Context(), name, a, "restore"); err != nil {
		t.Fatal(err)
	}
	if img := find(t, s, a); len(img.Displaced) != 0 || img.RecordError != nil {
		t.Errorf("the image that has the name again has the record %+v, %v", img.Displaced, img.RecordError)
	}
	if img := find(t, s, b); len(img.Displaced) != 1 || img.Displaced[0].By.ID != a {
		t.Errorf("the other one has the record %+v", img.Displaced)
	}
	if _, err := w.MoveName(t.Context(), name, "0000", "pull"); !IsGone(err) {
		t.Errorf("moving a name to no image: %v", err)
	}
}

// TestCrashBetweenRecordAndMove leaves what a crash between the two steps
// would: a record, and the name where it was. Readers ignore it, and the same
// move succeeds afterwards with one entry.
func TestCrashBetweenRecordAndMove(t *testing.T) {
	s, _ := testStore(t)
	w := testWriter(t, s)
	a, b := addImage(t, s, amd64, name), addImage(t, s, armv7)
	if err := w.appendRecord(a, Displacement{Name: name, At: now(), By: Party{ID: b}, Command: "pull"}); err != nil {
		t.Fatal(err)
	}
	if img := find(t, s, a); len(img.Displaced) != 0 {
		t.Errorf("a move that did not happen is told: %+v", img.Displaced)
	}
	if _, err := w.MoveName(t.Context(), name, b, "pull"); err != nil {
		t.Fatal(err)
	}
	if img := find(t, s, a); len(img.Displaced) != 1 {
		t.Errorf("record %+v", img.Displaced)
	}
}

// TestDamagedRecordBlocksNothing: it is reported, the image stays listed, and
// the next move replaces it.
func TestDamagedRecordBlocksNothing(t *testing.T) {
	for _, damage := range []string{"", "{", "null", `{"version":99}`, `{"version":1,"entries":[{"name":1}]}`, "\xff\x00"} {
		s, _ := testStore(t)
		w := testWriter(t, s)
		a, b := addImage(t, s, amd64, name), addImage(t, s, armv7)
		if err := s.lib.SetImageBigData(a, RecordKey, []byte(damage), nil); err != nil {
			t.Fatal(err)
		}
		if img := find(t, s, a); img.RecordError == nil || img.Config == nil {
			t.Errorf("%q: record error %v, config %v", damage, img.RecordError, img.Config)
		}
		if _, err := w.MoveName(t.Context(), name, b, "pull"); err != nil {
			t.Errorf("%q: %v", damage, err)
		}
		if img := find(t, s, a); len(img.Displaced) != 1 || img.RecordError != nil {
			t.Errorf("%q: record %+v, %v", damage, img.Displaced, img.RecordError)
		}
	}
}

// TestMoveNameToAReadOnlyImage gives a name back to the image of an additional
// store that had it all the time, and leaves that store alone.
func TestMoveNameToAReadOnlyImage(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "overlay")
	a := l.Image(storelab.Spec{Names: []string{name}, Layers: [][]int{{10}}})
	shared := l.Root + "-shared" // the library locks a store of this process in one way only
	if out, err := exec.Command("cp", "-a", l.Root, shared).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s, err := Create(Options{Root: l.Root + "-own", RunRoot: l.Root + "-own-run", Driver: l.Driver, DriverOptions: []string{"overlay.imagestore=" + shared}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := testWriter(t, s)
	b := addImage(t, s, armv7)
	holds := func(id string) {
		t.Helper()
		if img, err := s.Lookup(name); err != nil || img.ID != id {
			t.Errorf("the name is held by %v, not %s: %v", img, id, err)
		}
	}
	holds(a)
	if moved, err := w.MoveName(t.Context(), name, a, "tag"); err != nil || moved.Loser != nil || moved.Hidden != nil {
		t.Errorf("to its holder: %+v, %v", moved, err)
	}
	moved, err := w.MoveName(t.Context(), name, b, "pull")
	if err != nil || moved.Loser != nil || moved.Hidden == nil || moved.Hidden.ID != a {
		t.Errorf("from a read-only image, which loses nothing: %+v, %v", moved, err)
	}
	holds(b)
	moved, err = w.MoveName(t.Context(), name, a, "restore")
	if err != nil || moved.Loser == nil || moved.Loser.ID != b {
		t.Errorf("back: %+v, %v", moved, err)
	}
	holds(a)
	if img := find(t, s, b); len(img.Names) != 0 || len(img.Displaced) != 1 || img.Displaced[0].By.ID != a {
		t.Errorf("who gave it up: names %v, record %+v", img.Names, img.Displaced)
	}
	if img := find(t, s, a); !img.ReadOnly || !slices.Equal(img.Names, []string{name}) {
		t.Errorf("who has it: %+v", img)
	}
}

// TestConfigCompletedByIndex takes from the index that an image came from what its
// config leaves out and an index may know better, and no more.
func TestConfigCompletedByIndex(t *testing.T) {
	for _, tt := range []struct{ config, index, want string }{
		{`{"os":"linux","architecture":"arm"}`, `"os":"linux","architecture":"arm","variant":"v6"`, "linux/arm/v6"},
		{`{"os":"linux","architecture":"arm64"}`, `"os":"linux","architecture":"arm64","variant":"v9"`, "linux/arm64/v9"},
		{`{"os":"linux","architecture":"arm","variant":"v7"}`, `"os":"linux","architecture":"arm","variant":"v6"`, "linux/arm/v7"},
		{`{"os":"linux","architecture":"amd64"}`, `"os":"linux","architecture":"amd64","variant":"v3"`, "linux/amd64"},
		{`{}`, `"os":"linux","architecture":"riscv64"`, "linux/riscv64"},
		{`{"os":"windows","architecture":"amd64"}`, `"os":"windows","architecture":"amd64","os.version":"10.0.1"`, "windows(10.0.1)/amd64"},
		{`{"os":"linux","architecture":"s390x"}`, `"os":"linux","architecture":"s390x","os.version":"7"`, "linux/s390x"},
	} {
		s, _ := testStore(t)
		w := testWriter(t, s)
		id := addImage(t, s, tt.config)
		if err := s.lib.SetImageBigData(id, storage.ImageDigestBigDataKey, []byte("{}"), manifest.Digest); err != nil {
			t.Fatal(err)
		}
		d := find(t, s, id).Digests[0]
		index := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"digest":%q,"platform":{%s}}]}`, d, tt.index)
		if err := w.KeepIndex(id, []byte(index)); err != nil {
			t.Fatal(err)
		}
		if got := find(t, s, id).Platform(); got != tt.want {
			t.Errorf("%s in an index with %s: %s, not %s", tt.config, tt.index, got, tt.want)
		}
	}
}

func TestRemoveName(t *testing.T) {
	s, _ := testStore(t)
	w := testWriter(t, s)
	a := addImage(t, s, amd64, name)
	if _, err := w.RemoveName(t.Context(), name, "untag"); err != nil {
		t.Fatal(err)
	}
	img := find(t, s, a)
	if len(img.Names) != 0 || len(img.Displaced) != 1 || img.Displaced[0].By != (Party{}) {
		t.Errorf("names %v, record %+v", img.Names, img.Displaced)
	}
	if _, err := w.RemoveName(t.Context(), name, "untag"); !IsGone(err) {
		t.Errorf("removing a name that nobody holds: %v", err)
	}
	if _, err := w.RemoveName(t.Context(), a, "untag"); !IsGone(err) {
		t.Errorf("removing an ID as if it were a name: %v", err)
	}
}

func TestDeleteImage(t *testing.T) {
	s, _ := testStore(t)
	a := addImage(t, s, amd64, name)
	d, err := s.Deleter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for i, want := range []bool{false, true} {
		if done, err := deleteImages(t.Context(), d, a); err != nil || len(done) != 1 || done[0].Gone != want || done[0].Err != nil {
			t.Errorf("deletion %d: %+v, %v", i+1, done, err)
		}
	}
}

func TestLocks(t *testing.T) {
	s, _ := testStore(t)
	first, err := s.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Writer(t.Context())
	if err != nil {
		t.Fatal("two writers at once:", err)
	}
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	if _, err := s.Deleter(ctx); !errors.Is(err, stopped) {
		t.Errorf("a deleter beside writers: %v, want the context's end", err)
	}
	first.Close()
	second.Close()
	d, err := s.Deleter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Writer(ctx); !errors.Is(err, stopped) {
		t.Errorf("a writer beside a deleter: %v", err)
	}
	d.Close()
}

func TestTempDirSweep(t *testing.T) {
	s, _ := testStore(t)
	w := testWriter(t, s)
	alive, release, err := w.TempDir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(s.Root(), DownloadDir, "pull-dead")
	if err := os.MkdirAll(filepath.Join(dead, "blob"), 0o700); err != nil {
		t.Fatal(err)
	}
	found, err := s.Downloads()
	if err != nil || len(found) != 1 || found[0].Path != dead {
		t.Errorf("abandoned: %+v, %v", found, err)
	}
	other, releaseOther, err := w.TempDir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if exists(dead) || !exists(alive) || !exists(other) {
		t.Errorf("after the sweep: dead %v, alive %v, new %v", exists(dead), exists(alive), exists(other))
	}
	if err := errors.Join(release(), releaseOther()); err != nil || exists(alive) {
		t.Errorf("release: %v", err)
	}
}

func TestOpenCreatesNothing(t *testing.T) {
	o := testOptions(t)
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := s.Snapshot(t.Context())
	if err != nil || len(snap.Images) != 0 || s.Exists() {
		t.Errorf("a store that is not there: %+v, %v", snap, err)
	}
	if _, err := s.Lookup(name); !IsGone(err) {
		t.Errorf("Lookup: %v", err)
	}
	if err := s.Close(); err != nil || exists(o.Root) || exists(o.RunRoot) {
		t.Errorf("reading made something: root %v, run root %v, %v", exists(o.Root), exists(o.RunRoot), err)
	}
}

func TestReadOnlyStore(t *testing.T) {
	testenv.Root(t)
	s, o := testStore(t)
	id := addImage(t, s, amd64, name)
	find(t, s, id) // makes the folder of layers, which the library wants to lock
	// A copy: the library remembers how this process locked the first one.
	from := o.Root
	o.Root = filepath.Join(t.TempDir(), "root")
	if err := os.CopyFS(o.Root, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(o.Root, o.Root, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("mounting is not allowed here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(o.Root, unix.MNT_DETACH) })
	if err := unix.Mount("", o.Root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	ro, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	if img := find(t, ro, id); !img.ReadOnly || !slices.Equal(img.Names, []string{name}) {
		t.Errorf("image %+v", img)
	}
	if _, err := ro.Writer(t.Context()); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a writer of a read-only store: %v", err)
	}
	if _, err := Create(o); !errors.Is(err, ErrReadOnly) {
		t.Errorf("creating in a read-only store: %v", err)
	}
}

func TestSnapshotOfDamagedImages(t *testing.T) {
	s, _ := testStore(t)
	good := addImage(t, s, amd64)
	for _, config := range []string{"", "{", `{"rootfs":[]}`} {
		if img := find(t, s, addImage(t, s, config)); img.ConfigError == nil || img.Platform() != "" {
			t.Errorf("config %q: %v, platform %q", config, img.ConfigError, img.Platform())
		}
	}
	if img := find(t, s, good); img.ConfigError != nil || img.Platform() != "linux/amd64" {
		t.Errorf("the good one: %v %q", img.ConfigError, img.Platform())
	}
}
