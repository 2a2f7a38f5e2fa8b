package integration

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// rare gives the layers of an image a compressed form that no tool makes: a
// level that nobody uses.
func rare(t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	again := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, l := range layers {
		content, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.HuffmanOnly)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(z, content); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			t.Fatal(err)
		}
		if again, err = mutate.Append(again, mutate.Addendum{Layer: layer}); err != nil {
			t.Fatal(err)
		}
	}
	if again, err = mutate.ConfigFile(again, config); err != nil {
		t.Fatal(err)
	}
	return again
}

// kept is what mpull's own round trip must not change.
type kept struct {
	ID, Digest   string
	RepoDigests  []string
	Architecture string
	Variant      string
	RootFS       json.RawMessage
	History      json.RawMessage
}

func (m *machine) kept(name string) kept {
	m.t.Helper()
	var list []kept
	if err := json.Unmarshal([]byte(m.run("mine", "mpull", "inspect", name)), &list); err != nil || len(list) != 1 {
		m.t.Fatalf("inspect %s: %d images, %v", name, len(list), err)
	}
	slices.Sort(list[0].RepoDigests)
	return list[0]
}

// TestArchiveRoundTrip saves an index of two platforms and loads it on another
// machine: IDs, DiffIDs, manifest and index digests are equal, whether the
// compressed layers can be made again or not, with each driver.
func TestArchiveRoundTrip(t *testing.T) {
	for _, driver := range drivers(t) {
		for _, kind := range []string{"docker", "oci", "zstd", "rare"} {
			t.Run(driver+"/"+kind, func(t *testing.T) { roundTrip(t, driver, kind) })
		}
	}
}

