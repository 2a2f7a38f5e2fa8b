package faults

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mpull/mpull/integration/testimage"
)

// TestSignals ends pulls with signals at random moments. Each ends with the
// signal's exit code and leaves nothing: no half image, no download, no staging
// directory, no child, no mount, and the tag as it was or moved.
func TestSignals(t *testing.T) { eachDriver(t, signals) }

func signals(t *testing.T, driver string) {
	rounds := figure(t, 4, 50, 200)
	random := rand.New(rand.NewPCG(3, uint64(rounds)))
	b, reg := newBed(t), newRegistry(t)
	b.Driver = driver
	slow(reg, 2*time.Millisecond)
	name := reg.Host + "/app:latest"
	spec := testimage.Spec{Layers: 6, Files: 20}
	old := push(t, reg, "app:latest", spec)
	typical := b.Must("pull", "--tls-verify=false", name).Took
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}
	var slowest time.Duration
	ended, n := 0, 0
	for ; ended < rounds && n < 4*rounds; n++ {
		spec.Seed = uint64(n + 1)
		next := push(t, reg, "app:latest", spec)
		sig := signals[n%len(signals)]
		p := b.Start("pull", "--tls-verify=false", name)
		select {
		case <-p.Ended():
		case <-time.After(50*time.Millisecond + time.Duration(random.Float64()*float64(typical))):
		}
		begin := time.Now()
		p.Signal(sig)
		r := p.Wait()
		switch {
		case r.Code == 128+int(sig):
			ended++
			slowest = max(slowest, time.Since(begin))
		case r.Code != 0:
			t.Fatalf("%s: %s", sig, r)
		default:
			typical = min(typical, r.Took) * 2 / 3 // it was done before
		}
		v := sound(t, b, false)
		if v.Half > 0 || v.Names[name] != old && v.Names[name] != next {
			t.Fatalf("round %d, %s: %d half images, the tag is %q", n, sig, v.Half, v.Names[name])
		}
		old = v.Names[name]
		for _, pattern := range []string{"mpull-downloads/*", "overlay/tempdirs/*", "overlay-layers/tmp/*", "vfs-layers/tmp/*", "vfs/dir/staging/*", ".mpull-spool-*"} {
			if left, err := filepath.Glob(filepath.Join(b.Root, pattern)); err != nil || len(left) > 0 {
				t.Fatalf("round %d, %s: left: %v, %v", n, sig, left, err)
			}
		}
		if children := groupOf(t, p.Pid()); len(children) > 0 {
			t.Fatalf("round %d, %s: processes were left: %v", n, sig, children)
		}
		if n%cleanEvery == 0 {
			if err := b.PruneAll(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d of %d pulls were ended by a signal, the slowest took %s", ended, n, slowest.Round(time.Millisecond))
	if ended < rounds {
		t.Errorf("only %d of %d pulls were ended: the delays are too long", ended, n)
	}
}

// groupOf lists the processes of a process group.
func groupOf(t *testing.T, pgid int) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // gone
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 2 && fields[2] == strconv.Itoa(pgid) && fields[0] != "Z" {
			found = append(found, path)
		}
	}
	return found
}
