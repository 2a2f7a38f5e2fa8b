// Package testenv gives each package of tests the same ground to stand on: none
// of what the machine and its user have configured, and a built mpull.
//
// A package's TestMain calls Main or MainWithBinary. A test that needs what is
// not here ends with Need or Missing: skipped by name with the reason, failed
// where CI is set, since continuous integration is to have everything.
package testenv

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.podman.io/storage/pkg/reexec"
	"golang.org/x/sys/unix"
)

// binaryVar names a built mpull: make test hands it to all packages, and a
// package to the tests that it starts as another user.
const binaryVar = "MPULL_BINARY"

// Main runs a package's tests and ends the process.
func Main(m *testing.M) { run(m, func(string) error { return nil }) }

// MainWithBinary is Main for tests of the built mpull; see Binary.
func MainWithBinary(m *testing.M) { run(m, build) }

// Binary is the path of the mpull under test.
func Binary() string { return os.Getenv(binaryVar) }

// BinaryIs is the assignment that hands a copy of the binary to a child which
// is this program again.
func BinaryIs(path string) string { return binaryVar + "=" + path }

// SomeCases is what a test says that runs only some of its cases.
const SomeCases = "these are some of its cases"

// Short reports whether a test shall run only some of its cases (-short, as in
// make test), and says so with it: make test-more runs the tests that said it.
func Short(t testing.TB) bool {
	t.Helper()
	if testing.Short() {
		t.Log(SomeCases)
	}
	return testing.Short()
}

func run(m *testing.M, prepare func(dir string) error) {
	if reexec.Init() {
		return // a child that unpacks a layer for a store opened by a test
	}
	os.Exit(inside(m, prepare))
}

// inside runs the tests in a directory of their own; see folder.
func inside(m *testing.M, prepare func(dir string) error) int {
	unix.Umask(0o022)
	dir, err := folder()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer remove(dir)
	heedSignals()
	if err := leave(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := prepare(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// heedSignals undoes what nohup, or a shell for a job in the background, has
// this process and its children ignore.
func heedSignals() {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig) // children start with the default then
		}
	}
}

// leave makes an empty home in dir and drops every variable by which the
// libraries, mpull or its peers would find something else. What is under /etc
// stays; tests that depend on it write a configuration of their own.
func leave(dir string) error {
	if err := keepGo(); err != nil {
		return err
	}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		for _, prefix := range []string{"XDG_", "CONTAINER", "STORAGE_", "REGISTRY_", "DOCKER_", "BUILDAH_", "LC_", "LANG"} {
			if strings.HasPrefix(name, prefix) || strings.HasSuffix(strings.ToLower(name), "_proxy") {
				if err := os.Unsetenv(name); err != nil {
					return err
				}
			}
		}
	}
	home := filepath.Join(dir, "home")
	conf := filepath.Join(dir, "storage.conf")
	runtime := filepath.Join(dir, "run")
	for _, d := range []string{home, runtime} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", filepath.Join(dir, "root"), filepath.Join(dir, "rr"))
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"MPULL_CRIO_CONFIG": "", // none, whatever runs on this machine
		"HOME":              home, "TMPDIR": dir, "XDG_RUNTIME_DIR": runtime, "LC_ALL": "C.UTF-8", "CONTAINERS_STORAGE_CONF": conf,
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// keepGo names go's folders, most of which it would look for in the home.
func keepGo() error {
	names := []string{"GOCACHE", "GOENV", "GOMODCACHE", "GOPATH"}
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		return nil //nolint:nilerr // a child as another user builds nothing, and has no go
	}
	for i, value := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if err := os.Setenv(names[i], value); err != nil {
			return err
		}
	}
	return nil
}

// build compiles mpull unless there is one, instrumented where coverage is
// asked for (make cover).
func build(dir string) error {
	if os.Getenv(binaryVar) != "" {
		return nil
	}
	path := filepath.Join(dir, "mpull")
	args := []string{"build", "-trimpath", "-o", path}
	if os.Getenv("GOCOVERDIR") != "" {
		args = append(args, "-cover", "-coverpkg=github.com/mpull/mpull/...")
	}
	if out, err := exec.Command("go", append(args, "github.com/mpull/mpull/cmd/mpull")...).CombinedOutput(); err != nil {
		return fmt.Errorf("building mpull: %w\n%s", err, out)
	}
	return os.Setenv(binaryVar, path)
}

// Need ends a test without a program that it needs, as Missing does.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			Missing(t, p+" is not installed")
		}
	}
}

// Unshares ends a test that starts programs in new namespaces, which the flags of
// unshare(1) name, where there are none, as Missing does: in a chroot, / is no
// mount that could be kept from others, and the kernel makes no user namespace.
func Unshares(t testing.TB, flags ...string) {
	t.Helper()
	Need(t, "unshare")
	if out, err := exec.Command("unshare", append(flags, "true")...).CombinedOutput(); err != nil {
		Missing(t, fmt.Sprintf("no new namespaces here (%s): %s", strings.Join(flags, " "), bytes.TrimSpace(out)))
	}
}

// Has tells whether a program is here, for a test that compares with it beside
// other things. Where CI is set it must be.
func Has(t testing.TB, program string) bool {
	t.Helper()
	_, err := exec.LookPath(program)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("CI must have everything: " + program + " is not installed")
	}
	if err != nil {
		t.Log("not compared with " + program + ", which is not installed")
	}
	return err == nil
}

// skipper is what Missing needs of a test, and testscript has of it.
type skipper interface {
	Skip(...any)
	Fatal(...any)
}

// Missing ends a test on a machine without what it needs: skipped on a
// developer's, failed where CI is set.
func Missing(t skipper, why string) {
	if h, ok := t.(testing.TB); ok {
		h.Helper()
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("CI must have everything: " + why)
	}
	t.Skip(why)
}
