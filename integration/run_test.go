package integration

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
)

// onDrivers runs a test of run on a machine with team/try:1, for each driver.
func onDrivers(t *testing.T, test func(t *testing.T, m *machine)) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the programs of the test images are for amd64")
	}
	if why := testenv.NoRuntime(); why != "" {
		testenv.Missing(t, why)
	}
	for _, driver := range drivers(t) {
		t.Run(driver, func(t *testing.T) {
			m, _ := newMachine(t, driver)
			m.run("mine", "mpull", "-q", "team/try:1")
			test(t, m)
		})
	}
}

// running is mpull with a container whose program waits for a signal.
type running struct {
	*exec.Cmd
	out *bufio.Reader
}

func (m *machine) startWaiting(args ...string) *running {
	m.t.Helper()
	cmd := exec.Command(testenv.Binary(), append(append([]string{"run", "--entrypoint", "wait"}, args...), "team/try:1")...)
	cmd.Env, cmd.Dir, cmd.Stderr = m.env, m.dir, os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = cmd.Process.Signal(unix.SIGTERM) }) // for a test that fails in between
	r := &running{cmd, bufio.NewReader(pipe)}
	if line, err := r.out.ReadString('\n'); line != "ready\n" {
		_ = cmd.Process.Kill()
		m.t.Fatalf("the program printed %q, %v", line, err)
	}
	return r
}

// code waits for the end and returns the exit code.
func (r *running) code(t *testing.T) int {
	t.Helper()
	_, _ = io.Copy(io.Discard, r.out)
	err := r.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return r.ProcessState.ExitCode()
}

