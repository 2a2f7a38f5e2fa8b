package sessions

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

	"github.com/mpull/mpull/integration/kernelcases"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
	"github.com/mpull/mpull/integration/testuser"
)

func TestMain(m *testing.M) { testenv.MainWithBinary(m) }

// session is an ordinary user's, or root's, with a home of its own and nothing
// but what a test names in its environment.
type session struct {
	t       *testing.T
	home    string
	uid     int
	env     []string
	binary  string
	image   string // name of one that a registry has
	command func(args ...string) *exec.Cmd
}

func newSession(t *testing.T) *session {
	t.Helper()
	u := testuser.New(t)
	s := &session{t: t, home: u.Dir, binary: filepath.Join(u.Dir, "bin", "mpull")}
	if _, err := fmt.Sscan(u.Uid, &s.uid); err != nil {
		t.Fatal(err)
	}
	s.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.Dir, "TMPDIR=" + filepath.Join(u.Dir, "tmp"), "LC_ALL=C.UTF-8"}
	s.command = func(args ...string) *exec.Cmd {
		cmd := u.Command(nil, args...)
		cmd.Env = s.env
		return cmd
	}
	s.write("bin/mpull", read(t, testenv.Binary()), 0o755)
	s.write("policy.json", `{"default":[{"type":"insecureAcceptAnything"}]}`, 0o644)
	registry := testregistry.New()
	t.Cleanup(registry.Close)
	img, err := testimage.Image(testimage.Spec{Seed: 7, Platform: "linux/" + runtime.GOARCH, Layers: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.PushImage("team/app:1", img); err != nil {
		t.Fatal(err)
	}
	s.image = registry.Host + "/team/app:1"
	s.write("registries.conf", fmt.Sprintf("[[registry]]\nlocation=%q\ninsecure=true\n", registry.Host), 0o644)
	return s
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// write makes a file of root's that the user can read.
func (s *session) write(name, text string, mode os.FileMode) string {
	s.t.Helper()
	path := filepath.Join(s.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// mpull runs the built binary. An exit code other than 0 and 1, which answers
// no, ends the test.
func (s *session) mpull(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if code := err.ExitCode(); code > 1 {
		s.t.Fatalf("mpull %q: exit code %d\n%s", args, code, out)
	}
	return out
}

func (s *session) try(args ...string) (string, *os.ProcessState) {
	s.t.Helper()
	cmd := s.command(append([]string{s.binary, "--policy-file", filepath.Join(s.home, "policy.json"), "--registries-conf", filepath.Join(s.home, "registries.conf")}, args...)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		s.t.Fatalf("mpull %q: %v", args, err)
	}
	return string(out), cmd.ProcessState
}

// clear removes what a user's tools leave.
func (s *session) clear() {
	s.t.Helper()
	for _, name := range []string{".local", ".config", "tmp", "run"} {
		if err := os.RemoveAll(filepath.Join(s.home, name)); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, name := range []string{"tmp", "run"} {
		s.mkdir(name)
	}
}

func (s *session) mkdir(name string) string {
	s.t.Helper()
	path := filepath.Join(s.home, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chown(path, s.uid, s.uid); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// afterRootsPodman has a test run where root has used podman. Where that is not so,
// it runs the test in a mount namespace of its own, with the /run that podman
// leaves, and returns false.
func afterRootsPodman(t *testing.T) bool {
	t.Helper()
	const inside = "MPULL_TEST_RUN"
	info, err := os.Stat("/run/containers")
	_, absent := os.Stat("/run/containers/0")
	if err == nil && info.Mode().Perm()&1 == 0 && absent == nil || os.Getenv(inside) != "" {
		return true
	}
	testenv.Unshares(t, "--mount")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := "mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 700 /run/containers /run/containers/0 && exec \"$@\""
	cmd := exec.Command("unshare", "--mount", "sh", "-c", run, "sh", self, "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("where root has used podman: %v\n%s", err, out)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Skipf("where root has used podman: %s", out)
	}
	return false
}

// TestClosedRunContainers: where nothing names a runtime directory, an auth
// file is looked for where podman does, not where root's lies.
func TestClosedRunContainers(t *testing.T) {
	s := newSession(t)
	if !afterRootsPodman(t) {
		return
	}
	s.mpull("platforms", s.image)
	s.mpull("pull", "-q", s.image)
	want := filepath.Join(s.home, "tmp", fmt.Sprintf("storage-run-%d", s.uid), "containers/auth.json")
	if got := s.mpull("info"); !strings.Contains(got, want) {
		t.Errorf("info does not name %s:\n%s", want, got)
	}
	// podman before version 5 has its own name for it.
	s.mkdir(fmt.Sprintf("tmp/podman-run-%d", s.uid))
	want = strings.Replace(want, "storage-run-", "podman-run-", 1)
	if got := s.mpull("info"); !strings.Contains(got, want) {
		t.Errorf("info does not name %s:\n%s", want, got)
	}
	// su without a dash keeps another user's.
	s.env = append(s.env, "XDG_RUNTIME_DIR=/root")
	if got := s.mpull("info"); !strings.Contains(got, want) {
		t.Errorf("with the variable of another user, info does not name %s:\n%s", want, got)
	}
	s.mpull("platforms", s.image)
}

// TestDriverOfTheStoreThere: without a driver named, that of the store counts;
// one named later does not hide the store that podman's database tells of.
func TestDriverOfTheStoreThere(t *testing.T) {
	s := newSession(t)
	store := filepath.Join(s.home, ".local/share/containers/storage")
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) {
			s.t = t
			s.clear()
			s.mpull("--storage-driver", driver, "pull", "-q", s.image)
			for _, args := range [][]string{{"images", "-q"}, {"image", "inspect", s.image}, {"pull", "-q", s.image}} {
				if out, state := s.try(args...); state.ExitCode() != 0 || out == "" {
					t.Errorf("mpull %q: %d %s", args, state.ExitCode(), out)
				}
			}
			for _, other := range []string{"vfs", "overlay"} {
				if _, err := os.Stat(filepath.Join(store, other)); err == nil && other != driver {
					t.Errorf("%s was made beside %s", other, driver)
				}
			}
			s.mpull("tag", s.image, "x:1")
			if out := s.mpull("info"); !strings.Contains(strings.SplitN(out, "\n", 2)[0], store) {
				t.Errorf("the first line of info does not name the store:\n%s", out)
			}
			// What an older mpull left beside it.
			other := map[string]string{"vfs": "overlay", "overlay": "vfs"}[driver]
			for _, name := range []string{other, other + "-images", other + "-layers"} {
				s.mkdir(filepath.Join(".local/share/containers/storage", name))
			}
			if out := s.mpull("images", "-q"); len(strings.Fields(out)) != 1 {
				t.Errorf("beside an empty %s store: %q", other, out)
			}
			for _, name := range []string{other, other + "-images", other + "-layers"} {
				if err := os.Remove(filepath.Join(store, name)); err != nil {
					t.Error(err)
				}
			}
			before := s.env
			defer func() { s.env = before }()
			s.env = append(s.env, "STORAGE_DRIVER="+other)
			if out := s.mpull("info", "--format", "{{.Store.Driver}}"); out != other+"\n" {
				t.Errorf("without podman's database: %q", out)
			}
			s.write(".local/share/containers/storage/db.sql", "", 0o644)
			if out := s.mpull("info", "--format", "{{.Store.Driver}}"); out != driver+"\n" {
				t.Errorf("with podman's database: %q", out)
			}
		})
	}
}

// TestOneIDAlone: a user without subordinate IDs, or without an account, has a
// namespace with one ID, and is told so in one line where that matters.
func TestOneIDAlone(t *testing.T) {
	s := newSession(t)
	uid := 40000 + os.Getpid()%20000
	command := s.command
	s.command = func(args ...string) *exec.Cmd {
		cmd := command(args...)
		number := fmt.Sprint(uid)
		cmd.Args = append([]string{"setpriv", "--reuid", number, "--regid", number, "--clear-groups", "--"}, args...)
		return cmd
	}
	s.uid = uid
	if err := os.Chown(s.home, uid, uid); err != nil {
		t.Fatal(err)
	}
	s.clear()
	out, state := s.try("--storage-driver", "vfs", "pull", "-q", s.image)
	if state.ExitCode() != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(out, "has no account") {
		t.Errorf("pull: %d\n%s", state.ExitCode(), out)
	}
	for _, args := range [][]string{{"images", "-q"}, {"image", "inspect", "--format", "{{.Id}}", s.image}} {
		if out, state := s.try(args...); state.ExitCode() != 0 || strings.Count(out, "\n") != 1 {
			t.Errorf("mpull %q: %d\n%s", args, state.ExitCode(), out)
		}
	}
	s.env = s.env[:1] // no HOME
	if out, state := s.try("images"); state.ExitCode() != 125 || !strings.Contains(out, "HOME") || strings.Count(out, "\n") > 2 {
		t.Errorf("without HOME: %d\n%s", state.ExitCode(), out)
	}
}

// TestNested pulls as the root of namespaces that a user made, one in the other:
// there the directories of the machine's root are closed to it, while it has a
// place of its own.
func TestNested(t *testing.T) {
	s := newSession(t)
	if !afterRootsPodman(t) {
		return
	}
	for _, nested := range [][]string{{"unshare", "-r", "-m"}, {"unshare", "-r", "-m", "unshare", "-r", "-m"}, {"unshare", "--map-auto", "-r", "-m"}} {
		for _, driver := range []string{"overlay", "vfs"} {
			s.clear()
			command := s.command
			s.command = func(args ...string) *exec.Cmd {
				own := []string{"--root", filepath.Join(s.home, "run/root"), "--runroot", filepath.Join(s.home, "run/run"), "--storage-driver", driver}
				return command(slices.Concat(nested, args[:1], own, args[1:])...)
			}
			for _, args := range [][]string{{"pull", "-q", s.image}, {"platforms", s.image}, {"images", "-q"}, {"doctor"}, {"info"}} {
				out, state := s.try(args...)
				if state.ExitCode() != 0 || strings.Contains(out, "/run/containers/0") {
					t.Errorf("%v, %s: mpull %q: %d\n%s", nested, driver, args, state.ExitCode(), out)
				}
			}
			s.command = command
		}
	}
	command := s.command
	s.command = func(args ...string) *exec.Cmd { return command(append([]string{"unshare", "-U"}, args...)...) }
	if out, state := s.try("images"); state.ExitCode() != 125 || !strings.Contains(out, "unshare --map-root-user") || strings.Count(out, "\n") != 1 {
		t.Errorf("in a namespace without IDs: %d\n%s", state.ExitCode(), out)
	}
}

// TestRootWithoutCapabilities is told what is missing.
func TestRootWithoutCapabilities(t *testing.T) {
	s := newSession(t)
	s.clear()
	if err := os.Chmod(s.home, 0o755); err != nil { // another user's, to root as it is here
		t.Fatal(err)
	}
	for driver, lacks := range map[string]string{"overlay": "CAP_SYS_ADMIN", "vfs": "CAP_SYS_CHROOT"} {
		dir := t.TempDir()
		cmd := exec.Command("setpriv", "--bounding-set=-all", "--inh-caps=-all", s.binary, "--policy-file", filepath.Join(s.home, "policy.json"),
			"--registries-conf", filepath.Join(s.home, "registries.conf"), "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"),
			"--storage-driver", driver, "pull", "-q", s.image)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != 125 || !bytes.Contains(out, []byte(lacks)) || bytes.Count(out, []byte("\n")) != 2 || bytes.Count(out, []byte("Hint: ")) != 1 {
			t.Errorf("%s: %d\n%s", driver, code, out)
		}
	}
}

// TestNoUserNamespaces: where they are switched off, one line says so and what
// mends it.
func TestNoUserNamespaces(t *testing.T) {
	testenv.Unshares(t, "--user", "--map-root-user", "--mount")
	s := newSession(t)
	s.clear()
	script := `echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --reuid "$1" --regid "$1" --clear-groups -- "$2" pull -q "$3"`
	cmd := exec.Command("sh", "-c", script, "sh", fmt.Sprint(s.uid), s.binary, s.image)
	kernelcases.Isolate(cmd)
	cmd.Env, cmd.Dir = s.env, s.home
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if cmd.ProcessState.ExitCode() != 125 || !strings.Contains(string(out), "sysctl -w user.max_user_namespaces") || strings.Count(string(out), "\n") != 1 {
		t.Errorf("%d %s", cmd.ProcessState.ExitCode(), out)
	}
}

// TestNoProc: where /proc is not mounted, or the kernel makes no user namespace
// because of a chroot, one line says so and what mends it.
func TestNoProc(t *testing.T) {
	testenv.Unshares(t, "--user", "--map-root-user", "--mount")
	s := newSession(t)
	s.clear()
	const end = `exec env -C / chroot --userspec="$1:$1" "$D" "$2" pull -q "$3"`
	const chroot = `D=$(mktemp -d) && mount --rbind / "$D" && `
	for _, tt := range []struct {
		name, script string
		said         []string
	}{
		{"no /proc", `mount -t tmpfs none /proc && exec setpriv --reuid "$1" --regid "$1" --clear-groups -- "$2" pull -q "$3"`, []string{"mount -t proc proc /proc"}},
		{"chroot", chroot + end, []string{"systemd-nspawn"}},
		{"chroot without /proc", chroot + `mount -t tmpfs none "$D/proc" && ` + end, []string{"systemd-nspawn", "mount -t proc proc /proc"}},
	} {
		cmd := exec.Command("sh", "-c", tt.script, "sh", fmt.Sprint(s.uid), s.binary, s.image)
		kernelcases.Isolate(cmd)
		cmd.Env, cmd.Dir = s.env, s.home
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if cmd.ProcessState.ExitCode() != 125 || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %d %s", tt.name, cmd.ProcessState.ExitCode(), out)
		}
		for _, said := range tt.said {
			if !strings.Contains(string(out), said) {
				t.Errorf("%s: %q is not said: %s", tt.name, said, out)
			}
		}
	}
}
