package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/registry"
)

// full is a standard output that takes no more.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, unix.ENOSPC }

// TestLostOutputIsAFailure holds that a command whose data did not arrive ends
// with 125 and says so, whatever else it had to answer.
func TestLostOutputIsAFailure(t *testing.T) {
	var errs bytes.Buffer
	s := &streams{in: strings.NewReader(""), rawOut: &sink{w: full{}}, err: escaper{&errs}, rawErr: &errs, secrets: &registry.Secrets{}}
	s.out = escaper{s.rawOut}
	if code := run(t.Context(), []string{"mpull", "version"}, s); code != exitFailed || errs.String() != "Error: writing to standard output: no space left on device\n" {
		t.Errorf("%d %q", code, &errs)
	}
	other := errors.New("other")
	for _, tt := range []struct{ err, want error }{{nil, unix.ENOSPC}, {&codeError{exitNo}, unix.ENOSPC}, {other, other}} {
		if got := s.outcome(tt.err); !errors.Is(got, tt.want) {
			t.Errorf("%v becomes %v", tt.err, got)
		}
	}
	s.rawOut.(*sink).w = io.Discard
	if _, err := s.rawOut.Write([]byte("more")); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("behind what was lost something else is printed: %v", err)
	}
	if got := (&streams{rawOut: io.Discard}).outcome(other); !errors.Is(got, other) {
		t.Error(got)
	}
}

// TestSecretsAreStruck holds that what a user typed as a password is in nothing
// that is printed, however it comes back.
func TestSecretsAreStruck(t *testing.T) {
	var out bytes.Buffer
	secrets := &registry.Secrets{}
	secrets.Learn("hunter2hunter2")
	if _, err := (striker{&out, secrets}).Write([]byte("registry says: hunter2hunter2")); err != nil || strings.Contains(out.String(), "hunter2") {
		t.Errorf("%v %q", err, &out)
	}
}

// TestCrashIsAnError holds that a fault of mpull's own is one line and 125.
func TestCrashIsAnError(t *testing.T) {
	err := guarded(func() error { panic("oh") })
	if exitCode(err) != exitFailed || err.Error() != "mpull failed by a fault of its own: oh" {
		t.Error(err)
	}
}
