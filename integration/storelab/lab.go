// Package storelab makes small containers/storage stores for tests, through
// the library itself and without a registry. Its images are complete: podman,
// buildah and skopeo read them.
package storelab

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/storage"
	"go.podman.io/storage/types"

	"github.com/mpull/mpull/integration/testenv"
)

// Lab is a store of its own, and the directories to hand to other tools.
type Lab struct {
	TB      testing.TB
	Lib     storage.Store
	Root    string
	RunRoot string
	Driver  string

	configs map[string]imgspecv1.Image
	serial  int
}

// Dir makes a directory that the test removes: in memory where that is
// possible, because a store syncs every step to the disk.
func Dir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "storelab-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return dir
}

// New makes an empty store below dir with the driver, "overlay" or "vfs".
// The test binary's TestMain must call reexec.Init first. It skips the test
// when the driver does not work here.
func New(tb testing.TB, dir, driver string) *Lab {
	tb.Helper()
	testenv.Root(tb)
	l := &Lab{TB: tb, Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), Driver: driver, configs: map[string]imgspecv1.Image{}}
	lib, err := storage.GetStore(types.StoreOptions{GraphRoot: l.Root, RunRoot: l.RunRoot, GraphDriverName: driver})
	if err != nil {
		tb.Skipf("the driver %s does not work here: %v", driver, err)
	}
	l.Lib = lib
	tb.Cleanup(func() {
		if _, err := lib.Shutdown(true); err != nil {
			tb.Errorf("closing the store: %v", err)
		}
	})
	return l
}

// Layer adds a layer with one directory of files of the given sizes and
// returns its ID and diff ID.
func (l *Lab) Layer(parent string, sizes ...int) (string, digest.Digest) {
	l.TB.Helper()
	l.serial++
	content := l.tar(sizes)
	layer, _, err := l.Lib.PutLayer("", parent, nil, "", false, nil, bytes.NewReader(content))
	if err != nil {
		l.TB.Fatalf("adding a layer: %v", err)
	}
	return layer.ID, layer.UncompressedDigest
}

func (l *Lab) tar(sizes []int) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	dir := fmt.Sprintf("d%d/", l.serial)
	headers := []*tar.Header{{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}}
	for i, size := range sizes {
		headers = append(headers, &tar.Header{Name: fmt.Sprintf("%sf%d", dir, i), Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(size)})
	}
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			l.TB.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte{byte(l.serial)}, int(h.Size))); err != nil {
			l.TB.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		l.TB.Fatal(err)
	}
	return b.Bytes()
}

// Spec says what an image is made of.
type Spec struct {
	Names   []string
	Parent  string            // ID of an image made before; its layers and history come first
	Layers  [][]int           // file sizes of its own layers
	Top     string            // an existing layer to end with instead; DiffIDs goes with it
	DiffIDs []digest.Digest   // of the chain that ends with Top
	Labels  map[string]string // of the config
	Arch    string            // "" means amd64
	Variant string
	Empty   int // history entries without a layer
}

// Image adds an image and returns its ID.
func (l *Lab) Image(s Spec) string {
	l.TB.Helper()
	l.serial++
	config, top := l.start(s)
	for _, sizes := range s.Layers {
		var diff digest.Digest
		top, diff = l.Layer(top, sizes...)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diff)
		config.History = append(config.History, imgspecv1.History{CreatedBy: fmt.Sprintf("step %d", l.serial)})
	}
	for range s.Empty {
		l.serial++
		config.History = append(config.History, imgspecv1.History{CreatedBy: fmt.Sprintf("empty %d", l.serial), EmptyLayer: true})
	}
	created := time.Date(2020, 1, 1, 0, 0, l.serial, 0, time.UTC) // each config has a digest of its own
	config.Created = &created
	blob := marshal(l.TB, config)
	manifest := l.manifest(blob, config.RootFS.DiffIDs)
	id := digest.FromBytes(blob).Encoded()
	options := &storage.ImageOptions{CreationDate: created, Digest: digest.FromBytes(manifest), BigData: []storage.ImageBigDataOption{
		{Key: "manifest", Data: manifest, Digest: digest.FromBytes(manifest)},
		{Key: "sha256:" + id, Data: blob, Digest: digest.FromBytes(blob)},
	}}
	if _, err := l.Lib.CreateImage(id, s.Names, top, "", options); err != nil {
		l.TB.Fatalf("adding an image: %v", err)
	}
	l.configs[id] = config
	return id
}

func (l *Lab) start(s Spec) (config imgspecv1.Image, top string) {
	config = imgspecv1.Image{Platform: imgspecv1.Platform{OS: "linux", Architecture: "amd64"}}
	if s.Parent != "" {
		parent, err := l.Lib.Image(s.Parent)
		if err != nil {
			l.TB.Fatalf("looking up the parent: %v", err)
		}
		top = parent.TopLayer
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.configs[s.Parent].RootFS.DiffIDs...)
		config.History = append(config.History, l.configs[s.Parent].History...)
	}
	if s.Top != "" {
		top, config.RootFS.DiffIDs = s.Top, append([]digest.Digest(nil), s.DiffIDs...)
		for range s.DiffIDs {
			config.History = append(config.History, imgspecv1.History{CreatedBy: "base"})
		}
	}
	if s.Arch != "" {
		config.Architecture, config.Variant = s.Arch, s.Variant
	}
	config.RootFS.Type = "layers"
	config.Config.Labels = s.Labels
	return config, top
}

func (l *Lab) manifest(config []byte, diffIDs []digest.Digest) []byte {
	m := imgspecv1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: imgspecv1.MediaTypeImageManifest,
		Config: imgspecv1.Descriptor{MediaType: imgspecv1.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))},
		Layers: []imgspecv1.Descriptor{},
	}
	for _, d := range diffIDs {
		m.Layers = append(m.Layers, imgspecv1.Descriptor{MediaType: imgspecv1.MediaTypeImageLayer, Digest: d, Size: 1})
	}
	return marshal(l.TB, m)
}

// List adds a local manifest list that names images, and returns its ID.
func (l *Lab) List(names []string, members ...string) string {
	l.TB.Helper()
	index := imgspecv1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: imgspecv1.MediaTypeImageIndex}
	for _, id := range members {
		img, err := l.Lib.Image(id)
		if err != nil {
			l.TB.Fatalf("looking up a member: %v", err)
		}
		index.Manifests = append(index.Manifests, imgspecv1.Descriptor{MediaType: imgspecv1.MediaTypeImageManifest, Digest: img.Digest, Size: img.BigDataSizes["manifest"]})
	}
	blob := marshal(l.TB, index)
	options := &storage.ImageOptions{Digest: digest.FromBytes(blob), BigData: []storage.ImageBigDataOption{{Key: "manifest", Data: blob, Digest: digest.FromBytes(blob)}}}
	img, err := l.Lib.CreateImage("", names, "", "", options)
	if err != nil {
		l.TB.Fatalf("adding a manifest list: %v", err)
	}
	return img.ID
}

// Container makes a container from an image and returns its ID.
func (l *Lab) Container(name, image string) string {
	l.TB.Helper()
	c, err := l.Lib.CreateContainer("", []string{name}, image, "", "", nil)
	if err != nil {
		l.TB.Fatalf("making a container: %v", err)
	}
	return c.ID
}

func marshal(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
