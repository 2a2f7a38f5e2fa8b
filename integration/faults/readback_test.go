package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mpull/mpull/integration/testbed"
)

// TestSignalWhileReadingBack ends doctor and save while they read a layer of the
// store back. They end with the signal, and save leaves nothing.
func TestSignalWhileReadingBack(t *testing.T) {
	b, reg := newBed(t), newRegistry(t)
	pushLayers(t, reg, "app:1", tarOf(t, file("big", make([]byte, 64<<20))))
	name := reg.Host + "/app:1"
	b.Must("pull", "--quiet", "--tls-verify=false", name)
	archive := filepath.Join(b.Dir, "x.tar")
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		for _, args := range [][]string{{"doctor"}, {"save", "-q", "-o", archive, name}} {
			p := frozenAt(t, b, "/big", args...)
			p.Signal(sig)
			p.Signal(syscall.SIGCONT)
			if r := p.Wait(); r.Code != 128+int(sig) {
				t.Errorf("%s after %v: %s", args[0], sig, r)
			}
			if left, err := filepath.Glob(filepath.Join(b.Dir, "*x.tar*")); err != nil || len(left) > 0 {
				t.Errorf("%s left %v, %v", args[0], left, err)
			}
		}
	}
	sound(t, b, true)
}

// frozenAt starts mpull and stops it while it has a file open whose path ends
// with suffix.
func frozenAt(t *testing.T, b *testbed.Bed, suffix string, args ...string) *testbed.Process {
	t.Helper()
	for range 20 {
		p := b.Start(args...)
		for opened := false; !opened; {
			select {
			case <-p.Ended():
			default:
				if opened = reads(p.Pid(), suffix); !opened {
					continue
				}
				p.Signal(syscall.SIGSTOP)
				if reads(p.Pid(), suffix) {
					return p
				}
				p.Signal(syscall.SIGCONT) // it was through already
			}
			break
		}
		p.Wait()
		_ = os.Remove(filepath.Join(b.Dir, "x.tar"))
	}
	t.Fatalf("%v was never seen with %s", args, suffix)
	return nil
}

func reads(pid int, suffix string) bool {
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	for _, fd := range fds {
		if path, err := os.Readlink(fd); err == nil && strings.HasSuffix(path, suffix) {
			return true
		}
	}
	return false
}
