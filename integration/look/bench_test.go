package look

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

func TestMain(m *testing.M) { testenv.MainWithBinary(m) }

// bench is a registry with the catalogue of images, and a store of its own.
type bench struct {
	*testing.T
	registry *testregistry.Registry
	dir      string
	roots    testenv.Roots
	env      []string
	entries  []testimage.Entry
	known    map[string]result // answers of programs that only look; nil remembers nothing
}

func newBench(t *testing.T, entries ...testimage.Entry) *bench {
	t.Helper()
	testenv.Store(t)
	b := &bench{T: t, registry: testregistry.New(), dir: t.TempDir(), entries: entries}
	t.Cleanup(b.registry.Close)
	t.Cleanup(func() { testenv.MakeRemovable(b.dir) })
	for _, e := range entries {
		b.push(e)
	}
	b.write("registries.conf", fmt.Sprintf("unqualified-search-registries = [\"docker.io\"]\n\n[[registry]]\nprefix = \"docker.io\"\nlocation = %q\ninsecure = true\n\n[[registry]]\nlocation = %q\ninsecure = true\n", b.registry.Host, b.registry.Host))
	b.write("policy.json", `{"default": [{"type": "insecureAcceptAnything"}]}`)
	b.roots = testenv.Roots{Data: b.dir, Runtime: filepath.Join(b.dir, "user")}
	env, err := b.roots.Write(filepath.Join(b.dir, "storage.conf"), driver(), "")
	if err != nil {
		t.Fatal(err)
	}
	b.env = append(env, "CONTAINERS_REGISTRIES_CONF="+filepath.Join(b.dir, "registries.conf"))
	b.registry.Requests()
	t.Cleanup(func() {
		// podman leaves it mounted for other podmans.
		if err := unix.Unmount(filepath.Join(b.root(), "overlay"), unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EPERM) {
			t.Error(err)
		}
	})
	return b
}

// driver is what a user of this kind has: overlay needs root or a new kernel.
func driver() string {
	if os.Geteuid() == 0 {
		return "overlay"
	}
	return "vfs"
}

// catalogue is a bench with every image of the catalogue.
func catalogue(t *testing.T) *bench {
	t.Helper()
	entries, err := testimage.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	return newBench(t, entries...)
}

func (b *bench) push(e testimage.Entry) {
	b.Helper()
	var err error
	if e.Index != nil {
		err = b.registry.PushIndex(e.Name, e.Index)
	} else {
		err = b.registry.PushImage(e.Name, e.Image)
	}
	if err != nil {
		b.Fatalf("pushing %s: %v", e.Name, err)
	}
}

func (b *bench) root() string { return b.roots.Graph() }

func (b *bench) write(name, text string) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
}

// name is the name of an entry as a user writes it.
func (b *bench) name(entry string) string {
	if short, ok := strings.CutPrefix(entry, "library/"); ok {
		return "docker.io/library/" + short
	}
	return b.registry.Host + "/" + entry
}

// result is what a program did.
type result struct {
	out, err string
	code     int
}

// lines are the lines of the standard output.
func (r result) lines() []string { return strings.Split(strings.TrimSuffix(r.out, "\n"), "\n") }

func (b *bench) exec(program string, args ...string) result {
	b.Helper()
	key := program + " " + strings.Join(args, " ")
	if r, ok := b.known[key]; ok {
		return r
	}
	r := b.run(program, args...)
	if b.known != nil {
		b.known[key] = r
	}
	return r
}

func (b *bench) run(program string, args ...string) result {
	b.Helper()
	cmd := exec.Command(program, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), b.env...)
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		b.Fatalf("running %s: %v", program, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// mpull runs the program, without a policy.json unless it pulls: nothing that
// only looks needs one.
func (b *bench) mpull(args ...string) result {
	b.Helper()
	policy := "none.json"
	if args[0] == "pull" {
		policy = "policy.json"
	}
	return b.exec(testenv.Binary(), append([]string{"--policy-file", filepath.Join(b.dir, policy)}, args...)...)
}

// must runs the program and expects success.
func (b *bench) must(args ...string) result {
	b.Helper()
	r := b.mpull(args...)
	if r.code != 0 {
		b.Fatalf("mpull %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
	return r
}

// pull fills the store.
func (b *bench) pull(args ...string) {
	b.Helper()
	args = append([]string{"--policy-file", filepath.Join(b.dir, "policy.json"), "pull", "-q"}, args...)
	if r := b.exec(testenv.Binary(), args...); r.code != 0 {
		b.Fatalf("mpull %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
}

// jq is what a program's output is read with in the command lines.
func (b *bench) jq(document string, args ...string) string {
	b.Helper()
	cmd := exec.Command("jq", args...)
	cmd.Stdin = strings.NewReader(document)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "jq: " + string(out)
	}
	return string(out)
}

// document reads JSON.
func document(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, text)
	}
	return v
}
