package container

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/store/query"
)

// Files in a run's directory.
const (
	runtimeFile  = "runtime" // path of the runtime that was started last
	runtimeState = "state"   // the runtime's own state
	runtimeLog   = "runtime.log"
	runtimePid   = "pid" // written by the runtime once the container is made
)

// RuntimeError says that no OCI runtime made the container.
type RuntimeError struct {
	Tried []string // one line for each runtime: its path, and what it said
}

func (e *RuntimeError) Error() string {
	if len(e.Tried) == 0 {
		return "there is no OCI runtime here: install runc or crun"
	}
	return "no OCI runtime could make the container: tried " + strings.Join(e.Tried, "; ")
}

// FindRuntimes returns the paths of the runtimes to try, in order: the one
// that the user named, else runc and crun where they are.
func FindRuntimes(named string) ([]string, error) {
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return nil, fmt.Errorf("looking for the runtime %s: %w", named, err)
		}
		path, err = filepath.Abs(path)
		return []string{path}, err
	}
	var found []string
	for _, name := range []string{"runc", "crun"} {
		for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin") {
			path := filepath.Join(dir, name)
			if filepath.IsAbs(path) && unix.Access(path, unix.X_OK) == nil {
				found = append(found, path)
				break
			}
		}
	}
	return found, nil
}

// Options say how a program is started. The zero value starts it without input,
// network or terminal.
type Options struct {
	TTY         bool // give the program a terminal; one of the three files must be one
	ReadOnly    bool // the root filesystem cannot be written to, but for /tmp, /run and /var/tmp
	HostNetwork bool // use the host's network instead of none

	// Foreground keeps the runtime in this process group, because it reads
	// from the terminal: what is typed to interrupt then reaches it by itself.
	Foreground            bool
	Stdin, Stdout, Stderr *os.File // nil is /dev/null
	// Signals is called when the program is about to be started; what the
	// channel brings is passed to the program. Nil means nothing is.
	Signals func() <-chan os.Signal
}

// Container is a container about to be started.
type Container struct {
	Dir, ID string // its own folder, which runtimes start it from
	Root    string // where its root filesystem is mounted
	Options *Options
	// Confined says that all processes of the container die with this one: this
	// program calls Init when it is started by the name InitName.
	Confined bool
	// SELinux labels of its processes and of its mounts, "" without SELinux.
	ProcessLabel, MountLabel string

	signals <-chan os.Signal
}

// Start runs a command in the container with the first of the runtimes that can
// make it, and returns the exit code: the program's, or 128 and the signal that
// ended it.
func (c *Container) Start(ctx context.Context, command preflight.Command, runtimes []string) (int, error) {
	spec, err := c.spec(command)
	if err != nil {
		return 0, err
	}
	config, err := json.Marshal(spec)
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "config.json"), config, 0o600); err != nil {
		return 0, fmt.Errorf("writing the runtime's configuration: %w", err)
	}
	if c.Options.Signals != nil {
		c.signals = c.Options.Signals()
	}
	failed := &RuntimeError{}
	for _, path := range runtimes {
		code, made, err := c.try(ctx, path)
		if err != nil || made {
			return code, err
		}
		failed.Tried = append(failed.Tried, path+" ("+c.lastWords(code)+")")
	}
	return 0, failed
}

