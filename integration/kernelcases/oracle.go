package kernelcases

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// childVar of the environment makes this program a child that calls execve.
const childVar = "MPULL_KERNEL_CHILD"

// Main must be the first call of a TestMain: Ask starts the test program again
// as the child that calls execve, which Main then is.
func Main() {
	if os.Getenv(childVar) != "" {
		runtime.LockOSThread()
		childMain()
	}
}

// An Attempt is what a child is told to do: what a runtime does, from chroot to execve.
type Attempt struct {
	Root   string
	Dir    string
	UID    int
	GID    int
	Groups []int
	Argv   []string
	Env    []string
	Path   string
}

// told is what a child reports before it ends; a child that executes the
// command reports nothing.
type told struct {
	Step  string
	Errno int
}

// childMain does what a runtime does, then executes. It never returns.
func childMain() {
	var a Attempt
	report := func(step string, err error) {
		var errno syscall.Errno
		errors.As(err, &errno)
		data, _ := json.Marshal(told{step, int(errno)})
		_, _ = syscall.Write(3, data)
		os.Exit(1)
	}
	syscall.CloseOnExec(3)
	if unix.Gettid() != os.Getpid() {
		report("thread", syscall.EAGAIN)
	}
	if err := json.NewDecoder(os.Stdin).Decode(&a); err != nil {
		report("spec", syscall.EINVAL)
	}
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{"chroot", func() error { return syscall.Chroot(a.Root) }},
		{"chdir", func() error {
			if err := syscall.Chdir("/"); err != nil {
				return err
			}
			err := syscall.Chdir(a.Dir)
			if !errors.Is(err, syscall.ENOENT) {
				return err
			}
			if err := os.MkdirAll("/"+a.Dir, 0o755); err != nil { // as runc
				return err
			}
			return syscall.Chdir(a.Dir)
		}},
		{"setgroups", func() error { return syscall.Setgroups(a.Groups) }},
		{"setgid", func() error { return syscall.Setgid(a.GID) }},
		{"setuid", func() error { return syscall.Setuid(a.UID) }},
	} {
		if err := s.do(); err != nil {
			report(s.name, err)
		}
	}
	name, err := lookPath(a.Argv[0], a.Path)
	if err != nil {
		report("path", err)
	}
	report("execve", syscall.Exec(name, a.Argv, a.Env))
}

// lookPath is the search of a runtime, asking the kernel.
func lookPath(name, list string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	if name == "" || name == "." || name == ".." {
		return "", syscall.ENOENT
	}
	for _, dir := range filepath.SplitList(list) {
		if dir == "" {
			dir = "."
		}
		p := path.Join(dir, name)
		if dir == "." {
			p = "./" + name
		}
		st, err := os.Stat(p)
		if err == nil && !st.IsDir() && unix.Faccessat(unix.AT_FDCWD, p, unix.X_OK, unix.AT_EACCESS) == nil {
			return p, nil
		}
	}
	return "", syscall.ENOENT
}

// Seen is what the kernel did.
type Seen struct {
	Step  string `json:",omitempty"` // that failed
	Errno int    `json:",omitempty"`
	Exe   string `json:",omitempty"` // program that the kernel loaded, for a success
	Sig   int    `json:",omitempty"` // signal that ended the child before it executed
}

// Ask runs one child under ptrace. The exec event shows the program loaded,
// before its first instruction; it is killed there. The caller's goroutine
// must be locked to its thread.
//
// ELOOP is asked for again: when anybody mounts or renames something at that
// moment, the kernel walks a path a second time and does not forget the links
// that it counted in the first (total_link_count of fs/namei.c). A path of more
// than 20 links then fails though 40 are allowed.
func Ask(a Attempt) (s Seen, err error) {
	for range 6 {
		if s, err = ask(a); s.Errno != int(syscall.ELOOP) {
			break
		}
	}
	return s, err
}

