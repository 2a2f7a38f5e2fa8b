package faults

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// injection is one harm that strace(1) does to one call of a pull.
type injection struct {
	calls string // system calls, as strace lists them
	harm  string // error=ERRNO or signal=SIGNAL
	when  int    // the how manyth of a thread
	path  string // only calls that name this file of the store; "" means any
}

// callsAndHarms are the calls by which a pull changes a store, with the errors
// that their manual pages know. Not openat: what it fails is the library's
// opening of its own lock files, where it panics. Not ENOSPC of unlink, nor
// EROFS of a file that is open.
func callsAndHarms() map[string][]string {
	return map[string][]string{
		"rename,renameat,renameat2": {"signal=KILL", "error=ENOSPC", "error=EIO", "error=EROFS"},
		"fsync,fdatasync,syncfs":    {"signal=KILL", "error=ENOSPC", "error=EIO"},
		"mkdir,mkdirat":             {"signal=KILL", "error=ENOSPC", "error=EIO", "error=EROFS"},
		"unlink,unlinkat,rmdir":     {"signal=KILL", "error=EIO", "error=EROFS"},
		"write,pwrite64":            {"signal=KILL", "error=ENOSPC", "error=EIO"},
	}
}

// injections lists some calls of each kind, spread over those that a pull
// makes (the first half of them: the threads share them out anew each time),
// and the first replacements of each of the store's indexes.
func injections(made map[string]int, each int) []injection {
	var all []injection
	kinds := callsAndHarms()
	for _, calls := range slices.Sorted(maps.Keys(kinds)) {
		for i, harm := range kinds[calls] {
			for n := range each {
				// Other calls for each harm.
				when := 1 + (n*len(kinds[calls])+i)*made[calls]/(2*each*len(kinds[calls]))
				all = append(all, injection{calls: calls, harm: harm, when: when})
			}
		}
	}
	for _, index := range []string{"overlay-layers/layers.json", "overlay-images/images.json"} {
		for when := range 3 {
			all = append(all, injection{"rename,renameat,renameat2", "signal=KILL", when + 1, index})
		}
	}
	return all
}

// TestInjectedSystemCalls lets one system call end the program, or fail, at
// points that no clock would hit: between the steps of a rename, of a sync, of
// a new directory. strace(1) injects. The tag is the old or the new image, and
// the next pull heals what was left.
func TestInjectedSystemCalls(t *testing.T) {
	testenv.Need(t, "strace")
	x := &injecting{t: t, b: newBed(t), reg: newRegistry(t)}
	x.name = x.reg.Host + "/app:1"
	x.old = x.push(0)
	x.b.Must("pull", "--quiet", "--tls-verify=false", x.name)
	all := injections(x.count(), figure(t, 1, 2, 12))
	for n, in := range all {
		if x.try(in, uint64(n+2)); t.Failed() {
			t.Fatalf("after %s of the %d. call of %s %s", in.harm, in.when, in.calls, in.path)
		}
	}
	t.Logf("%d injections, %d hit a call, %d pulls failed, 0 tags lost", len(all), x.hit, x.failed)
	if x.hit < len(all)/3 {
		t.Errorf("only %d of %d injections hit a call", x.hit, len(all))
	}
}

type injecting struct {
	t           *testing.T
	b           *testbed.Bed
	reg         *testregistry.Registry
	name        string
	old         string // ID that holds the name
	hit, failed int
}

func (x *injecting) push(seed uint64) string {
	return push(x.t, x.reg, "app:1", testimage.Spec{Layers: 2, Files: 2, Seed: seed})
}

// strace runs a pull under strace and returns what that wrote.
func (x *injecting) strace(options ...string) (testbed.Result, string) {
	x.t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		x.t.Fatal(err)
	}
	log := filepath.Join(x.b.Dir, "strace.log")
	cmd := x.b.Command("pull", "--quiet", "--retry", "0", "--tls-verify=false", x.name)
	cmd.Path = path
	cmd.Args = slices.Concat([]string{"strace", "-f", "--seccomp-bpf", "-qq", "-o", log}, options, cmd.Args)
	p := x.b.StartCommand(cmd)
	select {
	case <-p.Ended():
	case <-time.After(20 * time.Second):
		x.t.Errorf("%v hangs", options)
		_ = unix.Kill(-p.Pid(), unix.SIGQUIT) // Go programs say where
	}
	r := p.Wait()
	p.Kill() // the children of a killed parent
	data, err := os.ReadFile(log)
	if err != nil {
		x.t.Fatal(err)
	}
	return r, string(data)
}

// count pulls once and returns how many calls of each kind the busiest thread
// made: strace counts by thread.
func (x *injecting) count() map[string]int {
	most := map[string]int{}
	seed := uint64(1)
	for calls := range callsAndHarms() {
		next := x.push(seed)
		r, log := x.strace("-e", "trace="+calls)
		if r.Code != 0 {
			x.t.Fatal(r)
		}
		x.b.Must("rmi", x.old)
		x.old, seed = next, seed+1_000_000
		threads := map[string]int{}
		for line := range strings.Lines(log) {
			thread, rest, _ := strings.Cut(line, " ")
			if !strings.Contains(rest, "resumed>") {
				threads[thread]++
			}
			most[calls] = max(most[calls], threads[thread])
		}
		if most[calls] == 0 {
			x.t.Fatalf("a pull makes no call of %s", calls)
		}
	}
	return most
}

func (x *injecting) try(in injection, seed uint64) {
	next := x.push(seed)
	options := []string{"-e", "trace=" + in.calls, "-e", fmt.Sprintf("inject=%s:%s:when=%d", in.calls, in.harm, in.when)}
	if in.path != "" {
		options = append(options, "-P", filepath.Join(x.b.Root, in.path))
	}
	r, log := x.strace(options...)
	if strings.Contains(log, "(INJECTED)") || r.Code == 128+9 {
		x.hit++
	}
	if r.Code != 0 {
		x.failed++
	}
	if strings.Contains(r.Stderr, "panic: ") {
		x.t.Error(r)
	}
	x.b.EmptyTemp() // a killed pull cannot do it
	v := sound(x.t, x.b, false)
	if v.Names[x.name] != x.old && v.Names[x.name] != next {
		x.t.Errorf("the tag is %q, neither old nor new\n%s", v.Names[x.name], r)
	}
	x.b.Must("pull", "--quiet", "--tls-verify=false", x.name)
	if v := sound(x.t, x.b, false); v.Names[x.name] != next || v.Half > 0 {
		x.t.Errorf("after the next pull the tag is %q, %d half images", v.Names[x.name], v.Half)
	}
	x.b.Must("rmi", x.old)
	x.old = next
}