func roundTrip(t *testing.T, driver, kind string) {
	from, registry := newMachine(t, driver)
	to, _ := newMachine(t, driver)
	name := registry.Host + "/round/trip:1"
	host := "linux/" + runtime.GOARCH
	platforms := []string{foreign(), host}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	if kind == "docker" {
		index = mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	}
	for _, p := range platforms {
		img, err := testimage.Image(testimage.Spec{Platform: p, Seed: 44, Layers: 3, OCI: kind != "docker", Zstd: kind == "zstd", Compressible: true})
		if err != nil {
			t.Fatal(err)
		}
		if kind == "rare" {
			img = rare(t, img)
		}
		os, arch, _ := strings.Cut(p, "/")
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: arch}}})
	}
	if err := registry.PushIndex("round/trip:1", index); err != nil {
		t.Fatal(err)
	}
	ids := strings.Fields(from.run("mine", "mpull", "pull", "-q", "--all-platforms", name))
	file := filepath.Join(from.dir, "a.tar")
	said := from.says("mpull", "save", "--all-platforms", "-o", file, name)
	if reproduced := kind == "oci" || kind == "zstd"; strings.Count(said, "for every reader") != map[bool]int{true: 2}[reproduced] || strings.Count(said, "Saved ") != 2 {
		t.Errorf("saving layers of kind %s said %s", kind, said)
	}
	again := filepath.Join(from.dir, "b.tar")
	from.run("mine", "mpull", "save", "--all-platforms", "-o", again, name)
	if a, b := read(t, file), read(t, again); !bytes.Equal(a, b) {
		t.Error("two archives of the same images differ")
	}
	if left, err := filepath.Glob(filepath.Join(from.dir, "*mpull-save*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	registry.Requests()
	loaded := strings.Fields(to.run("mine", "mpull", "load", "-q", "-i", file))
	if asked := registry.Requests(); len(asked) > 0 {
		t.Errorf("a load asked the registry: %v", asked)
	}
	slices.Sort(ids)
	slices.Sort(loaded)
	if !slices.Equal(ids, loaded) {
		t.Fatalf("loaded %v, saved %v", loaded, ids)
	}
	for _, id := range ids {
		want, got := from.kept(id), to.kept(id)
		if a, b := mustJSON(t, want), mustJSON(t, got); a != b {
			t.Errorf("%s was\n%s\nand is\n%s", id, a, b)
		}
	}
	if id := strings.TrimSpace(to.run("mine", "mpull", "images", "-q", "--no-trunc", "--filter", "reference="+name)); !strings.Contains(id, from.kept(name).ID) {
		t.Errorf("%s names %s, not the host's own image", name, id)
	}
	// The store must be whole for the library too, and unpacked alike.
	to.run("mine", "mpull", "save", "--all-platforms", "-o", filepath.Join(to.dir, "c.tar"), name)
	if kind == "oci" || kind == "zstd" {
		skopeo := []string{"skopeo"}
		if os.Geteuid() != 0 { // it unpacks the archive, and root owns what is in there
			skopeo = []string{"unshare", "--map-root-user", "skopeo"}
		}
		if out := to.run("mine", append(skopeo, "inspect", "--raw", "--override-arch", "s390x", "oci-archive:"+file)...); !strings.Contains(out, `"manifests"`) {
			t.Errorf("skopeo reads %s", out)
		}
	}
}

// says returns what mpull says on standard error.
func (m *machine) says(args ...string) string {
	m.t.Helper()
	cmd := exec.Command(testenv.Binary(), args[1:]...)
	cmd.Env, cmd.Dir = m.env, m.dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		m.t.Fatalf("%v: %v: %s", args, err, &stderr)
	}
	return stderr.String()
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestHostileArchive puts other contents in the place of a layer of which the
// archive has no original form: neither path unpacks it, no image and no name
// come of it.
func TestHostileArchive(t *testing.T) {
	for _, driver := range drivers(t) {
		t.Run(driver, func(t *testing.T) {
			m, registry := newMachine(t, driver)
			name := registry.Host + "/round/rare:1"
			img, err := testimage.Image(testimage.Spec{Platform: "linux/" + runtime.GOARCH, Seed: 45, OCI: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := registry.PushImage("round/rare:1", rare(t, img)); err != nil {
				t.Fatal(err)
			}
			m.run("mine", "mpull", "pull", "-q", name)
			good, bad := filepath.Join(m.dir, "good.tar"), filepath.Join(m.dir, "bad.tar")
			m.run("mine", "mpull", "save", "-q", "-o", good, name)
			m.run("mine", "mpull", "rmi", name)
			forge(t, good, bad)
			m.exits(125, "mpull", "load", "-i", bad)
			if out := m.run("mine", "mpull", "images", "-aq"); out != "" {
				t.Errorf("the forged archive left %s", out)
			}
			m.run("mine", "mpull", "load", "-q", "-i", good)
			if out := m.run("mine", "mpull", "images", "-q", "--filter", "reference="+name); strings.Count(out, "\n") != 1 {
				t.Errorf("the good archive brought %q", out)
			}
		})
	}
}

// forge copies an archive with another layer in the place of the only one, as
// somebody would who knows the format.
func forge(t *testing.T, from, to string) {
	t.Helper()
	var evil bytes.Buffer
	z := gzip.NewWriter(&evil)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "evil", Mode: 0o755, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	var forged bytes.Buffer
	out := tar.NewWriter(&forged)
	evilName := "blobs/sha256/" + digest.FromBytes(evil.Bytes()).Encoded()
	put := func(name string, data []byte) {
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	put(evilName, evil.Bytes())
	changed := false
	for r := tar.NewReader(bytes.NewReader(read(t, from))); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == "mpull.json" {
			before := data
			data = regexp.MustCompile(`"blob":"sha256:[0-9a-f]+"`).ReplaceAll(data, []byte(`"blob":"`+digest.FromBytes(evil.Bytes()).String()+`"`))
			changed = !bytes.Equal(before, data)
		}
		put(h.Name, data)
	}
	if !changed {
		t.Fatal("the archive has no substituted layer to forge")
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, forged.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
