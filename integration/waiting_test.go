package integration

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testenv"
)

// TestWaitingForALock holds each kind of lock of a store: mpull's own, the
// directory's and the library's. A command that waits says for whom, and ends
// by a signal.
func TestWaitingForALock(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		testenv.Missing(t, "python3, which takes the locks, is not installed")
	}
	m, _ := newMachine(t, "vfs")
	m.run("mine", "mpull", "-q", "team/many:1")
	root := filepath.Dir(filepath.Dir(strings.TrimSpace(m.run("mine", "sh", "-c", "find "+m.dir+" -name layers.lock -path '*vfs-layers*'"))))
	const script = "import fcntl,os,sys; f=os.open(sys.argv[1],os.O_RDONLY if os.path.isdir(sys.argv[1]) else os.O_RDWR); getattr(fcntl,sys.argv[2])(f,fcntl.LOCK_EX); print('held',flush=True); sys.stdin.read()"
	for _, c := range []struct{ file, kind, command string }{
		{"mpull.lock", "flock", "rmi team/many:1"},
		{"mpull-gate.lock", "flock", "pull -q team/try:1"},
		{"mpull-names.lock", "flock", "pull -q team/try:1"},
		{"vfs-layers/layers.lock", "lockf", "rmi team/many:1"},
		{"vfs-images/images.lock", "lockf", "images"},
		{"storage.lock", "lockf", "rmi team/many:1"},
	} {
		t.Run(c.file, func(t *testing.T) {
			holder := exec.Command("python3", "-c", script, filepath.Join(root, c.file), c.kind)
			in, err := holder.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := holder.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := holder.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = in.Close(); _ = holder.Wait() }()
			if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
				t.Fatalf("%q %v", line, err)
			}
			cmd := m.command("mine", append([]string{"mpull"}, strings.Fields(c.command)...)...)
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(stderr)
			said, err := lines.ReadString('\n')
			if err != nil || !strings.Contains(said, "process "+strconv.Itoa(holder.Process.Pid)+" (python3)") || !strings.Contains(said, c.file) {
				t.Errorf("it says %q (%v)", said, err)
			}
			if err := cmd.Process.Signal(unix.SIGINT); err != nil {
				t.Fatal(err)
			}
			said, _ = lines.ReadString('\n')
			_ = cmd.Wait()
			if cmd.ProcessState.ExitCode() != 130 || !strings.Contains(said, "SIGINT") {
				t.Errorf("%v: %s", cmd.ProcessState, said)
			}
		})
	}
}
