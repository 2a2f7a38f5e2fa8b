package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testuser"
)

// TestLeavesTheUsersStoreAlone walks the story as an ordinary user: what it
// pulls and prunes is not in that user's own store.
func TestLeavesTheUsersStoreAlone(t *testing.T) {
	if os.Geteuid() == 0 {
		u := testuser.New(t)
		binary := filepath.Join(u.Dir, "mpull") // make builds one where only root may look
		program, err := os.ReadFile(testenv.Binary())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(binary, program, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := u.Self([]string{testenv.BinaryIs(binary)}, "-test.run=^"+t.Name()+"$", "-test.v", testenv.Timeout())
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
			t.Errorf("as %s: %v\n%s", u.Username, err, out)
		}
		return
	}
	testenv.Store(t)
	t.Setenv("HOME", t.TempDir())
	var out bytes.Buffer
	if err := demo(testenv.Binary(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, own := range []string{filepath.Join(os.Getenv("HOME"), ".local"), filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "containers")} {
		if _, err := os.Lstat(own); !os.IsNotExist(err) {
			t.Errorf("the demonstration made %s (%v)", own, err)
		}
	}
}
