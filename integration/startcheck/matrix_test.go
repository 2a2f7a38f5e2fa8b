package startcheck

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.podman.io/storage"
	"go.podman.io/storage/types"
	"golang.org/x/sync/errgroup"

	"github.com/mpull/mpull/integration/kernelcases"
)

// answer is what both sides say of a case.
type answer struct {
	State, Name string
	Kernel      kernelcases.Seen
	Want        string
	WantCode    int
	Verdict     string
	ExitCode    int // in the document
	Ended       int // how mpull ended
	Reason      string

	image string
	args  []string
}

// TestCheckEqualsExecve compares mpull check, through the built binary and
// images in a store, with execve in a chroot of the mounted images.
func TestCheckEqualsExecve(t *testing.T) {
	var answers []answer
	work(t, "matrix", &answers)
	right, all := map[string]int{}, map[string]int{}
	for _, a := range answers {
		all[a.State]++
		if a.Verdict == a.Want && a.ExitCode == a.WantCode && a.Ended == a.WantCode {
			right[a.State]++
			continue
		}
		t.Errorf("handlers %s: %s: the kernel's %+v means %s %d; mpull check says %s %d, ended with %d: %s",
			a.State, a.Name, a.Kernel, a.Want, a.WantCode, a.Verdict, a.ExitCode, a.Ended, a.Reason)
	}
	for _, s := range []string{"none", "with F", "without F"} {
		t.Logf("handlers %s: %d cases right / %d", s, right[s], all[s])
		if all[s] < 120 {
			t.Errorf("handlers %s: only %d cases: the matrix does not test what it should", s, all[s])
		}
	}
}

// matrix asks mpull and the kernel about each case in three host states.
func matrix(w *worker) any {
	cases := chosen()
	names := w.pull(cases)
	mounts := w.mounts(names)
	var answers []answer
	plain := map[string]string{}
	for _, st := range kernelcases.States()[:3] {
		kernelcases.ClearHandlers(w.misc)
		st.Register(w.misc, filepath.Join(w.dir, "emulators"))
		var asked []answer
		for i, c := range cases {
			if names[i] == "" {
				continue
			}
			kernel, err := kernelcases.Ask(c.Attempt(mounts[i]))
			must(err)
			kernel.Exe = strings.TrimPrefix(kernel.Exe, mounts[i])
			if st.Name == "none" {
				plain[names[i]] = kernel.Exe
			}
			a := answer{State: st.Name, Name: c.Name, Kernel: kernel, image: names[i], args: c.Args}
			a.Want, a.WantCode = kernel.Want(kernel.Exe != plain[names[i]], c.Deep())
			asked = append(asked, a)
		}
		var all errgroup.Group
		all.SetLimit(runtime.NumCPU())
		for i := range asked {
			all.Go(func() error { asked[i].ask(w); return nil })
		}
		must(all.Wait())
		answers = append(answers, asked...)
	}
	return answers
}

// chosen are all cases about layers, and every tenth of those that package
// preflight compares without an image.
func chosen() []kernelcases.Layered {
	cases := kernelcases.Stacks()
	for i, c := range kernelcases.All() {
		if i%10 == 0 {
			cases = append(cases, kernelcases.Layered{Case: c})
		}
	}
	return cases
}

// ask asks mpull.
func (a *answer) ask(w *worker) {
	code, stdout, stderr := w.mpull(append([]string{"check", "--format", "json", a.image}, a.args...)...)
	var r struct {
		Verdict  string `json:"verdict"`
		ExitCode int    `json:"exitCode"`
		Reason   string `json:"reason"`
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		r.Reason = fmt.Sprint(err, stdout, stderr)
	}
	a.Verdict, a.ExitCode, a.Reason, a.Ended = r.Verdict, r.ExitCode, r.Reason, code
}

// mounts mounts the images with the library and returns where.
func (w *worker) mounts(names []string) []string {
	lib, err := storage.GetStore(types.StoreOptions{GraphRoot: w.root(), RunRoot: filepath.Join(w.dir, "run"), GraphDriverName: "overlay"})
	must(err)
	mounts := make([]string, len(names))
	for i, n := range names {
		if n == "" {
			continue
		}
		img, err := lib.Image(n)
		must(err)
		mounts[i], err = lib.MountImage(img.ID, nil, "")
		must(err)
		if _, err := os.Stat(filepath.Join(mounts[i], "etc")); err != nil {
			panic(fmt.Sprintf("%s is not mounted: %v", n, err))
		}
	}
	return mounts
}
