package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpull/mpull/integration/testenv"
)

// tell feeds events, each "action package test output", and returns the report.
func tell(t *testing.T, events ...event) (*report, string) {
	t.Helper()
	var in, out strings.Builder
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(data, '\n'))
	}
	r := newReport(&out, " -short")
	if err := r.read(bufio.NewReader(strings.NewReader(in.String())), io.Discard); err != nil {
		t.Fatal(err)
	}
	r.sum(time.Second)
	return r, out.String()
}

const pkg = module + "/engine"

func on(action, test, output string) event {
	return event{Action: action, Package: pkg, Test: test, Output: output}
}

func TestReport(t *testing.T) {
	_, out := tell(t,
		on("run", "TestA", ""), on("run", "TestA/it's", ""),
		on("output", "TestA/it's", "=== RUN   TestA/it's\n"), on("output", "TestA/it's", "    a_test.go:3: got 1, want 2\n"),
		on("fail", "TestA/it's", ""), on("fail", "TestA", ""),
		on("run", "TestB", ""), on("run", "TestB/one", ""), on("pass", "TestB/one", ""), on("pass", "TestB", ""),
		on("output", "TestC", "    c_test.go:9: podman is not installed\n"), on("output", "TestC", "--- SKIP: TestC (0.00s)\n"), on("skip", "TestC", ""),
		on("output", "TestD", "    script.go:5: told with overlay\n"), on("output", "TestD", "    testscript.go:609: WORK=$WORK\n"), on("skip", "TestD", ""),
		on("fail", "", ""),
	)
	for _, want := range []string{
		"got 1, want 2", `repeat it:  . ./.envrc; go test -count=1 -short -run '^TestA$/^it'\''s$' ./engine`,
		"podman is not installed\n      ./engine TestC\n", "told with overlay\n      ./engine TestD\n", "\n1 passed, 1 failed, 2 skipped in 1s\n", "FAIL  ./engine",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("without %q:\n%s", want, out)
		}
	}
	if strings.Count(out, "repeat it") != 1 {
		t.Errorf("one test failed, and more are shown:\n%s", out)
	}
}

// TestReportShowsOneScreen fails a test that prints much.
func TestReportShowsOneScreen(t *testing.T) {
	events := []event{on("run", "TestA", "")}
	for n := range 1000 {
		events = append(events, on("output", "TestA", fmt.Sprintf("line %d\n", n)))
	}
	_, out := tell(t, append(events, on("fail", "TestA", ""), on("fail", "", ""))...)
	if lines := strings.Count(out, "\n"); lines > screen+12 {
		t.Errorf("%d lines", lines)
	}
	for _, want := range []string{"line 0\n", "line 999\n", "964 lines more in " + logFile} {
		if !strings.Contains(out, want) {
			t.Errorf("without %q:\n%s", want, out)
		}
	}
}

// TestReportWithoutATest: what ends a package is shown with the tests it cut off.
func TestReportWithoutATest(t *testing.T) {
	r, out := tell(t,
		on("run", "TestA", ""), on("output", "TestA", "panic: test timed out after 1s\n"), on("fail", "", ""),
		event{Action: "build-output", ImportPath: module + "/gc [x.test]", Output: "gc/a.go:1: undefined: y\n"}, event{Action: "build-fail", ImportPath: module + "/gc [x.test]"},
		event{Action: "fail", Package: module + "/gc", FailedBuild: module + "/gc [x.test]"},
	)
	for _, want := range []string{"panic: test timed out", "./engine: the package failed", "gc/a.go:1: undefined: y", "./gc: does not build"} {
		if !strings.Contains(out, want) {
			t.Errorf("without %q:\n%s", want, out)
		}
	}
	if r.failed != 2 {
		t.Errorf("%d failed, not the package and the build", r.failed)
	}
}

// TestMore: what says that it ran some of its cases is what -more runs, once.
func TestMore(t *testing.T) {
	t.Chdir(t.TempDir())
	said := "    a_test.go:3: " + testenv.SomeCases + "\n"
	r, _ := tell(t, on("run", "TestA", ""), on("output", "TestA", said), on("run", "TestA/one", ""), on("output", "TestA/one", said), on("pass", "TestA/one", ""), on("pass", "TestA", ""),
		on("output", "TestB", "    b_test.go:3: all of them\n"), on("pass", "TestB", ""),
		event{Action: "output", Package: module + "/gc", Test: "TestC", Output: said})
	if err := r.leave(); err == nil {
		t.Error("no folder, and no error")
	}
	if err := os.Mkdir(".cache", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.leave(); err != nil {
		t.Fatal(err)
	}
	got, err := more([]string{"-count=1"})
	if want := []string{"-count=1", "-run", "^(TestA|TestC)$", "./engine", "./gc"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	r, _ = tell(t, on("pass", "TestB", ""))
	if err := r.leave(); err != nil {
		t.Fatal(err)
	}
	if got, err := more(nil); err == nil {
		t.Errorf("nothing was left out, and %q is run", got)
	}
}

// TestRun runs go test on packages of its own: the exit code is go's.
func TestRun(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("GOFLAGS", "")
	for name, text := range map[string]string{
		"go.mod":              "module example.test/m\n",
		"good/good_test.go":   "package good\nimport \"testing\"\nfunc TestGood(*testing.T) {}\n",
		"bad/bad_test.go":     "package bad\nimport \"testing\"\nfunc TestBad(t *testing.T) { t.Error(\"as said\") }\n",
		"ugly/ugly_test.go":   "package ugly\nfunc undefined() { nothing() }\n",
		"quits/quits_test.go": "package quits\nimport (\"os\"; \"testing\")\nfunc TestMain(*testing.M) { println(\"gone\"); os.Exit(3) }\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ folder, want, sum string }{
		{"good", "", "1 passed, 0 failed, 0 skipped"},
		{"bad", "as said", "0 passed, 1 failed, 0 skipped"},
		{"ugly", "undefined: nothing", "0 passed, 1 failed, 0 skipped"},
		{"quits", "gone", "0 passed, 1 failed, 0 skipped"},
	} {
		var out strings.Builder
		code, err := run([]string{"./" + tt.folder}, &out)
		if err != nil || (code == 0) != (tt.folder == "good") || !strings.Contains(out.String(), tt.want) || !strings.Contains(out.String(), tt.sum) {
			t.Errorf("%s: code %d, %v\n%s", tt.folder, code, err, &out)
		}
	}
}
