package integration

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"go.podman.io/storage/types"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// TestPodmanGivesTheSame pulls images with mpull's own unpacking into one store
// and with podman into another: what podman saves and pushes from the two is
// the same, byte for byte, and the library finds no damage in mpull's.
func TestPodmanGivesTheSame(t *testing.T) {
	testenv.Store(t)
	testenv.Need(t, "podman")
	if os.Geteuid() != 0 {
		testenv.Missing(t, "layers of overlay are unpacked in one pass as root only")
	}
	registry := testregistry.New()
	defer registry.Close()
	m := machineFor(t, t.TempDir(), "overlay", registry.Host)
	for name, img := range blobImages(t) {
		if err := registry.PushImage("team/"+name+":1", img); err != nil {
			t.Fatal(err)
		}
		ref := registry.Host + "/team/" + name + ":1"
		if mine, theirs := m.unpacked(ref), m.run("podman", "podman", "pull", "-q", ref); mine != theirs {
			t.Fatalf("%s: mpull has %s, podman %s", name, mine, theirs)
		}
		formats := []string{"oci-archive", "docker-archive"}
		if name == "zstd" {
			formats = formats[:1] // podman cannot save zstd layers as docker's
		}
		for _, format := range formats {
			mine, theirs := m.saved("mine", format, ref), m.saved("podman", format, ref)
			if !maps.Equal(mine, theirs) || len(mine) < 3 {
				t.Errorf("%s as %s:\n mpull %v\npodman %v", name, format, mine, theirs)
			}
		}
		if mine, theirs := m.pushed("mine", ref, "team/again-"+name), m.pushed("podman", ref, "team/again-"+name); mine != theirs {
			t.Errorf("%s pushed: mpull's is %s, podman's %s", name, mine, theirs)
		}
	}
	m.libraryFindsNoDamage()
}

// TestBlobOnOtherLayers pulls an image whose upper layer is here already, on top
// of other layers: its blob is not fetched again, and a dry run says so.
func TestBlobOnOtherLayers(t *testing.T) {
	for _, driver := range []string{"overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			if driver == "overlay" && os.Geteuid() != 0 {
				testenv.Missing(t, "overlay in the test's own store needs root")
			}
			blobOnOtherLayers(t, driver)
		})
	}
}

func blobOnOtherLayers(t *testing.T, driver string) {
	registry := testregistry.New()
	defer registry.Close()
	m := machineFor(t, t.TempDir(), driver, registry.Host)
	refs := map[string]string{}
	var upper, lower v1.Descriptor // the second image's layers
	for seed, name := range []string{"first", "second"} {
		img, err := testimage.Image(testimage.Spec{Seed: uint64(60 + seed), Platform: "linux/" + runtime.GOARCH})
		if err != nil {
			t.Fatal(err)
		}
		img = onTop(t, img,
			tar.Header{Name: "app/", Typeflag: tar.TypeDir, Mode: 0o755},
			tar.Header{Name: "app/link", Typeflag: tar.TypeSymlink, Linkname: "../bin/sh", Mode: 0o777})
		if err := registry.PushImage("team/"+name+":1", img); err != nil {
			t.Fatal(err)
		}
		refs[name] = registry.Host + "/team/" + name + ":1"
		manifest, err := img.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		lower, upper = manifest.Layers[0], manifest.Layers[1]
	}
	m.run("mine", "mpull", "pull", "-q", refs["first"])
	var plans []struct{ Layers, LayersHere, Download, Bytes int64 }
	if err := json.Unmarshal([]byte(m.run("mine", "mpull", "pull", "--dry-run", "--format", "json", refs["second"])), &plans); err != nil || len(plans) != 1 {
		t.Fatalf("%v: %v", plans, err)
	}
	if p := plans[0]; p.Layers != 2 || p.LayersHere != 1 || p.Download != lower.Size || p.Bytes != lower.Size+upper.Size {
		t.Errorf("the dry run says %+v; the layers have %d and %d bytes", p, lower.Size, upper.Size)
	}
	registry.Requests()
	m.run("mine", "mpull", "pull", "-q", refs["second"])
	asked := strings.Join(registry.Requests(), "\n")
	if strings.Contains(asked, upper.Digest.Hex) || !strings.Contains(asked, lower.Digest.Hex) {
		t.Errorf("with %s here and %s not:\n%s", upper.Digest, lower.Digest, asked)
	}
	out := filepath.Join(m.dir, "second.tar")
	m.run("mine", "mpull", "save", "-o", out, refs["second"]) // put together again, by digest
	m.run("mine", "mpull", "doctor")
}

