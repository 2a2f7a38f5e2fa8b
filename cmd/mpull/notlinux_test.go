package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
)

// TestOtherSystems holds all files of the program to Linux but the one that says
// so: a build elsewhere then ends with that line alone.
func TestOtherSystems(t *testing.T) {
	for _, system := range []string{"darwin", "windows"} {
		cmd := exec.Command("go", "list", "-e", "-f", "{{.GoFiles}}", ".")
		cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if files := strings.TrimSpace(string(out)); err != nil || files != "[notlinux.go]" {
			t.Errorf("on %s: %v, built from %s", system, err, files)
		}
	}
}

// TestMakeSaysWhyNot builds where mpull is not for, and where there is no compiler,
// as under sudo: make says so in one line.
func TestMakeSaysWhyNot(t *testing.T) {
	testenv.Need(t, "make", "go")
	for _, c := range []struct{ target, variable, says string }{
		{"build", "GOOS=darwin", "mpull is for Linux"},
		{"build", "GO=no-such-go", "there is no no-such-go in PATH"},
		{"install", "GO=no-such-go", "as the user who has it"},
	} {
		cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-C", "../..", c.target, "BIN="+t.TempDir()+"/mpull", "DESTDIR="+t.TempDir())
		cmd.Env = append(os.Environ(), c.variable, "MAKEFLAGS=")
		if name, value, _ := strings.Cut(c.variable, "="); name == "GO" {
			cmd.Args = append(cmd.Args, "GO="+value)
		}
		out, err := cmd.CombinedOutput()
		if err == nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), c.says) {
			t.Errorf("make %s %s: %v: %s", c.target, c.variable, err, out)
		}
	}
}
