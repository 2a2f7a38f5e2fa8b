package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// TestFlakyRegistry lets each request fail with a probability. With retries
// nearly all pulls succeed. As root hardly a byte is sent twice: a blob that fails
// is asked for again on its own.
func TestFlakyRegistry(t *testing.T) {
	pulls := figure(t, 5, 50, 200)
	for _, c := range []struct {
		percent int // of requests that fail
		least   int // percent of pulls that have to succeed
	}{{5, 100}, {20, 99}, {50, 96}} {
		t.Run(fmt.Sprintf("%d %%", c.percent), func(t *testing.T) {
			t.Parallel()
			b, reg := newBed(t), newRegistry(t)
			random := rand.New(rand.NewPCG(5, uint64(c.percent)))
			var mu sync.Mutex
			failed, ok := 0, 0
			var sent, needed atomic.Int64 // bytes of layers and configs
			reg.Wrap(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/blobs/") {
						w = countingWriter{w, &sent}
					}
					next.ServeHTTP(w, req)
				})
			})
			for n := range pulls {
				reg.Fault(nil)
				needed.Add(pushSized(t, reg, testimage.Spec{Layers: 3, Files: 1, Seed: uint64(n)}))
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
			t.Logf("%d of %d pulls succeeded while %d requests failed; %d bytes of blobs were sent for %d", ok, pulls, failed, sent.Load(), needed.Load())
			most := needed.Load() / 4
			if again := sent.Load() - needed.Load(); again > most {
				t.Errorf("%d bytes of blobs were sent again, more than %d", again, most)
			}
			if ok*100 < pulls*c.least {
				t.Errorf("%d of %d pulls succeeded", ok, pulls)
			}
		})
	}
}

// pushSized pushes app:1 and returns how many bytes its layers and config have.
func pushSized(t *testing.T, reg *testregistry.Registry, spec testimage.Spec) (size int64) {
	t.Helper()
	return pushSizedAs(t, reg, "app:1", spec)
}

func pushSizedAs(t *testing.T, reg *testregistry.Registry, name string, spec testimage.Spec) (size int64) {
	t.Helper()
	img, err := testimage.Image(spec)
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.PushImage(name, img); err != nil {
		t.Fatal(err)
	}
	size = m.Config.Size
	for _, l := range m.Layers {
		size += l.Size
	}
	return size
}

type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n.Add(int64(n))
	return n, err
}
