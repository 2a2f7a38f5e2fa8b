package faults

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// TestOtherTools lets podman write a store, mpull change it and podman, buildah
// and skopeo read it, and the other way round.
func TestOtherTools(t *testing.T) {
	testenv.Need(t, "podman", "buildah", "skopeo")
	b, reg := newBed(t), newRegistry(t)
	first := push(t, reg, "app:1", testimage.Spec{Layers: 2, Seed: 1})
	second := push(t, reg, "app:2", testimage.Spec{Layers: 2, Seed: 2})
	for _, step := range [][]string{
		{"podman", "pull", "--tls-verify=false", reg.Host + "/app:1"},
		{"mpull", "pull", "--tls-verify=false", reg.Host + "/app:1"},
		{"mpull", "pull", "--tls-verify=false", reg.Host + "/app:2"},
		{"podman", "pull", "--tls-verify=false", reg.Host + "/app:2"},
		{"podman", "image", "mount", second},
		{"podman", "image", "unmount", second},
		{"buildah", "from", "--name", "work", second},
		{"podman", "tag", first, reg.Host + "/app:2"},
		{"mpull", "prune", "--force"}, // a container of buildah's holds the second
		{"buildah", "rm", "work"},
		{"mpull", "tag", first, "localhost/kept:1"},
		{"mpull", "prune", "--force"},
		{"podman", "image", "prune", "--force"},
		{"mpull", "doctor"},
	} {
		run := func(args ...string) testbed.Result { return b.Tool(step[0], args...) }
		if step[0] == "mpull" {
			run = b.Mpull
		}
		if r := run(step[1:]...); r.Code != 0 {
			t.Fatalf("%s: %s", strings.Join(step, " "), r)
		}
		v := sound(t, b, true)
		if v.Names[reg.Host+"/app:1"] != first || t.Failed() {
			t.Fatalf("after %s: %v", strings.Join(step, " "), v.Names)
		}
	}
	target := "dir:" + filepath.Join(b.Dir, "copy")
	source := "containers-storage:[overlay@" + b.Root + "+" + b.RunRoot + "]localhost/kept:1"
	if r := b.Tool("skopeo", "--policy", filepath.Join(b.Dir, "policy.json"), "copy", source, target); r.Code != 0 {
		t.Errorf("skopeo copy: %s", r)
	}
}

// TestReadOnlyStore lists and checks a store on a read-only mount; what would
// change it is refused before anything is asked of a registry.
func TestReadOnlyStore(t *testing.T) {
	b, reg := newBed(t), newRegistry(t)
	id := push(t, reg, "app:1", testimage.Spec{Layers: 2})
	b.Must("pull", "--tls-verify=false", reg.Host+"/app:1")
	if err := unix.Mount(b.Root, b.Root, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", b.Root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	reg.Requests()
	if r := b.Must("images", "--no-trunc", "--quiet"); !strings.Contains(r.Stdout, id) {
		t.Error(r)
	}
	b.Must("doctor")
	for _, args := range [][]string{
		{"pull", "--tls-verify=false", reg.Host + "/app:1"}, {"tag", id, "localhost/x"}, {"untag", reg.Host + "/app:1"}, {"rmi", id},
		{"prune", "--force"}, {"prune", "--dry-run"}, {"prune", "--all", "--force"}, // not "Nothing to prune": a cron job would stay green
	} {
		if r := b.Mpull(args...); r.Code != 125 || !strings.Contains(r.Stderr, "read-only") {
			t.Errorf("%v: %s", args, r)
		}
	}
	if asked := reg.Requests(); len(asked) > 0 {
		t.Errorf("asked of the registry: %v", asked)
	}
	if entries, err := filepath.Glob(filepath.Join(b.Temp, "*")); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// TestAdditionalStore pulls an image whose base lies in an additional,
// read-only store: the base is not fetched, and never pruned.
func TestAdditionalStore(t *testing.T) {
	base, b, reg := newBed(t), newBed(t), newRegistry(t)
	layers := [][]byte{tarOf(t, dir("base/"), file("base/a", []byte("base"))), tarOf(t, dir("top/"), file("top/b", []byte("top")))}
	pushLayers(t, reg, "base:1", layers[0])
	id := pushLayers(t, reg, "app:1", layers...)
	base.Must("pull", "--tls-verify=false", reg.Host+"/base:1")
	option := "--storage-opt=overlay.imagestore=" + base.Root
	reg.Requests()
	if r := b.Must(option, "pull", "--tls-verify=false", reg.Host+"/app:1"); strings.TrimSpace(r.Stdout) != id {
		t.Error(r)
	}
	baseDigest := layerDigest(t, layers[0])
	for _, line := range reg.Requests() {
		if strings.HasSuffix(line, baseDigest) {
			t.Errorf("the base layer was fetched: %s", line)
		}
	}
	b.Must(option, "rmi", id)
	b.Must(option, "prune", "--force")
	// An image of its own that has all its layers there: the list of layers may be
	// missing, though podman has written the lock.
	twin, err := mutate.Config(imageOf(t, layers[0]), v1.Config{User: "7"})
	if err = errors.Join(err, reg.PushImage("twin:1", twin)); err != nil {
		t.Fatal(err)
	}
	other := newBed(t)
	other.Must(option, "pull", "--tls-verify=false", reg.Host+"/twin:1")
	list := filepath.Join(other.Root, "overlay-layers")
	if err := errors.Join(os.RemoveAll(filepath.Join(list, "layers.json")), os.WriteFile(filepath.Join(list, "layers.lock"), []byte("written"), 0o600)); err != nil {
		t.Fatal(err)
	}
	other.Must(option, "doctor")
	other.Must(option, "prune", "--force")
	if v := sound(t, base, true); v.Names[reg.Host+"/base:1"] == "" || v.Unreferenced > 0 {
		t.Errorf("the additional store was changed: %+v", v)
	}
	if r := b.Must(option, "images", "--no-trunc"); !strings.Contains(r.Stdout, reg.Host+"/base") {
		t.Error(r)
	}
}

// layerDigest returns the digest under which a registry has a layer.
func layerDigest(t *testing.T, data []byte) string {
	t.Helper()
	layers, err := imageOf(t, data).Layers()
	if err != nil {
		t.Fatal(err)
	}
	d, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}