func ask(a Attempt) (Seen, error) {
	if a.Dir == "/" && strings.Contains(a.Argv[0], "/") {
		return askDirect(a)
	}
	for range 20 {
		s, err := askOnce(a)
		if err != nil || s.Step != "thread" {
			return s, err
		}
	}
	return Seen{}, errors.New("the child never ran on its main thread")
}

// askDirect leaves the steps to the syscall package, which takes them in the
// same order except for chdir, and starts no second copy of this program.
func askDirect(a Attempt) (Seen, error) {
	c := syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}
	for _, g := range a.Groups {
		c.Groups = append(c.Groups, uint32(g))
	}
	pid, err := syscall.ForkExec(a.Argv[0], a.Argv, &syscall.ProcAttr{
		Dir: "/", Env: a.Env, Files: []uintptr{0},
		Sys: &syscall.SysProcAttr{Chroot: a.Root, Credential: &c, Ptrace: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		var errno syscall.Errno
		errors.As(err, &errno)
		return Seen{Step: "execve", Errno: int(errno)}, nil
	}
	var ws syscall.WaitStatus
	if _, err := wait(pid, &ws); err != nil {
		return Seen{}, err
	}
	if ws.Stopped() && ws.StopSignal() == syscall.SIGTRAP {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		_ = syscall.Kill(pid, syscall.SIGKILL)
		_, _ = wait(pid, &ws)
		return Seen{Exe: exe}, err
	}
	for ws.Stopped() {
		if err := syscall.PtraceCont(pid, int(ws.StopSignal())); err != nil {
			return Seen{}, err
		}
		if _, err := wait(pid, &ws); err != nil {
			return Seen{}, err
		}
	}
	return Seen{Sig: int(ws.Signal())}, nil
}

func askOnce(a Attempt) (Seen, error) {
	spec, err := json.Marshal(a)
	if err != nil {
		return Seen{}, err
	}
	in, err := memfd(spec)
	if err != nil {
		return Seen{}, err
	}
	defer in.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return Seen{}, err
	}
	defer r.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{childVar + "=1", "GOMAXPROCS=1", "GOGC=off"}
	cmd.Stdin, cmd.ExtraFiles = in, []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return Seen{}, errors.Join(err, w.Close())
	}
	_ = w.Close()
	s, err := trace(cmd.Process.Pid)
	_ = cmd.Process.Release()
	if err != nil || s.Exe != "" || s.Sig != 0 {
		return s, err
	}
	var t told
	data, err := io.ReadAll(r)
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	return Seen{Step: t.Step, Errno: t.Errno}, err
}

func memfd(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("spec", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "spec")
	if _, err := f.Write(data); err != nil {
		return nil, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}

// trace follows a child from its own start to the end, or to the program it
// executes.
func trace(pid int) (Seen, error) {
	var ws syscall.WaitStatus
	if _, err := wait(pid, &ws); err != nil {
		return Seen{}, err
	}
	if err := syscall.PtraceSetOptions(pid, unix.PTRACE_O_TRACEEXEC|unix.PTRACE_O_EXITKILL); err != nil {
		return Seen{}, fmt.Errorf("ptrace options: %w", err)
	}
	sig := 0
	for {
		if err := syscall.PtraceCont(pid, sig); err != nil {
			return Seen{}, fmt.Errorf("ptrace continue: %w", err)
		}
		if _, err := wait(pid, &ws); err != nil {
			return Seen{}, err
		}
		switch {
		case ws.Exited():
			return Seen{}, nil
		case ws.Signaled():
			return Seen{Sig: int(ws.Signal())}, nil
		case ws.StopSignal() == syscall.SIGTRAP && ws.TrapCause() == unix.PTRACE_EVENT_EXEC:
			exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
			_ = syscall.Kill(pid, syscall.SIGKILL)
			_, _ = wait(pid, &ws)
			return Seen{Exe: exe}, err
		}
		sig = int(ws.StopSignal())
	}
}

func wait(pid int, ws *syscall.WaitStatus) (int, error) {
	for {
		n, err := syscall.Wait4(pid, ws, 0, nil)
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
