package faults

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testimage"
)

// TestInjectedSystemCalls lets the nth call of a kind end the program, or fail,
// at points that no clock would hit: between the steps of a rename, of a sync,
// of a new directory. strace(1) injects.
func TestInjectedSystemCalls(t *testing.T) {
	testbed.Need(t, "strace")
	calls := []string{"rename,renameat,renameat2", "fsync,fdatasync,syncfs", "mkdir,mkdirat", "unlink,unlinkat", "openat", "write,pwrite64"}
	harms := []string{"signal=KILL", "error=ENOSPC", "error=EIO", "error=EROFS", "error=EMFILE"}
	runs := figure(6, 30, 600)
	b, reg := newBed(t), newRegistry(t)
	name := reg.Host + "/app:1"
	old := push(t, reg, "app:1", testimage.Spec{Layers: 2, Files: 2})
	b.Must("pull", "--quiet", "--tls-verify=false", name)
	failed := 0
	for n := range runs {
		next := push(t, reg, "app:1", testimage.Spec{Layers: 2, Files: 2, Seed: uint64(n + 1)})
		harm, call := harms[n%len(harms)], calls[n/len(harms)%len(calls)]
		if call == "openat" {
			// The library panics when it cannot open its own lock files.
			harm = "signal=KILL"
		}
		when := 1 + n*7%40
		cmd := b.Command("pull", "--quiet", "--retry", "0", "--tls-verify=false", name)
		strace, err := exec.LookPath("strace")
		if err != nil {
			t.Fatal(err)
		}
		inject := fmt.Sprintf("inject=%s:%s:when=%d", call, harm, when)
		cmd.Path = strace
		cmd.Args = append([]string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", inject}, cmd.Args...)
		p := b.StartCommand(cmd)
		r := p.Wait()
		p.Kill() // the children of a killed parent
		if r.Code != 0 {
			failed++
		}
		if strings.Contains(r.Stderr, "panic: ") {
			t.Errorf("%s: %s", inject, r)
		}
		b.EmptyTemp()
		v := sound(t, b, false)
		if v.Names[name] != old && v.Names[name] != next {
			t.Errorf("%s: the tag is %q, neither old nor new\n%s", inject, v.Names[name], r)
		}
		b.Must("pull", "--quiet", "--tls-verify=false", name)
		if v := sound(t, b, false); v.Names[name] != next || v.Half > 0 {
			t.Errorf("%s: after the next pull the tag is %q, %d half images", inject, v.Names[name], v.Half)
		}
		old = next
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d injections, %d pulls failed, 0 tags lost", runs, failed)
}
