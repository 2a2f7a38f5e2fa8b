package preflight

import (
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/kernelcases"
)

// TestKernel compares every prediction with what execve did.
func TestKernel(t *testing.T) {
	w := runWorker(t)
	if got, want := w.Order["read"], w.Order["want"]; got != want {
		t.Errorf("handlers were read in the order %q, registered last to first %q", got, want)
	}
	if w.Overlay != "" {
		t.Errorf("layers differ from the mounted overlay:\n%s", w.Overlay)
	}
	for name, want := range map[string][]Verdict{
		"none":           {ExecFormatError, ExecFormatError, Native, ExecFormatError, ExecFormatError, Native},
		"held":           {Emulated, Emulated, Native, Unknown, Unknown, Native},
		"held, and here": {Unknown, Unknown, Native, Unknown, Unknown, Native},
		"in the image":   {Unknown, Unknown, Native, Unknown, Unknown, Native},
		"here":           {Unknown, Unknown, Native, Unknown, Unknown, Native},
	} {
		if got := w.Hidden[name]; !slices.Equal(got, want) {
			t.Errorf("hidden handlers, %s: %v, want %v", name, got, want)
		}
	}
	for _, st := range kernelcases.States() {
		right, chance := 0, 0
		for _, a := range w.States[st.Name] {
			if string(a.Got.Verdict) == a.Want && a.Got.ExitCode == a.WantCode {
				right++
				continue
			}
			if a.Got.Verdict == Unknown && strings.Contains(a.Got.Reason, "depends on chance") {
				chance++ // where the kernel puts a file at random, one execve proves nothing
				continue
			}
			t.Errorf("%s: %s: kernel %+v means %s %d, predicted %s %d: %s",
				st.Name, a.Name, a.Kernel, a.Want, a.WantCode, a.Got.Verdict, a.Got.ExitCode, a.Got.Reason)
		}
		t.Logf("handlers %s: %d cases right / %d, %d left to chance", st.Name, right, len(w.States[st.Name]), chance)
		if n := len(w.States[st.Name]); n < 800 || chance > n/200 {
			t.Errorf("%s: %d cases, %d left to chance: the matrix does not test what it should", st.Name, n, chance)
		}
	}
}
