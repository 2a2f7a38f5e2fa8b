package platforms

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

func TestMain(m *testing.M) { testenv.MainWithBinary(m) }

// try is a store and a registry of one test.
type try struct {
	*testbed.Bed
	t        *testing.T
	registry *testregistry.Registry
}

// newTry makes a store, and a registry with what is pushed.
func newTry(t *testing.T, indexes map[string]v1.ImageIndex, images map[string]v1.Image) *try {
	t.Helper()
	b := testbed.New(t, testenv.Binary())
	r := testregistry.New()
	t.Cleanup(r.Close)
	b.Write("registries.conf", fmt.Sprintf("unqualified-search-registries = [%q]\n[[registry]]\nlocation = %q\ninsecure = true\n", r.Host, r.Host))
	for name, index := range indexes {
		if err := r.PushIndex(name, index); err != nil {
			t.Fatal(err)
		}
	}
	for name, img := range images {
		if err := r.PushImage(name, img); err != nil {
			t.Fatal(err)
		}
	}
	r.Requests()
	return &try{b, t, r}
}

// run runs a command line in which R/ stands for the registry, and checks how it
// ends and what it says: each of said must be in its output, and none behind "!".
func (y *try) run(code int, line string, said ...string) testbed.Result {
	y.t.Helper()
	args := strings.Fields(line)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "R/", y.registry.Host+"/")
	}
	r := y.Mpull(args...)
	y.t.Logf("mpull %s: %s", line, r)
	if r.Code != code {
		y.t.Errorf("mpull %s: want exit code %d: %s", line, code, r)
	}
	text := r.Stdout + r.Stderr
	for _, s := range append(said, "! /\n", "!\"/\"", "!for /", "!\"/amd64", "! /amd64") {
		without, no := strings.CutPrefix(s, "!")
		if no == strings.Contains(text, or(without, s, no)) {
			y.t.Errorf("mpull %s: said %q: %v, unexpectedly: %s", line, or(without, s, no), no, r)
		}
	}
	return r
}

func or(a, b string, first bool) string {
	if first {
		return a
	}
	return b
}

// forget deletes a manifest from the registry.
func (y *try) forget(repo, digest string) {
	y.t.Helper()
	req, err := http.NewRequestWithContext(y.t.Context(), http.MethodDelete, "http://"+y.registry.Host+"/v2/"+repo+"/manifests/"+digest, nil)
	if err != nil {
		y.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		y.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		y.t.Fatalf("deleting %s: %s", digest, resp.Status)
	}
}

func image(t *testing.T, spec testimage.Spec) v1.Image {
	t.Helper()
	img, err := testimage.Image(spec)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// claiming is an image with a program for a platform and a config that claims
// another, or nothing.
func claiming(t *testing.T, program string, seed uint64, claim v1.Platform) v1.Image {
	t.Helper()
	return image(t, testimage.Spec{Platform: program, Seed: seed, OCI: true, Edit: func(c *v1.ConfigFile) {
		c.OS, c.Architecture, c.Variant, c.OSVersion = claim.OS, claim.Architecture, claim.Variant, claim.OSVersion
	}})
}

// artifact is what is no image: a config and a layer of other types.
func artifact(config, layer types.MediaType) v1.Image {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), config)
	img, err := mutate.Append(img, mutate.Addendum{Layer: static.NewLayer([]byte("content of "+string(layer)), layer)})
	if err != nil {
		panic(err) // a static layer can be appended
	}
	return img
}

// entry is one of an index.
type entry struct {
	add          mutate.Appendable
	platform     *v1.Platform
	artifactType string
}

func index(entries ...entry) v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, e := range entries {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: e.add, Descriptor: v1.Descriptor{Platform: e.platform, ArtifactType: e.artifactType}})
	}
	return index
}

func on(os, arch string) *v1.Platform { return &v1.Platform{OS: os, Architecture: arch} }
