package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// byHand writes a storage.conf of its own, as it is about such files or runs as
// root alone.
func byHand() []string {
	return []string{
		"integration/testenv/roots.go", "integration/testenv/testenv.go", // the one way, and what all others start from
		"integration/node/manifest_test.go", "integration/sessions/podman_test.go", "store/crash_test.go", "integration/roots_test.go",
	}
}

// TestRootsOfAnyUser holds that testenv.Roots alone names a store's roots: those
// of a file written by hand are root's, and an ordinary user's tests, or the
// demonstration, would all work on the user's own store.
func TestRootsOfAnyUser(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel("..", path)
		if !strings.Contains(string(text), "graphroot = ") {
			return nil
		}
		seen++
		if !slices.Contains(byHand(), name) {
			t.Errorf("%s writes a graphroot itself, not by testenv.Roots", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 2 {
		t.Error("no storage.conf is found any more")
	}
}
