package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// TestReadAhead checks that a config counts only where its digest says so, and
// that what is no file keeps nobody waiting.
func TestReadAhead(t *testing.T) {
	dir, blob := t.TempDir(), `{"os":"linux","architecture":"amd64"}`
	id, other, pipe := digest.FromString(blob).Encoded(), strings.Repeat("0", 64), strings.Repeat("1", 64)
	at := func(id string) string {
		if err := os.Mkdir(filepath.Join(dir, id), 0o700); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, id, bigDataName("sha256:"+id))
	}
	for _, id := range []string{id, other} {
		if err := os.WriteFile(at(id), []byte(blob), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(at(pipe), 0o600); err != nil {
		t.Fatal(err)
	}
	var a ahead
	readAhead(dir, &a)
	if c, ok := a.configs.Load(id); !ok || c.(Config).Architecture != "amd64" {
		t.Errorf("the config is %v", c)
	}
	for _, id := range []string{other, pipe} {
		if c, ok := a.configs.Load(id); ok {
			t.Errorf("%s is taken for %v", id, c)
		}
	}
}
