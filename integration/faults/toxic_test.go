package faults

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// objects are what a pull of an index asks for, in order.
var objects = [...]string{"index", "manifest", "config", "first layer", "last layer"}

// harmless are the answers that a client may take: the image is right.
var harmless = map[string]bool{
	"no Content-Length": true, "wrong Content-Type": true, "Content-Encoding gzip": true,
	"redirect to another host": true,
	"a byte more":              true, // white space after an index, which a tag does not pin
	"200 to a Range":           true,
}

// TestToxicRegistry gives each answer of a pull each fault. The pull ends with
// exit code 125 and one clear line, or with the right image; the tag stays
// whole; and the next pull, from the healthy registry, succeeds.
func TestToxicRegistry(t *testing.T) {
	plain := newRegistry(t)
	faults := testregistry.Faults("", "")
	if n := len(faults) * len(objects); n < 120 {
		t.Fatalf("%d combinations of fault and object, not 120", n)
	}
	for i, f := range faults[:figure(t, 6, len(faults), len(faults))] {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			x := newToxic(t, plain)
			f := testregistry.Faults("https://"+x.other.Host, "http://"+plain.Host)[i]
			for n, object := range objects {
				x.try(f, object, uint64(i*len(objects)+n+1))
			}
		})
	}
}

type toxic struct {
	t     *testing.T
	b     *testbed.Bed
	reg   *testregistry.Registry
	other *testregistry.Registry
	name  string
	old   string
}

func newToxic(t *testing.T, plain *testregistry.Registry) *toxic {
	x := &toxic{t: t, b: newBed(t), reg: testregistry.NewTLS(), other: testregistry.NewTLS()}
	t.Cleanup(x.reg.Close)
	t.Cleanup(x.other.Close)
	x.name = x.reg.Host + "/app:latest"
	certs(t, x.b, x.reg)
	x.old = x.push(0)["config"]
	x.b.Must("pull", x.name)
	return x
}

// certs makes mpull trust a registry's certificate.
func certs(t *testing.T, b *testbed.Bed, reg *testregistry.Registry) {
	t.Helper()
	b.Env = append(b.Env, "SSL_CERT_FILE="+b.Write("ca.pem", reg.Certificate()))
}

// push stores an index of two images on each server and returns the digest of
// each object that a pull of it asks for.
func (x *toxic) push(seed uint64) map[string]string {
	x.t.Helper()
	x.reg.Wrap(nil)
	index, err := testimage.Index([]string{"linux/amd64", "linux/arm64/v8"}, testimage.Spec{Seed: seed, Layers: 2})
	if err != nil {
		x.t.Fatal(err)
	}
	for _, r := range []*testregistry.Registry{x.reg, x.other} {
		if err := r.PushIndex("app:latest", index); err != nil {
			x.t.Fatal(err)
		}
	}
	list, err := index.IndexManifest()
	if err != nil {
		x.t.Fatal(err)
	}
	img, err := index.Image(list.Manifests[0].Digest)
	if err != nil {
		x.t.Fatal(err)
	}
	return digests(x.t, img)
}

func digests(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"index": "latest", "manifest": d.String(), "config": m.Config.Digest.Hex,
		"first layer": m.Layers[0].Digest.String(), "last layer": m.Layers[len(m.Layers)-1].Digest.String(),
	}
}

func (x *toxic) try(f testregistry.Fault, object string, seed uint64) {
	parts := x.push(seed)
	next := parts["config"]
	x.reg.Poison(f, func(req *http.Request) bool {
		return req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, parts[object])
	})
	r := x.b.Mpull("pull", "--quiet", "--retry", "1", "--retry-delay", "10ms", "--idle-timeout", "1s", x.name)
	v := sound(x.t, x.b, false)
	switch {
	case r.Code == 0 && !harmless[f.Name]:
		x.t.Errorf("%s: the pull succeeded", object)
	case r.Code == 0 && v.Names[x.name] != next:
		x.t.Errorf("%s: the pull succeeded, and the tag is %.12s, not %.12s", object, v.Names[x.name], next)
	case r.Code != 0 && (r.Code != 125 || !strings.HasPrefix(r.Stderr, "Error: ") || strings.Count(r.Stderr, "\n") > 2):
		x.t.Errorf("%s: %s", object, r)
	case r.Code != 0 && v.Names[x.name] != x.old:
		x.t.Errorf("%s: the pull failed, and the tag is %.12s, not %.12s", object, v.Names[x.name], x.old)
	}
	if v.Half > 0 {
		x.t.Errorf("%s: half an image was left", object)
	}
	if strings.Contains(r.Stderr, "panic") {
		x.t.Errorf("%s: %s", object, r)
	}
	x.reg.Wrap(nil)
	x.b.Must("pull", "--quiet", x.name)
	x.old = next
	if v := sound(x.t, x.b, false); v.Names[x.name] != next {
		x.t.Errorf("%s: the healthy pull did not move the tag", object)
	}
	if left, err := filepath.Glob(filepath.Join(x.b.Root, "mpull-downloads", "*")); err != nil || len(left) > 0 {
		x.t.Errorf("%s: downloads were left: %v, %v", object, left, err)
	}
	x.t.Logf("%s: exit code %d after %s: %s", object, r.Code, r.Took, strings.TrimSpace(r.Stderr))
}
