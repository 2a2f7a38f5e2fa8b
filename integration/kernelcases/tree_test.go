package kernelcases

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
)

// TestTreeStaysInside builds below and through links that lead out of the tree:
// nothing of the machine is written or changed.
func TestTreeStaysInside(t *testing.T) {
	testenv.Root(t) // the trees have files of several users
	tree, outside := Tree{t.TempDir()}, t.TempDir()
	if err := os.Chmod(outside, 0o711); err != nil {
		t.Fatal(err)
	}
	tree.Link("out", outside)
	tree.Link("up", "../../../../../../../.."+outside)
	tree.Link("all", "/")
	for _, link := range []string{"out", "up", "all"} {
		tree.Dir(link, 0o700)
		tree.File(link+"/file", []byte("x"), 0o600)
		tree.Link(link+"/link", "x")
		entry{path: link + "/entry", mode: 0o644}.make(tree)
		entry{path: link + "/dir", dir: true, mode: 0o700}.make(tree)
		entry{path: link, mode: 0}.make(tree)
		if err := os.RemoveAll(filepath.Join(tree.Root, outside)); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 0 {
		t.Errorf("outside: %v (%v)", entries, err)
	}
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("outside: %v (%v)", info.Mode(), err)
	}
	if _, err := os.Lstat(filepath.Join(tree.Root, "file")); err != nil {
		t.Errorf("what lies below a link to / is not in the tree: %v", err)
	}
}
