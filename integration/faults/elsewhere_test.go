package faults

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// TestMirrorLacksPart pulls through a mirror that has the index, and not, or not
// for everybody, what the index names. The registry has it.
func TestMirrorLacksPart(t *testing.T) {
	index, err := testimage.Index([]string{"linux/amd64", "linux/arm64"}, testimage.Spec{Layers: 2, Seed: 21})
	if err != nil {
		t.Fatal(err)
	}
	documents, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	child := documents.Manifests[1]
	img, err := index.Image(child.Digest)
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for what, d := range map[string]string{"manifest": child.Digest.String(), "config": m.Config.Digest.String(), "layer": m.Layers[1].Digest.String()} {
		for _, code := range []int{http.StatusForbidden, http.StatusNotFound, http.StatusUnauthorized, http.StatusServiceUnavailable} {
			for _, body := range []string{"", `{"errors":[{"code":"DENIED","message":"no"}]}`} {
				for _, driver := range []string{"overlay", "vfs"} {
					t.Run(fmt.Sprintf("%s, %d %.10s, %s", what, code, body, driver), func(t *testing.T) {
						t.Parallel()
						b, reg, mirror := newBed(t), newRegistry(t), newRegistry(t)
						b.Driver = driver
						for _, r := range []*testregistry.Registry{reg, mirror} {
							if err := r.PushIndex("app:1", index); err != nil {
								t.Fatal(err)
							}
						}
						mirror.Fault(func(w http.ResponseWriter, req *http.Request) {
							if strings.HasSuffix(req.URL.Path, d) {
								w.WriteHeader(code)
								_, _ = w.Write([]byte(body))
							}
						})
						b.Write("registries.conf", fmt.Sprintf("[[registry]]\nlocation=%q\ninsecure=true\n[[registry.mirror]]\nlocation=%q\ninsecure=true\n", reg.Host, mirror.Host))
						b.Must("pull", "--quiet", "--retry", "0", "--platform", "linux/arm64", reg.Host+"/app:1")
						if v := sound(t, b, false); v.Names[reg.Host+"/app:1"] != m.Config.Digest.Hex {
							t.Errorf("the tag is %v", v.Names)
						}
						if len(mirror.Requests()) == 0 {
							t.Error("the mirror was not asked")
						}
					})
				}
			}
		}
	}
}

// TestTokenExpires lets a token be refused in the middle of a pull. A fresh one
// is asked for.
func TestTokenExpires(t *testing.T) {
	for _, driver := range []string{"overlay", "vfs"} {
		for _, when := range []string{"layer", "config"} {
			t.Run(driver+", "+when, func(t *testing.T) {
				b, reg := newBed(t), newRegistry(t)
				b.Driver = driver
				img, err := testimage.Image(testimage.Spec{Layers: 3, Seed: 22})
				if err != nil {
					t.Fatal(err)
				}
				if err := reg.PushImage("app:1", img); err != nil {
					t.Fatal(err)
				}
				m, err := img.Manifest()
				if err != nil {
					t.Fatal(err)
				}
				expiresAt := m.Layers[2].Digest.String()
				if when == "config" {
					expiresAt = m.Config.Digest.String()
				}
				tokens, refused := expiring(reg, digest.Digest(expiresAt))
				b.Must("pull", "--retry", "0", "--tls-verify=false", reg.Host+"/app:1")
				sound(t, b, false)
				if refused.Load() == 0 || tokens.Load() < 2 {
					t.Errorf("%d requests were refused, %d tokens given", refused.Load(), tokens.Load())
				}
			})
		}
	}
}

// expiring makes a registry want tokens, the first of which ends when a blob is
// asked for with it.
func expiring(reg *testregistry.Registry, blob digest.Digest) (tokens, refused *atomic.Int64) {
	tokens, refused = new(atomic.Int64), new(atomic.Int64)
	var expired atomic.Bool
	reg.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/token" {
				fmt.Fprintf(w, `{"token":"T%d","expires_in":3600}`, tokens.Add(1))
				return
			}
			token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
			if strings.HasSuffix(req.URL.Path, blob.String()) && token == "T1" {
				expired.Store(true)
			}
			if token == "" || token == "T1" && expired.Load() {
				if token != "" {
					refused.Add(1)
				}
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="x"`, req.Host))
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"the token has expired"}]}`)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	return tokens, refused
}
