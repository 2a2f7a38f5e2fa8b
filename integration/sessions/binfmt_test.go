package sessions

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/integration/kernelcases"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

const (
	stageVar = "MPULL_TEST_BINFMT"
	usual    = "/proc/sys/fs/binfmt_misc"
)

// TestBinfmtInForce: a binfmt_misc of a user namespace is in force in it and
// below, wherever it is mounted, and a handler with flag F keeps the file that
// it opened. The verdict is what execve says, in namespaces within each other.
func TestBinfmtInForce(t *testing.T) {
	if dir := os.Getenv(stageVar); dir != "" {
		outer(t, dir)
		return
	}
	testenv.Root(t)
	if foreignArch() == runtime.GOARCH {
		t.Skip("the foreign program is native here")
	}
	isolated(t, t.TempDir(), "TestBinfmtInForce")
}

// isolated runs a test of this program in user and mount namespaces of its own.
func isolated(t *testing.T, dir, name string) {
	t.Helper()
	testenv.Unshares(t, "--user", "--map-root-user", "--mount")
	cmd := exec.Command("/proc/self/exe", "-test.run", "^"+name+"$", "-test.v")
	cmd.Env = append(os.Environ(), stageVar+"="+dir)
	kernelcases.Isolate(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if bytes.Contains(out, []byte("--- SKIP: "+name)) {
		t.Skipf("inside: %s", out)
	}
}

func foreignArch() string { return "s390x" }

func outer(t *testing.T, dir string) {
	if err := kernelcases.MountBinfmt(usual); err != nil {
		t.Skip("no binfmt_misc of a user namespace (Linux 6.7): " + err.Error())
	}
	emulator, other, program := filepath.Join(dir, "emulator"), filepath.Join(dir, "other"), filepath.Join(dir, "program")
	for path, arch := range map[string]string{emulator: runtime.GOARCH, other: runtime.GOARCH, program: foreignArch()} {
		if err := os.WriteFile(path, append(testimage.Program(arch), path...), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	agree(t, "nothing registered", program, "")
	const magic = `\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16`
	kernelcases.Register(usual, ":foreign:M:0:"+magic+"::"+emulator+":F")
	agree(t, "flag F", program, emulator)
	content, err := os.ReadFile(emulator)
	if err != nil {
		t.Fatal(err)
	}
	// Replaced since by something that could not run.
	if err := os.Remove(emulator); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(emulator, []byte("#!/nowhere\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h := agree(t, "replaced", program, emulator)
	if h.Opened == nil || h.Opened.Size != int64(len(content)) {
		t.Errorf("replaced: what is held open is %+v, not the file of %d bytes", h.Opened, len(content))
	}
	// Another instance, mounted where nobody looks, takes the place of the
	// parent's, which is still to be seen: a namespace below this one.
	misc := filepath.Join(dir, "misc")
	if err := os.Mkdir(misc, 0o755); err != nil {
		t.Fatal(err)
	}
	isolated(t, dir, "TestBinfmtBelow")
}

// TestBinfmtBelow is the inner namespace of TestBinfmtInForce.
func TestBinfmtBelow(t *testing.T) {
	dir := os.Getenv(stageVar)
	if dir == "" {
		t.Skip("TestBinfmtInForce runs this, in a namespace of its own")
	}
	program := filepath.Join(dir, "program")
	agree(t, "no instance below", program, filepath.Join(dir, "emulator"))
	if err := kernelcases.MountBinfmt(filepath.Join(dir, "misc")); err != nil {
		t.Fatal(err)
	}
	if b := host.ReadBinfmt(usual); len(b.Handlers) != 1 {
		t.Fatalf("the parent's handler is not to be seen: %+v", b)
	}
	agree(t, "an empty instance in force, the parent's to be seen", program, "")
	const magic = `\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16`
	kernelcases.Register(filepath.Join(dir, "misc"), ":own:M:0:"+magic+"::"+filepath.Join(dir, "other")+":F")
	if err := execute(program); err != nil {
		t.Fatalf("the own handler does not take the program: %v", err)
	}
	// That of a file at its path cannot be told from one looked for in the
	// image: not known, and not the parent's.
	if h, ok := host.Local().Handler(foreignPlatform()); !ok || h.Unsure == "" || h.Interpreter == filepath.Join(dir, "emulator") {
		t.Errorf("own handler in force, the parent's to be seen: %+v, %v", h, ok)
	}
	if err := os.Remove(filepath.Join(dir, "other")); err != nil {
		t.Fatal(err)
	}
	agree(t, "own handler in force, its file held open", program, filepath.Join(dir, "other"))
}

func foreignPlatform() platform.Platform {
	return platform.Platform{OS: "linux", Architecture: foreignArch()}
}

// agree compares what execve does with the handler that the facts name, "" for none.
func agree(t *testing.T, when, program, want string) host.Handler {
	t.Helper()
	err := execute(program)
	if (want == "") != errors.Is(err, syscall.ENOEXEC) {
		t.Fatalf("%s: execve: %v", when, err)
	}
	h, ok := host.Local().Handler(foreignPlatform())
	if ok != (want != "") || h.Interpreter != want || h.Unsure != "" {
		t.Errorf("%s: handler %+v, %v; want %q", when, h, ok, want)
	}
	return h
}

func execute(program string) error {
	err := exec.Command(program).Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return nil // it started
	}
	if err != nil {
		return fmt.Errorf("starting it: %w", err)
	}
	return nil
}
