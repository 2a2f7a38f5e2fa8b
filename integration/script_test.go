package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testregistry"
)

// TestScripts runs the stories in testdata/script with the real binary, each
// on a store and a registry of its own, with each storage driver.
func TestScripts(t *testing.T) {
	for _, driver := range drivers(t) {
		t.Run(driver, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Dir: "testdata/script", RequireExplicitExec: true, Setup: setup(driver), Cmds: commands(),
			})
		})
	}
}

// TestCommandLine runs the stories in testdata/cli, which do not depend on the
// driver.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/cli", RequireExplicitExec: true, Setup: setup(drivers(t)[0]), Cmds: commands(),
	})
}

// driversVar limits the drivers, for children that run as another user.
const driversVar = "MPULL_TEST_DRIVERS"

// drivers are the storage drivers to test: overlay needs the right to mount.
func drivers(t *testing.T) []string {
	if d := os.Getenv(driversVar); d != "" {
		return strings.Split(d, ",")
	}
	testenv.Store(t)
	if os.Geteuid() == 0 {
		return []string{"overlay", "vfs"}
	}
	return []string{"vfs"}
}

// world is what a script has of its own.
type world struct {
	registry *testregistry.Registry
	t        testscript.T
}

type worldKey struct{}

// setup makes the machine of one script: configuration, a registry with
// images, an empty store.
func setup(driver string) func(*testscript.Env) error {
	return func(env *testscript.Env) error {
		w := &world{registry: testregistry.New(), t: env.T()}
		env.Values[worldKey{}] = w
		env.Defer(w.registry.Close)
		env.Defer(func() { unmountBelow(env.WorkDir) })
		env.Defer(func() { endPause(env.WorkDir) })
		if err := stock(w.registry); err != nil {
			return err
		}
		return configure(env, driver, w.registry.Host)
	}
}

func configure(env *testscript.Env, driver, host string) error {
	variables, err := writeConfiguration(env.WorkDir, driver, host)
	if err != nil {
		return err
	}
	for key, value := range variables {
		env.Setenv(key, value)
	}
	return nil
}

// writeConfiguration writes what a machine would have under /etc and in a home
// directory, and returns the environment that leads tools there.
func writeConfiguration(dir, driver, host string) (map[string]string, error) {
	conf := filepath.Join(dir, "home/.config/containers")
	for _, d := range []string{conf, filepath.Join(dir, "tmp")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{
		filepath.Join(conf, "policy.json"):    `{"default": [{"type": "insecureAcceptAnything"}]}` + "\n",
		filepath.Join(dir, "registries.conf"): registriesConf(host),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	mine, podmans := rootsOf(dir)
	if _, err := podmans.Write(filepath.Join(dir, "podmanstore.conf"), driver, ""); err != nil {
		return nil, err
	}
	roots, err := mine.Write(filepath.Join(dir, "storage.conf"), driver, "")
	if err != nil {
		return nil, err
	}
	variables := map[string]string{
		"HOME": filepath.Join(dir, "home"), "TMPDIR": filepath.Join(dir, "tmp"),
		"XDG_CONFIG_HOME":            filepath.Join(dir, "home/.config"),
		"CONTAINERS_REGISTRIES_CONF": filepath.Join(dir, "registries.conf"),
		"REGISTRY":                   host, "DRIVER": driver,
		"PATH":              filepath.Dir(testenv.Binary()) + ":" + os.Getenv("PATH"),
		"GOCOVERDIR":        os.Getenv("GOCOVERDIR"),
		"MPULL_CRIO_CONFIG": "",
		"LC_ALL":            "C.UTF-8", "TERM": "xterm", "TZ": "UTC",
	}
	for _, assignment := range roots {
		key, value, _ := strings.Cut(assignment, "=")
		variables[key] = value
	}
	return variables, nil
}

// registriesConf makes the registry the one behind docker.io, and itself
// reachable without TLS.
func registriesConf(host string) string {
	return fmt.Sprintf(`unqualified-search-registries = ["docker.io"]
short-name-mode = "enforcing"

[[registry]]
prefix = "docker.io"
location = %q
insecure = true

[[registry]]
location = %q
insecure = true
`, host, host)
}

// rootsOf are the roots of a machine's store, and of podman's own beside it.
func rootsOf(dir string) (mine, podmans testenv.Roots) {
	return testenv.Roots{Data: filepath.Join(dir, "store"), Runtime: filepath.Join(dir, "run")},
		testenv.Roots{Data: filepath.Join(dir, "podman"), Runtime: filepath.Join(dir, "run-podman")}
}

// unmountBelow undoes what a tool left mounted in a directory.
func unmountBelow(dir string) {
	mounts, err := testbed.Mounts(dir)
	if err != nil {
		return
	}
	for _, m := range mounts {
		_ = unix.Unmount(m, unix.MNT_DETACH)
	}
}

// endPause ends the process with which a rootless podman keeps its user
// namespace.
func endPause(dir string) {
	for _, p := range []string{"run/libpod/tmp/pause.pid", "run-podman/libpod/tmp/pause.pid"} {
		text, err := os.ReadFile(filepath.Join(dir, p))
		if err != nil {
			continue
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && pid > 1 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}
