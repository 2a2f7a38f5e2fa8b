package preflight

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
)

// TestKernelFacts compares what is read of binfmt_misc and of layers with what
// the kernel does.
func TestKernelFacts(t *testing.T) {
	t.Parallel()
	w := runWorker(t, "facts", "")
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
}

// TestKernel compares every prediction with what execve did. A case is a
// subtest when it fails, or when -run names it.
func TestKernel(t *testing.T) {
	only := chosen()
	testenv.Short(t) // says that jobs leaves cases out
	for _, j := range jobs()[1:] {
		t.Run(slug(j.name), func(t *testing.T) {
			t.Parallel()
			compare(t, runWorker(t, j.name, only).Answers, only != "")
		})
	}
}

// chosen is the part of -run that names cases, "" for all.
func chosen() string {
	parts := strings.SplitN(flag.Lookup("test.run").Value.String(), "/", 3)
	if len(parts) < 3 {
		return ""
	}
	return parts[2]
}

// compare compares the answers of a job. named says that the cases were asked
// for by name.
func compare(t *testing.T, answers []answer, named bool) {
	const shown = 10
	right, chance, wrong := 0, 0, 0
	for _, a := range answers {
		// A random ELOOP may be about links or about interpreters.
		deep := a.Deep || strings.HasPrefix(a.Name, "random ") && strings.Contains(a.Got.Reason, "interpreters in a row")
		want, code := a.Kernel.Want(a.Differs, deep)
		left := a.Got.Verdict == Unknown && strings.Contains(a.Got.Reason, "depends on chance")
		ok := string(a.Got.Verdict) == want && a.Got.ExitCode == code || left && a.Chance || // then one execve proves nothing
			a.Got.Verdict == Unknown && strings.Contains(a.Got.Reason, "set-user-ID") && strings.HasPrefix(a.Name, "set ID") // nor is it that of a container
		switch {
		case left && ok:
			chance++
		case ok:
			right++
		default:
			wrong++
		}
		if !named && (ok || wrong > shown) {
			continue
		}
		t.Run(slug(a.Name), func(t *testing.T) {
			if !ok {
				t.Errorf("%s\nexpected %s %d (the kernel: %+v)\ngot %s %d: %s\nrepeat it: go test ./engine/preflight -count=1 -run '^%s$'", a.Name,
					want, code, a.Kernel, a.Got.Verdict, a.Got.ExitCode, a.Got.Reason, strings.ReplaceAll(t.Name(), "/", "$/^"))
			}
		})
	}
	if wrong > shown {
		t.Errorf("%d cases more are wrong", wrong-shown)
	}
	t.Logf("%d cases right / %d, %d left to chance", right, len(answers), chance)
	if n := len(answers); !named && (n < 500 || chance > n/10) {
		t.Errorf("%d cases, %d left to chance: the matrix does not test what it should", n, chance)
	}
}
