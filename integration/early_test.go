package integration

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEarly shows that what is answered before Go starts is what the commands
// themselves would have said, that it really is before, and that otherwise
// package early comes before what is slow.
func TestEarly(t *testing.T) {
	if os.Getenv("GOCOVERDIR") != "" {
		t.Skip("instrumented code has other dependencies")
	}
	for _, args := range [][]string{{"version"}, {"--help"}, {"-h"}, {"help"}} {
		early, inits := runTraced(t, args)
		late, all := runTraced(t, append([]string{"--log-level", "warn"}, args...))
		if !bytes.Equal(early, late) {
			t.Errorf("mpull %v answers\n%s\nbut the command itself\n%s\nrun make generate", args, early, late)
		}
		if len(inits) > 0 {
			t.Errorf("mpull %v initialized %v before it answered", args, inits)
		}
		at := slices.IndexFunc(all, func(pkg string) bool { return strings.HasSuffix(pkg, "/early") })
		// regexp is what the slow ones need: none of them may have run.
		if at < 0 || strings.Contains(strings.Join(all[:at], " "), "/reference") || 4*at > len(all) {
			t.Errorf("package early is number %d of %d: %v", at, len(all), all)
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
