package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// cleanEvery is after how many rounds the images of those before are removed:
// the oracle reads every layer that is there.
const cleanEvery = 8

// killRounds says what the killed programs did, for the figures.
type killRounds struct {
	killed, unreferenced, half int
}

// TestKill kills mpull and its children at random moments of pulls that move a
// tag, of tagging and of prunes. After each kill the store is judged, the tag
// is the old or the new image, and the same command succeeds.
func TestKill(t *testing.T) { eachDriver(t, kill) }

func kill(t *testing.T, driver string) {
	kills := figure(t, 5, 50, 500)
	random := rand.New(rand.NewPCG(7, uint64(kills)))
	b, reg := newBed(t), newRegistry(t)
	b.Driver = driver
	slow(reg, 2*time.Millisecond)
	name := reg.Host + "/app:latest"
	spec := testimage.Spec{Layers: 6, Files: 20}
	k := &killing{t: t, b: b, name: name, random: random}
	k.current = push(t, reg, "app:latest", spec)
	pull := b.Must("pull", "--tls-verify=false", name).Took
	k.within = map[string]time.Duration{"pull": pull, "prune": pull / 2, "tag": pull / 4}
	begin := time.Now()
	var sum killRounds
	rounds := 0
	for ; sum.killed < kills && rounds < 4*kills; rounds++ {
		n := rounds
		if n%cleanEvery == 0 {
			if err := b.PruneAll(t.Context()); err != nil {
				t.Error(err)
			}
		}
		switch n % 5 {
		case 4:
			k.command(&sum, "prune", "--force")
		case 3:
			k.command(&sum, "tag", k.current, "localhost/other:latest")
		default:
			spec.Seed = uint64(n + 1)
			k.moved(&sum, push(t, reg, "app:latest", spec))
		}
		if t.Failed() {
			t.Fatalf("after round %d", n)
		}
	}
	if err := b.PruneAll(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("%d rounds in %s: %d killed; right after: %d rounds with unreferenced layers, %d half images; at the end 0",
		rounds, time.Since(begin).Round(time.Second), sum.killed, sum.unreferenced, sum.half)
	if sum.killed < kills {
		t.Errorf("only %d of %d rounds killed anything: the delays are too long", sum.killed, rounds)
	}
}

type killing struct {
	t       *testing.T
	b       *testbed.Bed
	name    string
	current string                   // ID that holds the name
	within  map[string]time.Duration // in which a command is killed; less after each that ended before
	random  *rand.Rand
}

// moved kills a pull that moves the tag to the image next, then lets it finish.
func (k *killing) moved(sum *killRounds, next string) {
	k.kill(sum, "pull", "--tls-verify=false", k.name)
	if v := k.judge(sum); v.Names[k.name] != k.current && v.Names[k.name] != next {
		k.t.Errorf("broken promise: the tag is %q, neither the old %.12s nor the new %.12s", v.Names[k.name], k.current, next)
	}
	k.b.Must("pull", "--tls-verify=false", k.name)
	k.current = next
	v := sound(k.t, k.b, false)
	if v.Names[k.name] != next || v.Half != 0 {
		k.t.Errorf("broken promise: after the second pull the tag is %q, %d half images", v.Names[k.name], v.Half)
	}
}

// command kills another command, then lets it finish.
func (k *killing) command(sum *killRounds, args ...string) {
	k.kill(sum, args...)
	if v := k.judge(sum); v.Names[k.name] != k.current {
		k.t.Errorf("broken promise: %s lost the tag: it is %q", args[0], v.Names[k.name])
	}
	k.b.Must(args...)
}

func (k *killing) kill(sum *killRounds, args ...string) {
	p := k.b.Start(args...)
	delay := time.Duration(k.random.Float64() * float64(k.within[args[0]]))
	select {
	case <-p.Ended():
	case <-time.After(delay):
		p.Kill()
	}
	if r := p.Wait(); r.Code == 128+9 {
		sum.killed++
	} else {
		k.within[args[0]] = k.within[args[0]] * 2 / 3
	}
}

func (k *killing) judge(sum *killRounds) *testbed.Verdict {
	v := sound(k.t, k.b, false)
	if v.Unreferenced > 0 {
		sum.unreferenced++
	}
	sum.half += v.Half
	return v
}

// slow makes a registry deliver 64 KiB at a time with pauses in between, so
// that a kill finds a pull in each of its phases.
func slow(reg *testregistry.Registry, pause time.Duration) {
	reg.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			next.ServeHTTP(slowWriter{w, req, pause}, req)
		})
	})
}

type slowWriter struct {
	http.ResponseWriter
	req   *http.Request
	pause time.Duration
}

func (w slowWriter) Write(p []byte) (int, error) {
	done := 0
	for len(p) > 0 {
		part := p[:min(len(p), 64<<10)]
		select {
		case <-w.req.Context().Done():
			return done, fmt.Errorf("the client is gone: %w", w.req.Context().Err())
		case <-time.After(w.pause):
		}
		n, err := w.ResponseWriter.Write(part)
		done += n
		if err != nil {
			return done, err
		}
		p = p[len(part):]
	}
	return done, nil
}