// fails runs mpull, which must end with code, and returns what it says.
func (m *machine) fails(code int, args ...string) string {
	m.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	if args[0] == "mpull" {
		cmd.Path = testenv.Binary()
		cmd.Err = nil
	}
	cmd.Env, cmd.Dir = m.env, m.dir
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		m.t.Errorf("%s ended with %d, want %d:\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

// left lists what runs left in the store.
func (m *machine) left() []string {
	m.t.Helper()
	mine, _ := rootsOf(m.dir)
	root := mine.Graph()
	var left []string
	for _, pattern := range []string{"mpull-runs/*", "*-containers/????????????*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			m.t.Fatal(err)
		}
		for _, f := range found {
			if st, err := os.Stat(f); err == nil && st.IsDir() {
				left = append(left, f)
			}
		}
	}
	mounts, err := testbed.Mounts(root)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, mount := range mounts {
		if filepath.Base(mount) == "merged" {
			left = append(left, mount)
		}
	}
	return left
}

// TestRunPassesSignalsOn sends signals to mpull that the program gets.
func TestRunPassesSignalsOn(t *testing.T) {
	onDrivers(t, func(t *testing.T, m *machine) {
		for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM} {
			r := m.startWaiting()
			if err := r.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if code := r.code(t); code != int(sig) {
				t.Errorf("after %v: exit code %d, want %d, with which the program ends", sig, code, int(sig))
			}
		}
		if left := m.left(); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// TestRunHoldsItsImage looks at a running container with other commands.
func TestRunHoldsItsImage(t *testing.T) {
	testenv.Need(t, "podman")
	onDrivers(t, func(t *testing.T, m *machine) {
		r := m.startWaiting()
		if out := m.fails(2, "mpull", "rmi", "team/try:1"); !strings.Contains(out, "used by container mpull-") {
			t.Errorf("rmi says: %s", out)
		}
		if out := m.run("mine", "mpull", "prune", "--all", "--force"); strings.TrimSpace(out) != "" {
			t.Errorf("prune removed %s", out)
		}
		if out := m.run("mine", "podman", "ps", "--all", "--external", "--format", "{{.Names}} {{.Image}}"); !strings.Contains(out, "mpull-") || !strings.Contains(out, "docker.io/team/try:1") {
			t.Errorf("podman sees: %s", out)
		}
		m.fails(2, "podman", "rmi", "docker.io/team/try:1")
		if err := r.Process.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := r.code(t); code != int(unix.SIGTERM) {
			t.Errorf("exit code %d", code)
		}
		if out := m.run("mine", "podman", "ps", "--all", "--external", "--quiet"); strings.TrimSpace(out) != "" {
			t.Errorf("podman still sees: %s", out)
		}
		m.run("mine", "mpull", "rmi", "team/try:1")
	})
}

// TestRunKilledLeavesNothing kills mpull while its container runs: the program
// dies with it, and the next command that makes or removes removes the
// container.
func TestRunKilledLeavesNothing(t *testing.T) {
	onDrivers(t, func(t *testing.T, m *machine) {
		other := m.startWaiting() // lives through all of it
		for _, next := range [][]string{{"run", "team/try:1"}, {"rmi", "team/nocmd:1"}, {"prune", "--force"}} {
			for _, user := range []string{"root", "user"} {
				m.run("mine", "mpull", "-q", "team/nocmd:1")
				before := m.left()
				r := m.startWaiting("--user", user)
				if err := r.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				// The program held the pipe: its end is the end of the file. A
				// program that lives on is ended by the sweep, and is missed below.
				hung := time.AfterFunc(time.Minute, func() { _ = m.command("mine", "mpull", "prune", "--force").Run() })
				if code := r.code(t); code != -1 {
					t.Errorf("a killed mpull ended with %d", code)
				}
				hung.Stop()
				if during := m.left(); len(during) <= len(before) {
					t.Fatalf("a killed run has no container: %v", during)
				}
				code := 0
				if next[0] == "run" {
					code = 3
				}
				said := m.fails(code, append([]string{"mpull"}, next...)...)
				if after := m.left(); !slices.Equal(after, before) {
					t.Errorf("%v as %s left %v, before %v, and said %s", next, user, after, before, said)
				}
			}
		}
		if err := other.Process.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := other.code(t); code != int(unix.SIGTERM) {
			t.Errorf("the container of a living mpull ended with %d", code)
		}
		if left := m.left(); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// TestRunGivesATerminal runs the program on a pseudo terminal.
func TestRunGivesATerminal(t *testing.T) {
	onDrivers(t, func(t *testing.T, m *machine) {
		for _, c := range []struct {
			args  []string
			typed string // once the program is ready
			code  int
		}{
			{[]string{"-t", "--entrypoint", "tty", "team/try:1"}, "", 0},
			{[]string{"-t", "-i", "--entrypoint", "ask", "team/try:1"}, "typed\r", 6}, // the carriage return becomes a newline
			{[]string{"-i", "--entrypoint", "ask", "team/try:1"}, "typed\r", 6},
			{[]string{"--entrypoint", "wait", "team/try:1"}, "\x03", int(unix.SIGINT)},
			{[]string{"-i", "--entrypoint", "wait", "team/try:1"}, "\x03", int(unix.SIGINT)},
		} {
			out, code := m.onTerminal(c.args, c.typed)
			if code != c.code {
				t.Errorf("run %v ended with %d, want %d, and printed %q", c.args, code, c.code, out)
			}
		}
	})
}

// onTerminal runs mpull run with a pseudo terminal as its three files. It
// fails the test when that has not ended after a minute.
func (m *machine) onTerminal(args []string, typed string) (string, int) {
	m.t.Helper()
	master, slave := openTerminal(m.t)
	defer master.Close()
	cmd := exec.Command(testenv.Binary(), append([]string{"run"}, args...)...)
	cmd.Env, cmd.Dir = m.env, m.dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	slave.Close()
	hung := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Signal(unix.SIGTERM) })
	defer hung.Stop()
	var out bytes.Buffer
	for buf := make([]byte, 4096); ; {
		n, err := master.Read(buf)
		out.Write(buf[:n])
		if typed != "" && bytes.Contains(out.Bytes(), []byte("ready")) {
			if _, err := io.WriteString(master, typed); err != nil {
				m.t.Fatal(err)
			}
			typed = ""
		}
		if err != nil {
			break // EIO: nobody holds the other side any more
		}
	}
	_ = cmd.Wait()
	return out.String(), cmd.ProcessState.ExitCode()
}

func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		testenv.Missing(t, "there are no pseudo terminals: "+err.Error())
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(filepath.Join("/dev/pts", strconv.Itoa(n)), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}
