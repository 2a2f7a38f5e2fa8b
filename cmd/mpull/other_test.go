package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestOtherSystems holds all files of the program to Linux but the one that says
// so: a build elsewhere then ends with that line alone.
func TestOtherSystems(t *testing.T) {
	for _, system := range []string{"darwin", "windows"} {
		cmd := exec.Command("go", "list", "-e", "-f", "{{.GoFiles}}", ".")
		cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if files := strings.TrimSpace(string(out)); err != nil || files != "[other.go]" {
			t.Errorf("on %s: %v, built from %s", system, err, files)
		}
	}
}
