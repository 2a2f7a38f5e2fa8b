package registry

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A question that was answered ends no helper of the next one, whose helper may
// start at the very moment at which the first one's context ends.
func TestAnsweredQuestionEndsNoHelper(t *testing.T) {
	script := filepath.Join(t.TempDir(), "docker-credential-next")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nread line\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		stop := EndHelpers(ctx, time.Hour)
		next := exec.Command("/bin/sh", script)
		stdin, err := next.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := next.Start(); err != nil {
			t.Fatal(err)
		}
		stop()
		cancel()
		if _, err := stdin.Write([]byte("x\n")); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		if err := next.Wait(); err != nil {
			t.Fatalf("question %d: the next helper: %v", i, err)
		}
	}
}
