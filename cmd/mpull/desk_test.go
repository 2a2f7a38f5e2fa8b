package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
	"github.com/mpull/mpull/store"
)

// desk is a throw-away store, and a registry that stands for docker.io, on which
// commands run in this process.
type desk struct {
	t        *testing.T
	dir      string
	global   []string
	registry *testregistry.Registry
	in       string // standard input of the next command
	terminal bool   // whether it and standard error are a terminal
}

// said is how a command ended and what it printed.
type said struct {
	code     int
	out, err string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	testenv.Root(t)
	d := &desk{t: t, dir: t.TempDir(), registry: testregistry.New()}
	t.Cleanup(d.registry.Close)
	d.push("library/alpine:3.15", 1, "linux/amd64", "linux/arm/v7")
	// None of this is read from where the machine's user has it.
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"} {
		t.Setenv(name, d.dir)
	}
	t.Setenv("REGISTRY_AUTH_FILE", d.file("auth.json", "{}"))
	t.Setenv(crioVariable, "")
	conf := fmt.Sprintf("unqualified-search-registries = [\"docker.io\"]\n[[registry]]\nprefix = \"docker.io\"\nlocation = %q\ninsecure = true\n", d.registry.Host)
	d.global = []string{
		"mpull", "--root", d.options().Root, "--runroot", d.options().RunRoot, "--storage-driver", "vfs",
		"--registries-conf", d.file("registries.conf", conf), "--policy-file", d.file("policy.json", `{"default":[{"type":"insecureAcceptAnything"}]}`),
	}
	return d
}

func (d *desk) options() store.Options {
	return store.Options{Root: filepath.Join(d.dir, "root"), RunRoot: filepath.Join(d.dir, "run"), Driver: "vfs"}
}

// file makes a file and returns its path.
func (d *desk) file(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// push makes an image of some platforms and gives it a tag in the registry.
func (d *desk) push(name string, seed uint64, platforms ...string) {
	d.t.Helper()
	index, err := testimage.Index(platforms, testimage.Spec{Seed: seed})
	if err == nil {
		err = d.registry.PushIndex(name, index)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// mpull runs a command line; the words of it are parted by spaces.
func (d *desk) mpull(line string) said {
	d.t.Helper()
	return d.words(strings.Fields(line))
}

func (d *desk) words(words []string) said {
	d.t.Helper()
	var out, errs bytes.Buffer
	s := &streams{
		in: strings.NewReader(d.in), out: escaper{&out}, err: escaper{&errs}, rawOut: &out, rawErr: &errs,
		inTerminal: d.terminal, errTerminal: d.terminal, secrets: &registry.Secrets{},
	}
	code := run(d.t.Context(), append(d.global[:len(d.global):len(d.global)], words...), s)
	d.in, d.terminal = "", false
	return said{code, out.String(), errs.String()}
}

// must is mpull for a line that succeeds.
func (d *desk) must(line string) said {
	d.t.Helper()
	got := d.mpull(line)
	if got.code != 0 {
		d.t.Fatalf("mpull %s = %d\nout: %s\nerr: %s", line, got.code, got.out, got.err)
	}
	return got
}

// step is a command line and what it says: code, and parts of what is printed. An
// empty part means that nothing is printed there; "*" that it does not matter.
type step struct {
	line     string
	code     int
	out, err string
}

// steps runs lines one after the other. Parts of a text are parted by " ... ".
func (d *desk) steps(steps ...step) {
	d.t.Helper()
	for _, s := range steps {
		got := d.mpull(s.line)
		if got.code != s.code || !says(got.out, s.out) || !says(got.err, s.err) {
			d.t.Errorf("mpull %s = %d, want %d\nout: %s\n  want %q\nerr: %s\n  want %q", s.line, got.code, s.code, got.out, s.out, got.err, s.err)
		}
	}
}

// says tells whether a text has the parts wanted, in order.
func says(text, want string) bool {
	switch want {
	case "*":
		return true
	case "":
		return text == ""
	}
	for _, part := range strings.Split(want, " ... ") {
		_, after, ok := strings.Cut(text, part)
		if !ok {
			return false
		}
		text = after
	}
	return true
}

// id is the ID that a command printed alone on standard output.
func (d *desk) id(line string) string {
	d.t.Helper()
	id := strings.TrimSpace(d.must(line).out)
	if len(id) != 64 {
		d.t.Fatalf("mpull %s printed %q, no ID", line, id)
	}
	return id
}

// talk is a program without a store: what it says is looked at.
type talk struct {
	*program
	out, err bytes.Buffer
}

func newTalk() *talk {
	d := &talk{}
	d.program = &program{userMask: -1, streams: &streams{
		in: strings.NewReader(""), out: escaper{&d.out}, err: escaper{&d.err}, rawOut: &d.out, rawErr: &d.err, secrets: &registry.Secrets{},
	}}
	return d
}
