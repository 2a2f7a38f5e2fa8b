package faults

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpull/mpull/integration/testimage"
)

// TestAskMany asks for many documents several at a time, and not for all at once.
func TestAskMany(t *testing.T) {
	b, reg := newBed(t), newRegistry(t)
	index, err := testimage.Index(testimage.AlpinePlatforms(), testimage.Spec{Seed: 41})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for n := range 8 {
		name := fmt.Sprintf("app%d:1", n)
		if err := reg.PushIndex(name, index); err != nil {
			t.Fatal(err)
		}
		names = append(names, reg.Host+"/"+name)
	}
	lock := filepath.Join(b.Dir, "lock.json")
	for name, c := range map[string]struct {
		part string // of the requests that are counted
		args []string
	}{
		"platforms --sizes": {"/manifests/sha256:", []string{"platforms", "--sizes", "--tls-verify=false", names[0]}},
		"lock":              {"/manifests/", append([]string{"lock", "--tls-verify=false", lock}, names...)},
		"outdated":          {"/manifests/", append([]string{"outdated", "--tls-verify=false", "--locked", lock}, names...)},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "outdated" {
				b.Must(append([]string{"lock", "--tls-verify=false", lock}, names...)...)
			}
			var now, peak, asked atomic.Int64
			both := make(chan struct{})
			reg.Wrap(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if strings.Contains(req.URL.Path, c.part) {
						peak.Store(max(peak.Load(), now.Add(1)))
						defer now.Add(-1)
						if asked.Add(1) == 2 {
							close(both)
						}
						select {
						case <-both: // the first waits for the second
						case <-time.After(20 * time.Second):
						}
					}
					next.ServeHTTP(w, req)
				})
			})
			defer reg.Wrap(nil)
			r := b.Must(c.args...)
			if peak.Load() < 2 || peak.Load() > 4 {
				t.Errorf("%d requests at once: %s", peak.Load(), r)
			}
		})
	}
}
