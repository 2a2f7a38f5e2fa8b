package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testregistry"
)

// machine is a registry and the environment of a script, for tests in Go.
type machine struct {
	t   *testing.T
	dir string
	env []string
}

func newMachine(t *testing.T, driver string) (*machine, *testregistry.Registry) {
	t.Helper()
	registry := testregistry.New()
	t.Cleanup(registry.Close)
	if err := stock(registry); err != nil {
		t.Fatal(err)
	}
	return machineFor(t, t.TempDir(), driver, registry.Host), registry
}

// machineFor makes a machine in dir of which the registry is at host.
func machineFor(t *testing.T, dir, driver, host string) *machine {
	t.Helper()
	if os.Geteuid() != 0 { // root without all its rights has commands that need none
		testenv.Store(t)
	}
	m := &machine{t: t, dir: dir}
	t.Cleanup(func() { testenv.MakeRemovable(m.dir) })
	t.Cleanup(func() { unmountBelow(m.dir) })
	t.Cleanup(func() { endPause(m.dir) })
	variables, err := writeConfiguration(m.dir, driver, host)
	if err != nil {
		t.Fatal(err)
	}
	m.env = os.Environ()
	for key, value := range variables {
		m.env = append(m.env, key+"="+value)
	}
	return m
}

// run returns what a program prints; store is "mine" or "podman".
func (m *machine) run(store string, args ...string) string {
	m.t.Helper()
	cmd := m.command(store, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

func (m *machine) command(store string, args ...string) *exec.Cmd {
	m.t.Helper()
	cmd := exec.Command(testenv.Binary(), args[1:]...)
	if args[0] != "mpull" {
		testenv.Need(m.t, args[0])
		cmd = exec.Command(args[0], args[1:]...)
	}
	cmd.Env, cmd.Dir = m.env, m.dir
	if store == "podman" {
		_, podmans := rootsOf(m.dir)
		cmd.Env = append(slices.Clone(m.env), podmans.Env(filepath.Join(m.dir, "podmanstore.conf"))...)
	}
	return cmd
}

// inspected is what must not depend on who pulled an image. Order within
// RepoTags and RepoDigests has no meaning.
type inspected struct {
	ID           string `json:"Id"`
	Digest       string
	RepoTags     []string
	RepoDigests  []string
	NamesHistory []string
	Architecture string
	Os           string // podman's spelling
	Size         int64
	Created      string
	ManifestType string
	RootFS       json.RawMessage
	Config       json.RawMessage
	History      json.RawMessage
}

func (m *machine) inspect(store, name string) inspected {
	m.t.Helper()
	var list []inspected
	if err := json.Unmarshal([]byte(m.run(store, "podman", "image", "inspect", name)), &list); err != nil || len(list) != 1 {
		m.t.Fatalf("inspect %s: %d images, %v", name, len(list), err)
	}
	slices.Sort(list[0].RepoTags)
	slices.Sort(list[0].RepoDigests)
	return list[0]
}

// TestPeersSeeTheSame pulls with mpull into one store and with podman into
// another, moves a tag in both, and holds what the tools say of the two stores
// against each other; then podman, buildah and skopeo use mpull's.
func TestPeersSeeTheSame(t *testing.T) {
	testenv.Need(t, "podman", "buildah", "skopeo")
	for _, driver := range drivers(t) {
		t.Run(driver, func(t *testing.T) {
			m, registry := newMachine(t, driver)
			many := registry.Host + "/team/many:1"
			for _, pull := range [][]string{
				{"pull", "-q", "alpine:3.15"},
				{"pull", "-q", "--platform", "linux/s390x", "alpine:3.16"},
				{"pull", "-q", "--platform", "linux/ppc64le", "alpine:3.16"},
				{"pull", "-q", many},
			} {
				mine := m.run("mine", append([]string{"mpull"}, pull...)...)
				theirs := m.run("podman", append([]string{"podman"}, pull...)...)
				if mine != theirs {
					t.Fatalf("%v: mpull has %s, podman %s", pull, mine, theirs)
				}
			}
			for _, name := range []string{"alpine:3.15", "alpine:3.16", many} {
				if mine, theirs := m.inspect("mine", name), m.inspect("podman", name); !reflect.DeepEqual(mine, theirs) {
					t.Errorf("%s:\n mpull %+v\npodman %+v", name, mine, theirs)
				}
			}
			// Sizes are not compared here: the record that an image has lost its
			// name counts to the size of that image.
			for _, list := range [][]string{
				{"podman", "images", "--no-trunc", "--digests", "--sort", "repository", "--format", "{{.Repository}} {{.Tag}} {{.ID}} {{.Digest}}"},
				{"podman", "images", "-q", "--filter", "dangling=true"},
				{"buildah", "images", "--no-trunc", "--digests", "--format", "{{.Name}} {{.Tag}} {{.ID}} {{.Digest}}"},
			} {
				if mine, theirs := sortedLines(m.run("mine", list...)), sortedLines(m.run("podman", list...)); !slices.Equal(mine, theirs) || len(mine) == 0 {
					t.Errorf("%v:\n mpull %q\npodman %q", list, mine, theirs)
				}
			}
			m.peersUse(many)
		})
	}
}

// peersUse runs what other tools do with images of a store.
func (m *machine) peersUse(many string) {
	m.t.Helper()
	if os.Geteuid() == 0 {
		dir := strings.TrimSpace(m.run("mine", "podman", "image", "mount", many))
		if _, err := os.Stat(filepath.Join(dir, "data4/file0")); err != nil {
			m.t.Errorf("the mounted image: %v", err)
		}
		m.run("mine", "podman", "image", "unmount", many)
	}
	m.run("mine", "skopeo", "copy", "-q", "containers-storage:docker.io/library/alpine:3.15", "dir:"+filepath.Join(m.dir, "copied"))
	if err := fstest.TestFS(os.DirFS(filepath.Join(m.dir, "copied")), "manifest.json", "version"); err != nil {
		m.t.Error(err)
	}
	if out := m.run("mine", "skopeo", "inspect", "--format", "{{.Name}}", "containers-storage:"+many); strings.TrimSpace(out) != strings.TrimSuffix(many, ":1") {
		m.t.Errorf("skopeo calls %s %q", many, out)
	}
}

// TestPruneKeepsWhatOthersUse makes containers with buildah and podman from
// images that then lose their names: no prune and no rmi removes them.
func TestPruneKeepsWhatOthersUse(t *testing.T) {
	testenv.Need(t, "podman", "buildah")
	for _, driver := range drivers(t) {
		t.Run(driver, func(t *testing.T) {
			m, _ := newMachine(t, driver)
			held := strings.TrimSpace(m.run("mine", "mpull", "-q", "alpine:3.15"))
			container := strings.TrimSpace(m.run("mine", "buildah", "from", "--pull-never", "alpine:3.15"))
			m.run("mine", "mpull", "-q", "--platform", "linux/s390x", "alpine:3.15") // takes the name
			free := strings.TrimSpace(m.run("mine", "mpull", "-q", "alpine:3.16"))
			m.run("mine", "mpull", "-q", "--platform", "linux/s390x", "alpine:3.16")
			if got := strings.Fields(m.run("mine", "mpull", "prune", "--force")); !slices.Equal(got, []string{free}) {
				t.Errorf("pruned %v, want %s only: %s has a container", got, free, held)
			}
			m.exits(2, "mpull", "rmi", "--force", held)
			m.run("mine", "buildah", "rm", container)
			if got := strings.Fields(m.run("mine", "mpull", "prune", "--force")); !slices.Equal(got, []string{held}) {
				t.Errorf("pruned %v, want %s", got, held)
			}
		})
	}
}

func (m *machine) exits(want int, args ...string) {
	m.t.Helper()
	cmd := exec.Command(testenv.Binary(), args[1:]...)
	cmd.Env, cmd.Dir = m.env, m.dir
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != want {
		m.t.Errorf("%v ended with %d, want %d: %s", args, got, want, out)
	}
}

func sortedLines(s string) []string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' })
	slices.Sort(lines)
	return lines
}
