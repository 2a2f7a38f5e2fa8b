package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/mpull/mpull/integration/testimage"
)

// TestFlakyRegistry lets each request fail with a probability. With retries
// nearly all pulls succeed.
func TestFlakyRegistry(t *testing.T) {
	pulls := figure(5, 50, 200)
	for _, c := range []struct {
		percent int // of requests that fail
		least   int // percent of pulls that have to succeed
	}{{5, 100}, {20, 99}} {
		t.Run(fmt.Sprintf("%d %%", c.percent), func(t *testing.T) {
			t.Parallel()
			b, reg := newBed(t), newRegistry(t)
			random := rand.New(rand.NewPCG(5, uint64(c.percent)))
			var mu sync.Mutex
			failed := 0
			ok := 0
			for n := range pulls {
				reg.Fault(nil)
				push(t, reg, "app:1", testimage.Spec{Layers: 3, Files: 1, Seed: uint64(n)})
				reg.Fault(func(w http.ResponseWriter, req *http.Request) {
					mu.Lock()
					defer mu.Unlock()
					if random.IntN(100) < c.percent {
						failed++
						w.WriteHeader(http.StatusServiceUnavailable)
					}
				})
				if r := b.Mpull("pull", "--quiet", "--retry", "20", "--retry-delay", "5ms", "--tls-verify=false", reg.Host+"/app:1"); r.Code == 0 {
					ok++
				} else if !strings.Contains(r.Stderr, "503") {
					t.Error(r)
				}
			}
			sound(t, b, false)
			t.Logf("%d of %d pulls succeeded while %d requests failed", ok, pulls, failed)
			if ok*100 < pulls*c.least {
				t.Errorf("%d of %d pulls succeeded", ok, pulls)
			}
		})
	}
}
