package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
)

func TestMain(m *testing.M) { testenv.MainWithBinary(m) }

// TestGeneratedFilesAreCurrent fails when make generate was forgotten.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	mpull, dir := testenv.Binary(), t.TempDir()
	if err := generate(mpull, dir); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"man/*.1", "completions/*"} {
		fresh, err := filepath.Glob(filepath.Join(dir, kind))
		if err != nil || len(fresh) == 0 {
			t.Fatalf("nothing was generated for %s: %v", kind, err)
		}
		kept, err := filepath.Glob(filepath.Join("..", kind))
		if err != nil || len(kept) != len(fresh) {
			t.Errorf("%s: %d files are here, %d were generated: run make generate", kind, len(kept), len(fresh))
		}
		for _, path := range fresh {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			here := filepath.Join("..", filepath.Dir(kind), filepath.Base(path))
			got, err := os.ReadFile(here)
			if err != nil || string(got) != string(want) {
				t.Errorf("%s is not what mpull says now (%v): run make generate", here, err)
			}
		}
	}
}

// TestManPagesRender has groff read each page, when it is here.
func TestManPagesRender(t *testing.T) {
	testenv.Need(t, "groff")
	pages, err := filepath.Glob("../man/*")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	for _, p := range pages {
		out, err := exec.Command("groff", "-man", "-Tutf8", "-ww", "-z", p).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", p, err, out)
		}
	}
}

func TestEveryCommandTeaches(t *testing.T) {
	app, err := describe(testenv.Binary())
	if err != nil {
		t.Fatal(err)
	}
	var check func(c command)
	check = func(c command) {
		examples := 0
		for _, e := range c.Examples {
			if strings.HasPrefix(e, "mpull") || strings.Contains(e, "| mpull") {
				examples++
			}
			if len(e) > 98 {
				t.Errorf("%s: the example is too long: %s", c.Name, e)
			}
		}
		if examples < 2 || c.ExitCodes == "" || c.Elsewhere == "" || c.Usage == "" || len(c.Synopsis) == 0 {
			t.Errorf("%s: %d examples, exit codes %q, elsewhere %q", c.Name, examples, c.ExitCodes, c.Elsewhere)
		}
		for _, l := range strings.Split(c.Text, "\n") {
			if len(l) > 90 {
				t.Errorf("%s: the help has a line of %d columns: %s", c.Name, len(l), l)
			}
		}
		for _, f := range c.Flags {
			if f.Usage == "" {
				t.Errorf("%s: the flag %v has no text", c.Name, f.Names)
			}
		}
		for _, s := range c.Commands {
			check(s)
		}
	}
	check(app)
}
