package crio

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folder makes configuration files and returns the folder that they lie in.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDropInsReplaceWhatTheySay(t *testing.T) {
	dir := folder(t, map[string]string{
		"crio.conf":             "[crio]\nroot = \"/r\"\nimagestore = \"/i\"\n[crio.image]\npinned_images = [\"a:1\", \"b:1\"]\npause_image = \"p:1\"\n",
		"crio.conf.d/10-a.conf": "[crio]\nroot = \"\"\nrunroot = \"/run/x\"\n[crio.image]\npinned_images = [\"c:1\"]\n",
		"crio.conf.d/20/b":      "[crio.image]\npause_image = \"q:1\"\n[crio.runtime]\ndefault_runtime = \"crun\"\n",
	})
	for _, path := range []string{dir, filepath.Join(dir, "crio.conf")} {
		c, err := At(path, true).Config()
		if err != nil {
			t.Fatal(err)
		}
		if c.Root != "/r" || c.RunRoot != "/run/x" || c.ImageStore != "/i" || !slices.Equal(c.Pinned, []string{"c:1", "q:1"}) || len(c.Files) != 3 {
			t.Errorf("%s: %+v", path, c)
		}
	}
	c, err := At(filepath.Join(dir, "crio.conf.d"), true).Config()
	if err != nil || len(c.Files) != 2 || !slices.Equal(c.Pinned, []string{"c:1", "q:1"}) {
		t.Errorf("the drop-in files alone: %+v, %v", c, err)
	}
}

func TestPinsAsCRIODoes(t *testing.T) {
	dir := folder(t, map[string]string{"crio.conf": "[crio.image]\npinned_images = [\"quay.io/team/App:1\", \"registry.local/base*\", \"*debug*\", \"a.b/c:*\"]\n"})
	c, err := At(dir, true).Config()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"quay.io/team/app:1":           "quay.io/team/App:1",
		"quay.io/team/app:12":          "",
		"quay.io/team/app":             "",
		"x/quay.io/team/app:1":         "",
		"registry.local/base/x:2":      "registry.local/base*",
		"mirror/registry.local/base:1": "registry.local/base*", // CRI-O does not anchor it
		"docker.io/my/DEBUGger:1":      "*debug*",
		"a.b/c:3":                      "a.b/c:*",
		"aXb/c:3":                      "", // a dot is a dot
		"registry.k8s.io/pause:3.10.1": defaultPause,
	} {
		if got := c.Pins(name); got != want {
			t.Errorf("%s is pinned by %q, want %q", name, got, want)
		}
	}
	if got := c.Pins("other:1", "docker.io/debug:1"); got != "*debug*" {
		t.Errorf("one of several names: %q", got)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	if c, err := At(dir, false).Config(); err != nil || c.Present() || c.Pins("registry.k8s.io/pause:3.10.1") != "" {
		t.Errorf("no CRI-O: %+v, %v", c, err)
	}
	if _, err := At(filepath.Join(dir, "none"), true).Config(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that was named and is not there: %v", err)
	}
	var none *Source
	if c, err := none.Config(); err != nil || c.Present() {
		t.Errorf("none: %+v, %v", c, err)
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	for name, text := range map[string]string{
		"no TOML":    "[crio\n",
		"wrong kind": "[crio.image]\npinned_images = \"one\"\n",
	} {
		dir := folder(t, map[string]string{"crio.conf.d/x.conf": text})
		if _, err := At(dir, false).Config(); err == nil || !strings.Contains(err.Error(), "x.conf") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPins(f *testing.F) {
	f.Add("*", "a")
	f.Add("**", "a")
	f.Add("", "")
	f.Add("*x*", "aXb")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		c := Config{Pinned: []string{pattern}}
		if c.Pins(name) != "" && !strings.HasSuffix(pattern, "*") && !strings.EqualFold(pattern, name) {
			t.Errorf("%q pins %q", pattern, name)
		}
	})
}
