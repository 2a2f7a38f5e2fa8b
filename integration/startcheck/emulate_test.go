package startcheck

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/kernelcases"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

const emulator = "qemu-aarch64-static"

// ended is how an mpull run ended.
type ended struct {
	What   string
	Code   int
	Stderr string
}

// TestRunEmulates runs a program for arm64 with and without a handler.
func TestRunEmulates(t *testing.T) {
	testenv.Need(t, emulator, "runc")
	var got []ended
	work(t, "emulate", &got)
	want := []struct {
		what string
		code int
		says []string
	}{
		{"no handler", 126, []string{"would not start here: exec-format-error: ", "is a program for linux/arm64", "Hint: ", "register the emulator that is installed", emulator, "--force"}},
		{"no handler, forced", 126, []string{"starting it by force", "exec format error"}},
		{"handler without F", 127, []string{"would not start here: not-found: ", "register it with flag F"}},
		{"handler without F, forced", 127, []string{"starting it by force", "no such file or directory"}},
		{"handler switched off", 126, []string{"would not start here: exec-format-error: "}},
		{"handler with F", 42, nil},
		{"handler with F, by a script", 42, nil},
		{"handler with F, as a user", 42, nil},
	}
	if len(got) != len(want) {
		t.Fatalf("%d runs, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.What != w.what || g.Code != w.code || len(w.says) == 0 && g.Stderr != "" {
			t.Errorf("%s: exit code %d, want %d:\n%s", w.what, g.Code, w.code, g.Stderr)
		}
		for _, text := range w.says {
			if !strings.Contains(g.Stderr, text) {
				t.Errorf("%s: it does not say %q:\n%s", w.what, text, g.Stderr)
			}
		}
	}
}

// emulate runs the program in each host state, with the real emulator.
func emulate(w *worker) any {
	path, err := exec.LookPath(emulator)
	must(err)
	foreign := kernelcases.Case{Name: "arm64", Command: kernelcases.Command{Cmd: []string{"/bin/prog"}}, Build: func(t kernelcases.Tree) {
		t.File("bin/prog", testimage.ARM64Exit(), 0o755)
		t.Text("bin/script", "#!/bin/prog\n")
		t.Dir("proc", 0o755)
		t.Dir("dev", 0o755)
		t.Dir("sys", 0o755)
	}}
	name := w.pull([]kernelcases.Layered{{Case: foreign}})[0]
	var got []ended
	run := func(what string, args ...string) {
		code, _, stderr := w.mpull(append([]string{"run", "--runtime", "runc"}, args...)...)
		got = append(got, ended{what, code, stderr})
	}
	handler := ":" + emulator + ":M::" + kernelcases.Magic("arm64") + ":" + path + ":"
	run("no handler", name)
	run("no handler, forced", "--force", name)
	kernelcases.Register(w.misc, handler)
	run("handler without F", name)
	run("handler without F, forced", "--force", name)
	kernelcases.ClearHandlers(w.misc)
	kernelcases.Register(w.misc, handler+"F")
	kernelcases.Switch(w.misc, false)
	run("handler switched off", name)
	kernelcases.Switch(w.misc, true)
	run("handler with F", name)
	run("handler with F, by a script", name, "/bin/script")
	run("handler with F, as a user", "--user", "app", name)
	return got
}
