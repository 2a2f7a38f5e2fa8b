package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

func partialWriter(t *testing.T) (*Writer, digest.Digest, string) {
	t.Helper()
	w := &Writer{Store: &Store{}}
	w.options.GraphRoot = t.TempDir()
	d := digest.FromString("a blob")
	return w, d, filepath.Join(w.Root(), DownloadDir, "sha256-"+d.Encoded())
}

func TestPartial(t *testing.T) {
	w, d, path := partialWriter(t)
	p, err := w.Partial(d)
	if err != nil || p.Size() != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := errors.Join(p.Append([]byte("one")), p.Append([]byte("two"))); err != nil {
		t.Fatal(err)
	}
	if other, err := w.Partial(d); other != nil || err != nil {
		t.Errorf("two have it: %v, %v", other, err)
	}
	if found, err := w.Downloads(); len(found) != 0 || err != nil {
		t.Errorf("one whose owner lives is listed: %v, %v", found, err)
	}
	if err := w.Forget(d); err != nil || w.Kept(d) != 6 {
		t.Errorf("forgotten while a pull has it: %v, %d bytes left", err, w.Kept(d))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, release, err := w.TempDir(t.Context()); err != nil {
		t.Fatal(err)
	} else if err := release(); err != nil {
		t.Fatal(err)
	}
	found, err := w.Downloads()
	if err != nil || len(found) != 1 || found[0].Path != path || !found[0].Partial || found[0].Bytes == 0 || time.Since(found[0].Since) > time.Hour {
		t.Errorf("%+v, %v", found, err)
	}
	p, err = w.Partial(d)
	if err != nil || p.Size() != 6 {
		t.Fatalf("%+v, %v", p, err)
	}
	got := make([]byte, 3)
	if _, err := p.ReadAt(got, 2); err != nil || !bytes.Equal(got, []byte("etw")) {
		t.Errorf("%q, %v", got, err)
	}
	deleter := &Deleter{Writer: *w}
	if _, err := deleter.DeleteDownload(t.Context(), path); err == nil {
		t.Error("one whose owner lives was removed")
	}
	if err := errors.Join(p.Clear(), p.Append([]byte("x"))); err != nil || p.Size() != 1 || w.Kept(d) != 1 {
		t.Errorf("after Clear: %d bytes, %v", p.Size(), err)
	}
	if err := p.Remove(); err != nil || w.Kept(d) != 0 {
		t.Errorf("after Remove: %v", err)
	}
	if p, err = w.Partial(d); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if gone, err := deleter.DeleteDownload(t.Context(), path); gone || err != nil {
		t.Errorf("removing: %v, %v", gone, err)
	}
	if gone, err := deleter.DeleteDownload(t.Context(), path); !gone || err != nil {
		t.Errorf("removing once more: %v, %v", gone, err)
	}
}

// TestPartialPlanted touches nothing that somebody else put in its place.
func TestPartialPlanted(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	for name, plant := range map[string]func(path string) error{
		"a link":             func(path string) error { return os.Symlink(victim, path) },
		"another name of it": func(path string) error { return os.Link(victim, path) },
		"a folder":           func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		w, d, path := partialWriter(t)
		if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := makeOwnDir(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		if err := plant(path); err != nil {
			t.Fatal(err)
		}
		p, err := w.Partial(d)
		var planted *PlantedError
		if p != nil || !errors.As(err, &planted) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
		if data, err := os.ReadFile(victim); string(data) != "precious" {
			t.Errorf("%s: now %q, %v", name, data, err)
		}
	}
	w, _, _ := partialWriter(t)
	if p, err := w.Partial("sha256:../../x"); p != nil || err == nil {
		t.Errorf("a digest that is none: %v, %v", p, err)
	}
}
