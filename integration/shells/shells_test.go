// Package shells tests the completions in real shells, and make install.
package shells

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

func TestMain(m *testing.M) { testenv.MainWithBinary(m) }

// machine has a store in which linux/s390x of alpine:3.15 took the name from
// the host's image; empty as an ordinary user.
type machine struct {
	t    *testing.T
	dir  string
	env  []string
	host string // ID of the image that lost the name
}

func newMachine(t *testing.T, filled bool) *machine {
	t.Helper()
	if filled {
		testenv.Root(t)
	}
	m := &machine{t: t, dir: t.TempDir()}
	registry := testregistry.New()
	t.Cleanup(registry.Close)
	files := map[string]string{
		"policy.json":     `{"default": [{"type": "insecureAcceptAnything"}]}`,
		"registries.conf": fmt.Sprintf("unqualified-search-registries = [\"docker.io\"]\n[[registry]]\nprefix = \"docker.io\"\nlocation = %q\ninsecure = true\n", registry.Host),
		"home/empty":      "",
	}
	for name, text := range files {
		path := filepath.Join(m.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots, err := testenv.Roots{Data: m.dir, Runtime: filepath.Join(m.dir, "user")}.Write(filepath.Join(m.dir, "storage.conf"), "vfs", "")
	if err != nil {
		t.Fatal(err)
	}
	m.env = append(append(os.Environ(), roots...),
		"CONTAINERS_REGISTRIES_CONF="+filepath.Join(m.dir, "registries.conf"),
		"CONTAINERS_POLICY_JSON="+filepath.Join(m.dir, "policy.json"), "HOME="+filepath.Join(m.dir, "home"), "REGISTRY_AUTH_FILE=", "STORAGE_DRIVER=",
		"PATH="+filepath.Dir(testenv.Binary())+":"+os.Getenv("PATH"), "TERM=xterm", "LC_ALL=C.UTF-8", "PS1=", "INPUTRC=/dev/null",
	)
	if filled {
		index, err := testimage.Index([]string{"linux/" + runtime.GOARCH, "linux/s390x", "linux/arm/v7"}, testimage.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.PushIndex("library/alpine:3.15", index); err != nil {
			t.Fatal(err)
		}
		m.host = strings.TrimSpace(m.run("mpull", "-q", "--platform", "linux/"+runtime.GOARCH, "alpine:3.15"))
		m.run("mpull", "-q", "--platform", "linux/s390x", "alpine:3.15")
	}
	return m
}

// run starts a program that must succeed, and returns its standard output.
func (m *machine) run(args ...string) string {
	m.t.Helper()
	return m.runWith("", args...)
}

func (m *machine) runWith(input string, args ...string) string {
	m.t.Helper()
	program := args[0]
	if program == "mpull" {
		program = testenv.Binary()
	}
	cmd := exec.Command(program, args[1:]...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Stdin = m.env, m.dir, &out, &errs, strings.NewReader(input)
	if err := cmd.Run(); err != nil {
		m.t.Fatalf("%v: %v\n%s%s", args, err, &out, &errs)
	}
	return out.String()
}

// complete asks mpull what fits behind the words.
func (m *machine) complete(words ...string) []string {
	m.t.Helper()
	var values []string
	for line := range strings.Lines(m.run(append([]string{"mpull", "__complete"}, words...)...)) {
		value, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		values = append(values, value)
	}
	return values
}

func TestCompleteCommandsAndFlags(t *testing.T) {
	m := newMachine(t, false)
	for _, tt := range []struct {
		words string // the last may be empty
		want  string // of the answer
	}{
		{"pu", "pull"}, {"res", "restore"}, {"image ", "ls inspect"}, {"image in", "inspect"}, {"manifest ", "inspect"},
		{"prune --fr", "--free"}, {"images --no-t", "--no-trunc"}, {"--roo", "--root"}, {"images --roo", "--root"},
		{"--var", "--variant"}, {"pull --policy mi", "missing"}, {"pull --policy=mi", "--policy=missing"}, {"images --sort ", "created size"},
		{"--log-level d", "debug"}, {"--root ", ":dirs"}, {"pull --authfile ", ":files"}, {"prune --apply ", ":files"},
		{"pull --platform linux/s", "linux/s390x"}, {"images --filter d", "dangling=true dangling=false"},
		{"check alpine ", ":files"}, {"lock ", ":files"}, {"save -o ", ":files"}, {"", "pull images prune"},
	} {
		got := m.complete(strings.Split(tt.words, " ")...)
		for _, want := range strings.Fields(tt.want) {
			if !slices.Contains(got, want) {
				t.Errorf("mpull %s: %q, without %q", tt.words, got, want)
			}
		}
	}
	for _, words := range []string{"zzz", "images --zz", "version ", "--nosuchflag x y ", "pull --as ", "__", "images --frobnicate=a"} {
		if got := m.complete(strings.Split(words, " ")...); len(got) > 0 {
			t.Errorf("mpull %s: %q, where nothing fits", words, got)
		}
	}
}

func TestCompleteNeverFails(t *testing.T) {
	m := newMachine(t, false)
	if err := os.WriteFile(filepath.Join(m.dir, "storage.conf"), []byte("[storage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"rmi", ""}, {}, {"--root", "/nosuch", "why", "a"}, {"pull", "--platform", ""}, {"\x1b[31m"}} {
		cmd := exec.Command(testenv.Binary(), append([]string{"__complete"}, words...)...)
		cmd.Env = m.env
		out, err := cmd.CombinedOutput()
		if err != nil || bytes.ContainsRune(out, 0x1b) || bytes.Contains(out, []byte("Error")) {
			t.Errorf("%q: %v: %s", words, err, out)
		}
	}
}

func TestCompleteFromTheStore(t *testing.T) {
	m := newMachine(t, true)
	short := m.host[:12]
	host := "linux/" + runtime.GOARCH
	for _, tt := range []struct{ words, want string }{
		{"rmi ", "docker.io/library/alpine:3.15"}, {"rmi alp", "alpine:3.15"}, {"save -o x alp", "alpine:3.15"}, {"lock x alp", "alpine:3.15"}, {"rmi lib", "library/alpine:3.15"},
		{"alp", "alpine:3.15"}, {"restore ", short}, {"restore alp", "alpine:3.15"}, {"restore " + short + " ", "docker.io/library/alpine:3.15"},
		{"why alp", "alpine:3.15"}, {"inspect " + short[:4], short},
		{"use alpine:3.15 --platform ", "linux/s390x " + host}, {"pull alpine:3.15 --platform linux/a", "linux/arm/v7"},
		{"pull --platform=linux/arm/ alpine", "alpine:3.15"},
	} {
		got := m.complete(strings.Split(tt.words, " ")...)
		for _, want := range strings.Fields(tt.want) {
			if !slices.Contains(got, want) {
				t.Errorf("mpull %s: %q, without %q", tt.words, got, want)
			}
		}
	}
	if got := m.complete("use", "alpine:3.15", "--platform", "linux/arm"); len(got) > 0 {
		t.Errorf("use offers %q, which is not here", got)
	}
}

// completions copies a file to where no blank in a path has to be quoted.
func completions(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../contrib/completions/" + name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// typed types lines at a shell that has a terminal, and returns the screen.
func (m *machine) typed(shell string, lines ...string) string {
	m.t.Helper()
	testenv.Need(m.t, "script")
	return m.runWith(strings.Join(lines, "\n")+"\nexit 0\n", "script", "-qec", shell, "/dev/null")
}

func TestBash(t *testing.T) {
	testenv.Need(t, "bash")
	m := newMachine(t, true)
	screen := m.typed("bash --norc --noprofile -i", "source "+completions(t, "mpull.bash"), "mpull ver\t", "mpull why alpine:3\t", "mpull use --plat\tlinux/s3\talpine:3.15")
	for _, want := range []string{"mpull 0.", "lost docker.io/library/alpine:3.15", "for linux/s390x already"} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q on the screen:\n%s", want, screen)
		}
	}
}

func TestZsh(t *testing.T) {
	testenv.Need(t, "zsh")
	m := newMachine(t, true)
	screen := m.typed("zsh -f -i", "unsetopt beep zle_bracketed_paste", "fpath=("+filepath.Dir(completions(t, "_mpull"))+" $fpath); autoload -Uz compinit; compinit -u -D",
		"mpull ver\t", "mpull why alpine:3\t", "mpull use --plat\tlinux/s3\talpine:3.15")
	for _, want := range []string{"mpull 0.", "lost docker.io/library/alpine:3.15", "for linux/s390x already"} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q on the screen:\n%s", want, screen)
		}
	}
}

func TestFish(t *testing.T) {
	testenv.Need(t, "fish")
	m := newMachine(t, true)
	for typed, want := range map[string]string{
		"mpull ver": "version\tprint the version", "mpull why alpine:3": "alpine:3.15\t", "mpull rmi ": "docker.io/library/alpine:3.15",
		"mpull use --platform linux/s3": "linux/s390x\there", "mpull pull --policy=m": "--policy=missing",
	} {
		got := m.run("fish", "--no-config", "-c", "source "+completions(t, "mpull.fish")+"; complete -C '"+typed+"'")
		if !strings.Contains(got, want) {
			t.Errorf("%s: no %q in %q", typed, want, got)
		}
	}
}

func TestMakeInstall(t *testing.T) {
	testenv.Need(t, "make")
	dest := t.TempDir()
	keep := filepath.Join(dest, "etc/containers/policy.json")
	if err := os.MkdirAll(filepath.Dir(keep), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keep, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("make", "-C", "../..", "install", "DESTDIR="+dest, "PREFIX=/usr")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make install: %v\n%s", err, out)
	}
	for _, path := range []string{
		"usr/bin/mpull", "usr/share/man/man1/mpull.1", "usr/share/man/man1/mpull-pull.1", "usr/share/man/man5/mpull-store.5",
		"usr/share/bash-completion/completions/mpull", "usr/share/zsh/site-functions/_mpull", "usr/share/fish/vendor_completions.d/mpull.fish",
		"etc/containers/registries.conf",
	} {
		if info, err := os.Stat(filepath.Join(dest, path)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
	if text, err := os.ReadFile(keep); err != nil || string(text) != "mine" {
		t.Errorf("policy.json was not kept: %v %q", err, text)
	}
}

// TestMakeInstallOnFullDisk: what was installed stays, and nothing beside it.
func TestMakeInstallOnFullDisk(t *testing.T) {
	testenv.Need(t, "make")
	testenv.Root(t)
	dest := t.TempDir()
	if err := unix.Mount("tmpfs", dest, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	defer func() {
		if err := unix.Unmount(dest, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	bin := filepath.Join(dest, "usr/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "mpull"), []byte("old"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("make", "-C", "../..", "install", "DESTDIR="+dest, "PREFIX=/usr").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "what was there stays") {
		t.Errorf("make install on a full disk: %v\n%s", err, out)
	}
	if text, err := os.ReadFile(filepath.Join(bin, "mpull")); err != nil || string(text) != "old" {
		t.Errorf("the program that was there: %v %q", err, text)
	}
	if left, err := os.ReadDir(bin); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}
