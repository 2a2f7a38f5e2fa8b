package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testbed"
)

// TestEarly shows that what is answered before Go starts is what the commands
// themselves would have said, and that it really is before.
func TestEarly(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--help"}, {"-h"}, {"help"}} {
		early, inits := runTraced(t, args)
		late, all := runTraced(t, append([]string{"--log-level", "warn"}, args...))
		if !bytes.Equal(early, late) {
			t.Errorf("mpull %v answers\n%s\nbut the command itself\n%s\nrun make generate", args, early, late)
		}
		if len(inits) > 0 {
			t.Errorf("mpull %v initialized %v before it answered", args, inits)
		}
		if len(all) == 0 {
			t.Errorf("mpull --log-level warn %v initialized no package: no trace of it was read", args)
		}
	}
}

// runTraced runs mpull; it returns what it printed and which packages it initialized.
func runTraced(t *testing.T, args []string) (out []byte, inits []string) {
	t.Helper()
	cmd := exec.Command(os.Getenv(binaryVar), args...)
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	cmd.Stderr = &trace
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("mpull %v: %v\n%s", args, err, trace.Bytes())
	}
	for _, m := range regexp.MustCompile(`(?m)^init (\S+) @`).FindAllStringSubmatch(trace.String(), -1) {
		inits = append(inits, m[1])
	}
	return out, inits
}

// TestEarlyAnswerThatCannotBeWritten shows that it ends as any command does.
func TestEarlyAnswerThatCannotBeWritten(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	cmd := exec.Command(os.Getenv(binaryVar), "version")
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = full, &stderr
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 125 || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("ended with %v: %s", err, stderr.String())
	}
}

// TestEarlyMemory shows what a command asks the kernel for as it starts: the
// memory of variables and of the runtime's records at once, and huge pages for
// two pieces of the heap.
func TestEarlyMemory(t *testing.T) {
	testbed.Need(t, "strace")
	log := filepath.Join(t.TempDir(), "strace.log")
	if out, err := exec.Command("strace", "-f", "-o", log, "-e", "trace=mmap,madvise", os.Getenv(binaryVar), "--log-level", "warn", "version").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	calls, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		call     string
		min, max int
	}{
		{`madvise\(0x[0-9a-f]+, \d{6,}, MADV_POPULATE_WRITE\)`, 1, 1},
		{`mmap\(NULL, 262144, PROT_READ\|PROT_WRITE, MAP_PRIVATE\|MAP_ANONYMOUS\|MAP_POPULATE, -1, 0\) = 0x`, 1, 10},
		{`madvise\(0x[0-9a-f]+00000, 4194304, MADV_HUGEPAGE\)`, 1, 2},
	} {
		if n := len(regexp.MustCompile(want.call).FindAll(calls, -1)); n < want.min || n > want.max {
			t.Errorf("%d calls like %s, want %d to %d, in\n%s", n, want.call, want.min, want.max, calls)
		}
	}
}
