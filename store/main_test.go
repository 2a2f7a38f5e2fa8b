package store

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"

	"github.com/mpull/mpull/integration/testenv"
)

func TestMain(m *testing.M) {
	reexec.Register(crashName, deleteAndCrash)
	reexec.Register(wholeName, makeWholeAndCrash)
	reexec.Register(commitName, commitAndCrash)
	testenv.Main(m)
}

// testOptions is a store of its own: vfs mounts nothing, so any user may.
func testOptions(t *testing.T) Options {
	t.Helper()
	dir := t.TempDir()
	return Options{Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), Driver: "vfs"}
}

func testStore(t *testing.T) (*Store, Options) {
	t.Helper()
	o := testOptions(t)
	s, err := Create(o)
	if err != nil {
		if os.Geteuid() != 0 {
			t.Skipf("this user cannot make a store outside a user namespace: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, o
}

// addImage adds an image without layers, with a config.
func addImage(t *testing.T, s *Store, config string, names ...string) string {
	t.Helper()
	img, err := s.lib.CreateImage("", names, "", "", &storage.ImageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if config != "" {
		if err := s.lib.SetImageBigData(img.ID, "sha256:"+img.ID, []byte(config), nil); err != nil {
			t.Fatal(err)
		}
	}
	return img.ID
}

func testWriter(t *testing.T, s *Store) *Writer {
	t.Helper()
	w, err := s.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func find(t *testing.T, s *Store, id string) *Image {
	t.Helper()
	snap, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range snap.Images {
		if snap.Images[i].ID == id {
			return &snap.Images[i]
		}
	}
	t.Fatalf("image %s is not in the snapshot", id)
	return nil
}

// deleteImages deletes images whatever their names are.
func deleteImages(ctx context.Context, d *Deleter, ids ...string) ([]Deletion, error) {
	return d.Delete(ctx, func(*Snapshot) (Removal, error) { return Removal{Images: ids}, nil })
}
