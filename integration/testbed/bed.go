package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/store"
)

// NeedRoot ends a test that an ordinary user cannot run.
func NeedRoot(t testing.TB) {
	t.Helper()
	testenv.Root(t)
}

// Bed is one throw-away store and how to run mpull on it.
type Bed struct {
	Binary  string
	Dir     string // of everything below, and for what a test adds
	Root    string // graph root
	RunRoot string
	Temp    string // TMPDIR of the programs: empty when nothing leaked
	Driver  string
	Env     []string // added to the environment

	t testing.TB
}

// New makes a bed in a temporary directory of the test.
func New(t testing.TB, binary string) *Bed {
	t.Helper()
	NeedRoot(t)
	// Not t.TempDir: a mount in it must be undone before it can be removed.
	dir, err := os.MkdirTemp("", "b")
	if err != nil {
		t.Fatal(err)
	}
	b := &Bed{
		Binary: binary, Dir: dir, Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"),
		Temp: filepath.Join(dir, "tmp"), Driver: "overlay", t: t,
	}
	// In memory: the store syncs often, and what a power failure leaves is
	// another test's question.
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4g,mode=700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Unmount()
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Mkdir(b.Temp, 0o700); err != nil {
		t.Fatal(err)
	}
	b.Write("policy.json", `{"default":[{"type":"insecureAcceptAnything"}]}`)
	b.Write("registries.conf", "")
	b.Write("auth.json", "{}")
	return b
}

// Write makes a file in the bed's directory and returns its path.
func (b *Bed) Write(name, text string) string {
	b.t.Helper()
	path := filepath.Join(b.Dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// Options opens the bed's store in this process.
func (b *Bed) Options() store.Options {
	return store.Options{Root: b.Root, RunRoot: b.RunRoot, Driver: b.Driver}
}

// Result is how a program ended.
type Result struct {
	Code   int // 128+n when signal n killed it
	Stdout string
	Stderr string
	Took   time.Duration
}

func (r Result) String() string {
	return fmt.Sprintf("exit code %d after %s\nstdout: %s\nstderr: %s", r.Code, r.Took.Round(time.Millisecond), r.Stdout, r.Stderr)
}

// Command prepares mpull on this store, in a process group of its own.
func (b *Bed) Command(args ...string) *exec.Cmd {
	global := []string{
		"--root", b.Root, "--runroot", b.RunRoot, "--storage-driver", b.Driver,
		"--registries-conf", filepath.Join(b.Dir, "registries.conf"), "--policy-file", filepath.Join(b.Dir, "policy.json"),
	}
	return b.program(b.Binary, append(global, args...)...)
}

func (b *Bed) program(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(),
		"TMPDIR="+b.Temp, "HOME="+b.Dir, "XDG_RUNTIME_DIR="+b.Dir, "REGISTRY_AUTH_FILE="+filepath.Join(b.Dir, "auth.json"))
	cmd.Env = append(cmd.Env, b.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// Mpull runs a command line to its end. One that hangs is killed after two
// minutes and fails the test.
func (b *Bed) Mpull(args ...string) Result {
	b.t.Helper()
	return b.Start(args...).Wait()
}

// Must is Mpull for a command that has to succeed.
func (b *Bed) Must(args ...string) Result {
	b.t.Helper()
	r := b.Mpull(args...)
	if r.Code != 0 {
		b.t.Fatalf("mpull %s: %s", strings.Join(args, " "), r)
	}
	return r
}

// Tool runs podman, buildah or skopeo on this store.
func (b *Bed) Tool(name string, args ...string) Result {
	b.t.Helper()
	testenv.Need(b.t, name)
	all := append([]string{"--root", b.Root, "--runroot", b.RunRoot, "--storage-driver", b.Driver}, args...)
	if name == "skopeo" {
		all = args
	}
	return b.start(b.program(name, all...)).Wait()
}

// Process is a running program.
type Process struct {
	b      *Bed
	cmd    *exec.Cmd
	out    bytes.Buffer
	err    bytes.Buffer
	begin  time.Time
	ended  chan struct{}
	result error
}

// Start begins a command line.
func (b *Bed) Start(args ...string) *Process {
	b.t.Helper()
	return b.start(b.Command(args...))
}

// StartCommand begins a command made by Command, changed by the caller.
func (b *Bed) StartCommand(cmd *exec.Cmd) *Process { return b.start(cmd) }

func (b *Bed) start(cmd *exec.Cmd) *Process {
	b.t.Helper()
	p := &Process{b: b, cmd: cmd, begin: time.Now(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.err
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.result = cmd.Wait()
	}()
	return p
}

// Signal sends a signal to the program, not to its children.
func (p *Process) Signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// Kill kills the program and all its children at once.
func (p *Process) Kill() { _ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL) }

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Until waits for what the program brings about elsewhere, and fails the test
// where it ends without, or hangs: nobody would ever say so then.
func (p *Process) Until(event <-chan struct{}) {
	p.b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-event:
		return
	case <-ctx.Done():
		p.Kill()
		<-p.ended
	case <-p.ended:
	}
	select {
	case <-event: // just before the end
	default:
		p.b.t.Fatalf("%v ended too soon, or was killed after %s: %s", p.cmd.Args, patience, p.Wait())
	}
}

// Pid returns the program's process ID, which is its process group's too.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// patience is how long a program may take.
const patience = 2 * time.Minute

// Wait waits for the end of the program.
func (p *Process) Wait() Result {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.Kill()
		<-p.ended
		p.b.t.Errorf("%v hangs; killed", p.cmd.Args)
	}
	r := Result{Stdout: p.out.String(), Stderr: p.err.String(), Took: time.Since(p.begin)}
	var exit *exec.ExitError
	if errors.As(p.result, &exit) {
		r.Code = exit.ExitCode()
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
			r.Code = 128 + int(status.Signal())
		}
	} else if p.result != nil {
		p.b.t.Fatal(p.result)
	}
	return r
}