// try runs one runtime. made is false when it did not get as far as the
// program: only then may another one be tried.
func (c *Container) try(ctx context.Context, path string) (code int, made bool, err error) {
	if ctx.Err() != nil {
		return 0, false, context.Cause(ctx)
	}
	for _, old := range []string{runtimePid, runtimeLog} {
		if err := os.Remove(filepath.Join(c.Dir, old)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, false, err
		}
	}
	if err := os.WriteFile(filepath.Join(c.Dir, runtimeFile), []byte(path), 0o600); err != nil {
		return 0, false, err
	}
	// The kernel sends a child's death signal when the thread that made it
	// ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(path, append( //nolint:noctx // signals are passed on to it; it is not killed with the context
		runtimeFlags(path, c.Dir),
		"--log", filepath.Join(c.Dir, runtimeLog), "--log-format", "json",
		"run", "--bundle", c.Dir, "--pid-file", filepath.Join(c.Dir, runtimePid), c.ID)...)
	// A nil *os.File in an interface would not be taken for nothing.
	if c.Options.Stdin != nil {
		cmd.Stdin = c.Options.Stdin
	}
	cmd.Stdout, cmd.Stderr = c.Options.Stdout, c.Options.Stderr
	// In a process group of its own the runtime does not get what is typed to
	// interrupt: it reaches mpull alone, which passes it on once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: !c.Options.Foreground}
	if c.Confined {
		c.namespaced(cmd)
	}
	if err := cmd.Start(); err != nil {
		return 0, false, fmt.Errorf("starting the runtime %s: %w", path, err)
	}
	stop, done := make(chan struct{}), make(chan os.Signal, 1)
	go func() { done <- c.steer(ctx, cmd.Process, path, stop) }()
	err = cmd.Wait()
	close(stop)
	ended := <-done
	if ctx.Err() != nil {
		return 0, true, context.Cause(ctx)
	}
	if n, ok := ended.(syscall.Signal); ok {
		return 128 + int(n), true, nil
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, true, fmt.Errorf("waiting for the runtime %s: %w", path, err)
	}
	_, gone := os.Stat(filepath.Join(c.Dir, runtimePid))
	return statusCode(cmd.ProcessState), gone == nil, nil
}

// steer passes signals to the runtime, which passes them to the program, and
// ends the container when ctx ends. It returns the signal that ended the
// container in the program's stead.
func (c *Container) steer(ctx context.Context, p *os.Process, path string, stop <-chan struct{}) (ended os.Signal) {
	for {
		select {
		case <-stop:
			return nil
		case s := <-c.signals:
			if n, ok := s.(syscall.Signal); ok && deadly(p.Pid, n) {
				c.end(ctx, p, path)
				return s
			}
			_ = p.Signal(s) // it may have ended meanwhile
		case <-ctx.Done():
			c.end(ctx, p, path)
			return nil
		}
	}
}

// deleteTime is how long a runtime has to remove what it knows of a container.
const deleteTime = 10 * time.Second

// end kills all of a container.
func (c *Container) end(ctx context.Context, p *os.Process, path string) {
	if c.Confined {
		_ = p.Kill() // and all of its namespace
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTime)
	defer cancel()
	_ = deleteContainer(ctx, path, c.Dir, c.ID)
	_ = p.Kill()
}

// statusCode is the shell's convention for how a process ended.
func statusCode(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}

// runtimeFlags are a runtime's flags that come before its command. A container
// without limits needs no control group of its own; crun can do without.
func runtimeFlags(path, dir string) []string {
	flags := []string{"--root", filepath.Join(dir, runtimeState)}
	if strings.HasPrefix(filepath.Base(path), "crun") {
		flags = append(flags, "--cgroup-manager=disabled")
	}
	return flags
}

// logEntry is a line of a runtime's log.
type logEntry struct {
	Msg string `json:"msg"`
}

// lastWords is the last thing that a runtime wrote to its log.
func (c *Container) lastWords(code int) string {
	data, err := os.ReadFile(filepath.Join(c.Dir, runtimeLog))
	if err == nil {
		lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		var entry logEntry
		if json.Unmarshal(lines[len(lines)-1], &entry) == nil && entry.Msg != "" {
			return entry.Msg
		}
	}
	return fmt.Sprintf("exit code %d", code)
}

// StopDead ends what still runs in a container whose mpull is dead.
func StopDead(ctx context.Context, dir, id string) error {
	state := filepath.Join(dir, runtimeState, id)
	if _, err := os.Stat(state); errors.Is(err, fs.ErrNotExist) {
		return nil // it was not started, or ended in time
	}
	path, err := os.ReadFile(filepath.Join(dir, runtimeFile))
	if err == nil {
		err = deleteContainer(ctx, string(path), dir, id)
	}
	if err != nil {
		return fmt.Errorf("stopping the abandoned container %s: %w", query.ShortID(id), err)
	}
	return nil
}

// deleteContainer kills a container and forgets the runtime's state of it.
func deleteContainer(ctx context.Context, path, dir, id string) error {
	cmd := exec.CommandContext(ctx, path, append(runtimeFlags(path, dir), "delete", "--force", id)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s delete: %w: %s", path, err, bytes.TrimSpace(out))
	}
	return nil
}
