package faults

import (
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// TestSoak runs everything at once for MPULL_SOAK (a duration such as 30m; any
// other value means the long figures of the other tests only): four pullers of
// a moving tag, mpull's and podman's prune beside, failing requests, and a kill
// every two seconds. At the end the store is sound.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("MPULL_SOAK"))
	if err != nil {
		t.Skip("make soak runs this: MPULL_SOAK is no duration")
	}
	testenv.Need(t, "podman")
	b, reg := newBed(t), newRegistry(t)
	b.Tmpfs("root", 256<<20, 0)
	name := reg.Host + "/app:latest"
	push(t, reg, "app:latest", testimage.Spec{Layers: 3})
	b.Must("pull", "--quiet", "--tls-verify=false", name)
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var pulls, failed, kills, prunes atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				p := b.Start("pull", "--quiet", "--tls-verify=false", "--retry-delay", "10ms", name)
				select {
				case <-p.Ended():
				case <-time.After(8 * time.Second * time.Duration(1+rand.IntN(100)) / 100):
					p.Kill()
					kills.Add(1)
				}
				if pulls.Add(1); p.Wait().Code != 0 {
					failed.Add(1)
				}
			}
		})
	}
	all.Go(func() {
		for ctx.Err() == nil {
			b.Mpull("prune", "--force")
			b.Tool("podman", "image", "prune", "--force")
			prunes.Add(1)
		}
	})
	all.Go(func() {
		for n := uint64(1); ctx.Err() == nil; n++ {
			reg.Fault(nil)
			push(t, reg, "app:latest", testimage.Spec{Layers: 3, Seed: n % 16})
			reg.Fault(func(w http.ResponseWriter, _ *http.Request) {
				if rand.IntN(10) == 0 {
					w.WriteHeader(http.StatusBadGateway)
				}
			})
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	all.Wait()
	reg.Fault(nil)
	b.Must("pull", "--quiet", "--tls-verify=false", name)
	b.EmptyTemp()
	if v := sound(t, b, true); v.Names[name] == "" {
		t.Error("the tag is gone")
	}
	if err := b.PruneAll(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("%s: %d pulls, %d of them failed or were killed (%d), %d rounds of pruning", length, pulls.Load(), failed.Load(), kills.Load(), prunes.Load())
}
