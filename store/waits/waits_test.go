package waits

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFind(t *testing.T) {
	open := map[string]string{"00:01:5": "/five", "00:01:6": "/six"}
	for _, c := range []struct{ list, want string }{
		{"", ""},
		{"1: POSIX  ADVISORY  WRITE 70 00:01:5 0 EOF\n1: -> POSIX  ADVISORY  WRITE 7 00:01:5 0 EOF\n", "70 /five"},
		{"1: POSIX  ADVISORY  WRITE 70 00:01:9 0 EOF\n1: -> POSIX  ADVISORY  READ 8 00:01:9 0 EOF\n1: -> POSIX  ADVISORY  READ 7 00:01:9 0 EOF\n", "70 "},
		{"1: POSIX  ADVISORY  WRITE 70 00:01:5 0 EOF\n1: -> POSIX  ADVISORY  WRITE 8 00:01:5 0 EOF\n", ""},
		{"1: POSIX  ADVISORY  WRITE 7 00:01:5 0 EOF\n1: -> POSIX  ADVISORY  WRITE 7 00:01:5 0 EOF\n", ""},
		{"1: FLOCK  ADVISORY  WRITE 70 00:01:6 0 EOF\n", "70 /six"},
		{"1: FLOCK  ADVISORY  READ 70 00:01:6 0 EOF\n2: FLOCK  ADVISORY  READ 7 00:01:6 0 EOF\n", ""},
		{"1: FLOCK  ADVISORY  WRITE 70 00:01:7 0 EOF\n", ""},
		{"1: POSIX  ADVISORY  WRITE 70 00:01:6 0 EOF\n", ""},
		{"nonsense\n1: FLOCK\n", ""},
	} {
		h, path, ok := find([]byte(c.list), 7, open)
		got := ""
		if ok {
			got = fmt.Sprintf("%d %s", h.pid, path)
		}
		if got != c.want {
			t.Errorf("of %q: %q, want %q", c.list, got, c.want)
		}
	}
}

// holder starts a process that holds a lock, of flock(2) or fcntl(2).
func holder(t *testing.T, path, kind string) *exec.Cmd {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3, which takes the locks, is not installed")
	}
	const script = "import fcntl,sys; f=open(sys.argv[1],'r+'); getattr(fcntl,sys.argv[2])(f,fcntl.LOCK_EX); print('held',flush=True); sys.stdin.read()"
	cmd := exec.Command(python, "-c", script, path, kind)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("%q %v", line, err)
	}
	return cmd
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-late:
			t.Fatal("it did not come to that")
		case <-tick.C:
		}
	}
}

func TestOfThis(t *testing.T) {
	for _, kind := range []string{"flock", "lockf"} {
		t.Run(kind, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "the.lock")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if l, ok := OfThis(); ok {
				t.Fatalf("%v, and nobody waits", l)
			}
			cmd := holder(t, path, kind)
			if kind == "lockf" {
				got := make(chan error, 1)
				go func() {
					got <- unix.FcntlFlock(f.Fd(), unix.F_SETLKW, &unix.Flock_t{Type: unix.F_WRLCK})
				}()
				defer func() { _ = cmd.Process.Kill(); t.Log(<-got) }()
			}
			until(t, func() bool { _, ok := OfThis(); return ok })
			l, _ := OfThis()
			if l.Path != path || l.PID != cmd.Process.Pid || !strings.HasPrefix(l.Command, "python3") || l.Stopped {
				t.Errorf("%+v", l)
			}
			if err := cmd.Process.Signal(unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			until(t, func() bool { l, _ := OfThis(); return l.Stopped })
			if text := fmt.Sprint(OfThis()); !strings.Contains(text, "kill -CONT") {
				t.Error(text)
			}
		})
	}
}
