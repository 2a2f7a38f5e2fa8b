package startcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.podman.io/storage/pkg/reexec"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/kernelcases"
	"github.com/mpull/mpull/integration/testenv"
)

// Variables of the environment of a worker, which is this program in
// namespaces of its own.
const (
	workVar = "STARTCHECK_WORK" // what it does: a key of works
	dirVar  = "STARTCHECK_DIR"  // an empty directory
)

// works are what workers do, and what they return for their test, as JSON.
func works() map[string]func(*worker) any {
	return map[string]func(*worker) any{"matrix": matrix, "emulate": emulate}
}

func TestMain(m *testing.M) {
	kernelcases.Main()
	if reexec.Init() {
		return // a child that the storage library starts
	}
	if work := os.Getenv(workVar); work != "" {
		runtime.LockOSThread() // it traces
		os.Exit(workerMain(work))
	}
	testenv.MainWithBinary(m)
}

// workerMain does the work on a tmpfs, with an empty binfmt_misc where
// programs look for it.
func workerMain(work string) (code int) {
	defer func() {
		if e := recover(); e != nil {
			stack := make([]byte, 8192)
			fmt.Fprintf(os.Stderr, "%v\n%s\n", e, stack[:runtime.Stack(stack, false)])
			code = 1
		}
	}()
	w := &worker{misc: "/proc/sys/fs/binfmt_misc", dir: os.Getenv(dirVar), binary: testenv.Binary()}
	if err := kernelcases.MountBinfmt(w.misc); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return noNamespace
	}
	must(unix.Mount("tmpfs", w.dir, "tmpfs", 0, "mode=755"))
	w.configure()
	must(json.NewEncoder(os.Stdout).Encode(works()[work](w)))
	return 0
}

// noNamespace is the exit code of a worker that may not have what it needs.
const noNamespace = 77

// work runs a worker to its end and reads what it returns.
func work(t *testing.T, name string, result any) {
	t.Helper()
	testenv.Root(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("the programs of these images are for amd64")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), workVar+"="+name, dirVar+"="+t.TempDir())
	kernelcases.Isolate(cmd)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch exit := (*exec.ExitError)(nil); {
	case err != nil && (!errors.As(err, &exit) || exit.ExitCode() == noNamespace):
		testenv.Missing(t, fmt.Sprintf("binfmt_misc in a user namespace needs Linux 6.7 and the right to make one: %v %s", err, &stderr))
	case err != nil:
		t.Fatalf("the worker: %v\n%s", err, &stderr)
	}
	if err := json.Unmarshal(stdout.Bytes(), result); err != nil {
		t.Fatalf("the worker's result: %v\n%s", err, &stdout)
	}
}

// worker is a machine of its own as far as these tests see it.
type worker struct {
	dir, misc, binary string
}

// configure writes the files that mpull reads.
func (w *worker) configure() {
	for name, text := range map[string]string{"policy.json": `{"default":[{"type":"insecureAcceptAnything"}]}`, "registries.conf": "", "storage.conf": "[storage]\n"} {
		must(os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600))
	}
}

func (w *worker) root() string { return filepath.Join(w.dir, "root") }

// mpull runs the built binary and returns exit code, stdout and stderr.
func (w *worker) mpull(args ...string) (code int, stdout, stderr string) {
	global := []string{"--root", w.root(), "--runroot", filepath.Join(w.dir, "run"), "--storage-driver", "overlay",
		"--registries-conf", filepath.Join(w.dir, "registries.conf"), "--policy-file", filepath.Join(w.dir, "policy.json")}
	cmd := exec.Command(w.binary, append(global, args...)...)
	cmd.Env = append(os.Environ(), "CONTAINERS_STORAGE_CONF="+filepath.Join(w.dir, "storage.conf"), "HOME="+w.dir)
	var out, err strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &err
	if e := cmd.Run(); cmd.ProcessState == nil {
		panic(e)
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
