// Command testrun runs go test and says what came of it: one line for each
// package, each failed test in one screen with the command that repeats just
// it, and at the end how many tests passed, failed and were skipped and why.
//
//	go run ./contrib/testrun [flags and packages of go test]
//	go run ./contrib/testrun -more [flags of go test]
//
// The second form runs the tests that ran only some of their cases in the run
// before, as they say with testenv.Short: those that -short does not run whole.
//
// It exits with go test's code. All that the tests print goes to
// .cache/tests.log too.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	logFile  = ".cache/tests.log"
	moreFile = ".cache/tests.more" // a line for each test that has more cases: package and name
)

func main() {
	code, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		code = 1
	}
	os.Exit(code)
}

func run(args []string, out io.Writer) (code int, err error) {
	begin := time.Now()
	if len(args) > 0 && args[0] == "-more" {
		if args, err = more(args[1:]); err != nil {
			return 0, err
		}
	}
	if err := os.MkdirAll(filepath.Dir(logFile), 0o755); err != nil {
		return 0, err
	}
	log, err := os.Create(logFile)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	r := newReport(out, repeatable(args))
	if err := r.read(bufio.NewReader(pipe), log); err != nil {
		return 0, err
	}
	err = cmd.Wait()
	if err := r.leave(); err != nil {
		return 0, err
	}
	r.sum(time.Since(begin))
	if err != nil && cmd.ProcessState == nil {
		return 0, err
	}
	code = cmd.ProcessState.ExitCode()
	if code == 0 && r.failed > 0 {
		code = 1
	}
	return code, nil
}

// more adds to flags the packages and tests that the last run left cases of.
func more(flags []string) ([]string, error) {
	data, err := os.ReadFile(moreFile)
	if err != nil || len(data) == 0 {
		return nil, fmt.Errorf("no run before this one left cases out: make test does")
	}
	var packages, tests []string
	for line := range strings.Lines(string(data)) {
		pkg, test, _ := strings.Cut(strings.TrimSpace(line), " ")
		packages, tests = append(packages, pkg), append(tests, quoteMeta(test))
	}
	slices.Sort(packages)
	return slices.Concat(flags, []string{"-run", "^(" + strings.Join(tests, "|") + ")$"}, slices.Compact(packages)), nil
}

// repeatable are the flags that belong to the command which repeats a test.
func repeatable(args []string) string {
	for _, a := range args {
		if a == "-short" {
			return " -short"
		}
	}
	return ""
}

// repeat is the command line that runs just one test of a package, "" for all.
// The build tags are in .envrc.
func repeat(pkg, test, flags string) string {
	pattern := ""
	if test != "" {
		var parts []string
		for part := range strings.SplitSeq(test, "/") {
			parts = append(parts, "^"+quoteMeta(part)+"$")
		}
		pattern = " -run '" + strings.ReplaceAll(strings.Join(parts, "/"), "'", `'\''`) + "'"
	}
	return ". ./.envrc; go test -count=1" + flags + pattern + " " + folder(pkg)
}
