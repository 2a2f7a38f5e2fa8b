package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// half is an image whose manifest lacks layers that its config names.
type half struct {
	v1.Image
	keep int
}

// Manifest implements v1.Image.
func (h half) Manifest() (*v1.Manifest, error) {
	m, err := h.Image.Manifest()
	if err != nil {
		return nil, err
	}
	m = m.DeepCopy()
	m.Layers = m.Layers[:h.keep]
	return m, nil
}

// RawManifest implements v1.Image.
func (h half) RawManifest() ([]byte, error) {
	m, err := h.Manifest()
	if err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

// Digest implements v1.Image.
func (h half) Digest() (v1.Hash, error) {
	raw, err := h.RawManifest()
	if err != nil {
		return v1.Hash{}, err
	}
	d, _, err := v1.SHA256(bytes.NewReader(raw))
	return d, err
}

// TestHalfImages has manifests with fewer layers than their configs name: such
// an image is refused, from a registry and from an archive. doctor finds the one
// that another tool has taken, and the whole image takes its place, with its
// names.
func TestHalfImages(t *testing.T) {
	testenv.Need(t, "podman")
	for _, driver := range drivers(t) {
		t.Run(driver, func(t *testing.T) {
			m, registry := newMachine(t, driver)
			whole, err := testimage.Image(testimage.Spec{Platform: "linux/" + runtime.GOARCH, Seed: 600, Layers: 2, OCI: true})
			if err != nil {
				t.Fatal(err)
			}
			name := registry.Host + "/whole:1"
			if err := registry.PushImage("whole:1", whole); err != nil {
				t.Fatal(err)
			}
			for i, keep := range []int{0, 1} {
				n := registry.Host + "/half:" + string(rune('0'+i))
				if err := registry.PushImage("half:"+string(rune('0'+i)), half{whole, keep}); err != nil {
					t.Fatal(err)
				}
				if said := m.fails(125, "mpull", "pull", n); !strings.Contains(said, "contradicts itself") {
					t.Errorf("pull said %s", said)
				}
				file := filepath.Join(m.dir, "half.tar")
				ociArchive(t, file, tagged{half{whole, keep}, []string{"half:1"}})
				if said := m.fails(125, "mpull", "load", "-i", file); !strings.Contains(said, "contradicts itself") {
					t.Errorf("load said %s", said)
				}
			}
			if out, err := m.command("mine", "podman", "pull", "-q", registry.Host+"/half:1").CombinedOutput(); err != nil {
				t.Skipf("this podman refuses half an image: %s", out)
			}
			if said := m.fails(1, "mpull", "doctor"); !strings.Contains(said, "its config names 2 layers, and it has 1") {
				t.Errorf("doctor said %s", said)
			}
			m.run("mine", "mpull", "pull", "-q", name)
			m.run("mine", "mpull", "doctor")
			m.run("mine", "mpull", "save", "-q", "-o", filepath.Join(m.dir, "whole.tar"), name)
			var names []string
			for _, line := range m.held("mine") {
				names = append(names, strings.Fields(line)[0])
			}
			if want := []string{registry.Host + "/half:1", name}; !slices.Equal(names, want) {
				t.Errorf("names %v, want %v", names, want)
			}
		})
	}
}

// swapped is an image whose manifest has the layers in another order than its
// config.
type swapped struct{ half }

// Manifest implements v1.Image.
func (s swapped) Manifest() (*v1.Manifest, error) {
	m, err := s.half.Manifest()
	if err == nil {
		slices.Reverse(m.Layers)
	}
	return m, err
}

// RawManifest implements v1.Image.
func (s swapped) RawManifest() ([]byte, error) {
	m, err := s.Manifest()
	if err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

// Digest implements v1.Image.
func (s swapped) Digest() (v1.Hash, error) {
	raw, err := s.RawManifest()
	if err != nil {
		return v1.Hash{}, err
	}
	d, _, err := v1.SHA256(bytes.NewReader(raw))
	return d, err
}

// TestSwappedLayers has an image whose layers are those of its config in another
// order: as wrong as half an image, with as many layers as it should have.
func TestSwappedLayers(t *testing.T) {
	testenv.Need(t, "podman")
	m, registry := newMachine(t, drivers(t)[0])
	whole, err := testimage.Image(testimage.Spec{Platform: "linux/" + runtime.GOARCH, Seed: 602, Layers: 2, OCI: true})
	if err != nil {
		t.Fatal(err)
	}
	for tag, img := range map[string]v1.Image{"whole": whole, "swapped": swapped{half{whole, 2}}} {
		if err := registry.PushImage("app:"+tag, img); err != nil {
			t.Fatal(err)
		}
	}
	if said := m.fails(125, "mpull", "pull", registry.Host+"/app:swapped"); !strings.Contains(said, "DiffID") {
		t.Errorf("pull said %s", said)
	}
	if out, err := m.command("mine", "podman", "pull", "-q", registry.Host+"/app:swapped").CombinedOutput(); err != nil {
		t.Skipf("this podman refuses such an image: %s", out)
	}
	if said := m.fails(1, "mpull", "doctor"); !strings.Contains(said, "its config names layer 1 as") {
		t.Errorf("doctor said %s", said)
	}
	m.run("mine", "podman", "tag", registry.Host+"/app:swapped", "localhost/other:1")
	m.run("mine", "mpull", "pull", "-q", "--policy", "missing", registry.Host+"/app:whole")
	m.run("mine", "mpull", "doctor")
	var names []string
	for _, line := range m.held("mine") {
		names = append(names, strings.Fields(line)[0])
	}
	if want := []string{registry.Host + "/app:swapped", registry.Host + "/app:whole", "localhost/other:1"}; !slices.Equal(names, want) {
		t.Errorf("names %v, want %v", names, want)
	}
}

// TestSchema1 has an image in Docker's schema 1 format. mpull pulls none and
// says so; of one that podman has pulled every command says what it is, and none
// takes it for damaged.
func TestSchema1(t *testing.T) {
	testenv.Need(t, "podman", "skopeo")
	m, registry := newMachine(t, drivers(t)[0])
	img, err := testimage.Image(testimage.Spec{Platform: "linux/" + runtime.GOARCH, Seed: 601, Layers: 2})
	if err != nil {
		t.Fatal(err)
	}
	name := registry.Host + "/old:1"
	if err := registry.PushImage("new:1", img); err != nil {
		t.Fatal(err)
	}
	if out, err := m.command("mine", "skopeo", "copy", "--format", "v2s1", "--src-tls-verify=false", "--dest-tls-verify=false",
		"docker://"+registry.Host+"/new:1", "docker://"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, args := range [][]string{{"pull"}, {"pull", "--dry-run"}} {
		if said := m.fails(125, append(append([]string{"mpull"}, args...), name)...); !strings.Contains(said, "schema 1") || strings.Contains(said, "goroutine") {
			t.Errorf("%v said %s", args, said)
		}
	}
	if out, err := m.command("mine", "podman", "pull", "-q", name).CombinedOutput(); err != nil {
		testenv.Missing(t, "this podman pulls no schema 1: "+string(out))
	}
	for _, args := range [][]string{
		{"doctor"}, {"doctor", "--repair"}, {"images"}, {"images", "--tree"}, {"inspect", name}, {"check", name}, {"check", "--format", "json", name},
	} {
		// What it is, in words or as podman's inspect has it.
		cmd := m.command("mine", append([]string{"mpull"}, args...)...)
		out, _ := cmd.CombinedOutput() // check tells that the layers have no program
		if !strings.Contains(string(out), "schema 1") && !strings.Contains(string(out), "distribution.manifest.v1+prettyjws") {
			t.Errorf("%v does not say what the image is: %s", args, out)
		}
		if args[0] != "check" && cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("%v ended with %d: %s", args, cmd.ProcessState.ExitCode(), out)
		}
	}
	m.run("mine", "mpull", "pull", "-q", "--policy", "missing", name)
	m.run("mine", "mpull", "prune", "-f")
	if out := m.run("mine", "mpull", "images", "--format", "{{.Repository}} {{.Platform}}"); out != registry.Host+"/old linux/"+runtime.GOARCH+"\n" {
		t.Errorf("images says %q", out)
	}
	if said := m.fails(125, "mpull", "save", "-o", filepath.Join(m.dir, "x.tar"), name); !strings.Contains(said, "schema 1") {
		t.Errorf("save said %s", said)
	}
	cmd := m.command("mine", "mpull", "check", name)
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() == 125 {
		t.Errorf("check: %v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "x.tar")); err == nil {
		t.Error("save wrote a file")
	}
}
