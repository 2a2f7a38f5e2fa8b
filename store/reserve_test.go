package store

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/storelab"
)

// A disk without a free byte: only the reserve lets the lists be written anew.
func TestReserveLetsAFullDiskBeEmptied(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	l := storelab.New(t, dir, "vfs")
	doomed := l.Image(storelab.Spec{Layers: [][]int{{100}}})
	d := deleter(t, l)
	d.keepReserve()
	if _, err := os.Stat(filepath.Join(l.Root, reserveFile)); err != nil {
		t.Fatal("there is no reserve:", err)
	}
	if err := d.Writer.Close(); err != nil { // as Close, without a new reserve
		t.Fatal(err)
	}
	full, err := os.Create(filepath.Join(dir, "full"))
	if err != nil {
		t.Fatal(err)
	}
	zero, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer zero.Close()
	if _, err := io.Copy(full, io.LimitReader(zero, 64<<20)); !errors.Is(err, unix.ENOSPC) {
		t.Fatal("the disk is not full:", err)
	}
	defer full.Close()
	if err := os.WriteFile(filepath.Join(dir, "more"), []byte("x"), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	again, err := d.Deleter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done, err := deleteImages(t.Context(), again, doomed)
	if err != nil || len(done) != 1 || done[0].Err != nil {
		t.Errorf("got %+v, %v", done, err)
	}
	d.lock = again.lock // which the end of the test closes
}

// An image of an additional store that is in this one, too, is one image: this
// store's, until it is deleted here.
func TestImageOfAReadOnlyStoreIsShadowed(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "overlay")
	id := l.Image(storelab.Spec{Names: []string{"localhost/a:1"}, Layers: [][]int{{10}}})
	own, shared := l.Root+"-own", l.Root+"-shared" // the library locks a store of this process in one way only
	for _, root := range []string{own, shared} {
		if out, err := exec.Command("cp", "-a", l.Root, root).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	s, err := Create(Options{Root: own, RunRoot: own + "-run", Driver: l.Driver, DriverOptions: []string{"overlay.imagestore=" + shared}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Deleter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(d.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	}()
	for _, readOnly := range []bool{false, true} {
		var fresh *Snapshot
		if _, err := d.Delete(t.Context(), func(f *Snapshot) (Removal, error) { fresh = f; return Removal{}, nil }); err != nil {
			t.Fatal(err)
		}
		listed, err := d.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for what, snap := range map[string]*Snapshot{"listed": listed, "behind the locks": fresh} {
			if len(snap.Images) != 1 || snap.Images[0].ID != id || snap.Images[0].ReadOnly != readOnly || snap.Images[0].Config == nil {
				t.Errorf("%s, with the store's own gone %t: %+v", what, readOnly, snap.Images)
			}
		}
		done, err := deleteImages(t.Context(), d, id)
		if err != nil || len(done) != 1 || done[0].Err != nil || done[0].Gone != readOnly {
			t.Errorf("got %+v, %v", done, err)
		}
	}
}
