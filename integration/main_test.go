package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.podman.io/storage/pkg/reexec"
	"golang.org/x/sys/unix"
)

// binaryVar names a built mpull to test; without it TestMain builds one. It is
// how a child of this test that runs as another user gets the same one.
const binaryVar = "MPULL_TEST_BINARY"

func TestMain(m *testing.M) {
	if reexec.Init() {
		return // a child that unpacks a layer for a store opened by a test
	}
	unix.Umask(0o022)
	for _, name := range []string{"STORAGE_DRIVER", "STORAGE_OPTS"} { // stronger than storage.conf, even when empty
		_ = os.Unsetenv(name)
	}
	os.Exit(withBinary(m))
}

// withBinary builds mpull once for all tests, instrumented when coverage is
// asked for (make cover).
func withBinary(m *testing.M) int {
	if os.Getenv(binaryVar) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "mpull-test-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "mpull")
	args := []string{"build", "-o", binary}
	if os.Getenv("GOCOVERDIR") != "" {
		args = append(args, "-cover", "-coverpkg=github.com/mpull/mpull/...")
	}
	cmd := exec.Command("go", append(args, "../cmd/mpull")...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building mpull:", err)
		return 1
	}
	if err := os.Chmod(dir, 0o755); err != nil { // other users run it too
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv(binaryVar, binary)
	return m.Run()
}

// missing ends a test that needs what is not here: skipped with the reason,
// but failed in continuous integration, where everything is to be there.
func missing(t interface {
	Skip(...any)
	Fatal(...any)
}, what string) {
	if os.Getenv("CI") == "true" {
		t.Fatal("CI must have everything, but " + what)
	}
	t.Skip(what)
}