// unpacked pulls with mpull, and fails when mpull left the layers to the library.
func (m *machine) unpacked(ref string) string {
	m.t.Helper()
	cmd := m.command("mine", "mpull", "--log-level", "debug", "pull", "-q", ref)
	var log bytes.Buffer
	cmd.Stderr = &log
	id, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("pulling %s: %v\n%s", ref, err, &log)
	}
	if bytes.Contains(log.Bytes(), []byte("layers are unpacked by the library")) || !bytes.Contains(log.Bytes(), []byte("level=debug")) {
		m.t.Errorf("%s was not unpacked by mpull:\n%s", ref, &log)
	}
	return string(id)
}

// blobImages are images of which the layers have something to get wrong.
func blobImages(t *testing.T) map[string]v1.Image {
	t.Helper()
	images := map[string]v1.Image{}
	host := "linux/" + runtime.GOARCH
	for name, spec := range map[string]testimage.Spec{
		"plain": {Seed: 51, Platform: host},
		"zstd":  {Seed: 52, Platform: host, OCI: true, Zstd: true, Layers: 2},
		"many":  {Seed: 53, Platform: host, Layers: 12, Files: 2, FileSize: 700, Compressible: true},
	} {
		img, err := testimage.Image(spec)
		if err != nil {
			t.Fatal(err)
		}
		images[name] = img
	}
	images["many"] = onTop(t, images["many"],
		tar.Header{Name: "links/", Typeflag: tar.TypeDir, Mode: 0o2775, Uid: 5, Gid: 6},
		tar.Header{Name: "links/one", Typeflag: tar.TypeReg, Mode: 0o4755, Uid: 7, Gid: 8},
		tar.Header{Name: "links/two", Typeflag: tar.TypeLink, Linkname: "links/one", Mode: 0o4755, Uid: 7, Gid: 8},
		tar.Header{Name: "links/soft", Typeflag: tar.TypeSymlink, Linkname: "../../bin/sh", Mode: 0o777},
		tar.Header{Name: "links/pipe", Typeflag: tar.TypeFifo, Mode: 0o600},
		tar.Header{Name: "data0/.wh.file0", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "data1/", Typeflag: tar.TypeDir, Mode: 0o700},
		tar.Header{Name: "data1/.wh..wh..opq", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "data1/new", Typeflag: tar.TypeReg, Mode: 0o640, PAXRecords: map[string]string{"SCHILY.xattr.user.note": "kept"}})
	return images
}

// onTop adds a layer of these entries to an image.
func onTop(t *testing.T, img v1.Image, entries ...tar.Header) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	if img, err = mutate.AppendLayers(img, layer); err != nil {
		t.Fatal(err)
	}
	return img
}

// saved are the files of an archive that podman saves: the digest of each.
func (m *machine) saved(store, format, ref string) map[string]digest.Digest {
	m.t.Helper()
	path := filepath.Join(m.dir, "saved.tar")
	m.run(store, "podman", "save", "-q", "--format", format, "-o", path, ref)
	f, err := os.Open(path)
	if err != nil {
		m.t.Fatal(err)
	}
	defer os.Remove(path)
	defer f.Close()
	files := map[string]digest.Digest{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			m.t.Fatal(err)
		}
		sum, err := digest.FromReader(r)
		if err != nil {
			m.t.Fatal(err)
		}
		files[fmt.Sprintf("%c %s %s", h.Typeflag, h.Name, h.Linkname)] = sum
	}
}

// pushed is the digest of the manifest that podman pushes. Each store pushes to
// a repository of its own, so that none finds the other's blobs there.
func (m *machine) pushed(store, ref, repo string) string {
	m.t.Helper()
	file := filepath.Join(m.dir, "digest")
	host, _, _ := strings.Cut(ref, "/")
	m.run(store, "podman", "push", "-q", "--digestfile", file, ref, host+"/"+repo+"-"+store+":1")
	text, err := os.ReadFile(file)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// libraryFindsNoDamage runs the library's check on mpull's store.
func (m *machine) libraryFindsNoDamage() {
	m.t.Helper()
	lib, err := storage.GetStore(types.StoreOptions{
		GraphRoot: filepath.Join(m.dir, "store/root"), RunRoot: filepath.Join(m.dir, "store/run"), GraphDriverName: "overlay",
		GraphDriverOptions: []string{"overlay.skip_mount_home=true"},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	defer lib.Free()
	images, err := lib.Images()
	if err != nil || len(images) != 3 {
		m.t.Errorf("the library sees %d images, %v", len(images), err)
	}
	report, err := lib.Check(storage.CheckMost())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, found := range []map[string][]error{report.Layers, report.Images, report.Containers} {
		for _, id := range slices.Sorted(maps.Keys(found)) {
			m.t.Errorf("%.12s: %v", id, errors.Join(found[id]...))
		}
	}
}
