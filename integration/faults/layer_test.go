package faults

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/mpull/mpull/integration/testregistry"
)

// entry is one entry of a hand-made layer.
type entry struct {
	tar.Header
	data []byte
}

func dir(name string) entry {
	return entry{Header: tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}}
}

func file(name string, data []byte) entry {
	return entry{Header: tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, data: data}
}

func link(kind byte, name, target string) entry {
	return entry{Header: tar.Header{Name: name, Typeflag: kind, Linkname: target, Mode: 0o777}}
}

// tarOf writes a layer.
func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := e.Header
		h.Size = int64(len(e.data))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatalf("%q: %v", h.Name, err)
		}
		if _, err := w.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// rawEntry writes an entry as it is given, for headers that tar.Writer leaves
// out or refuses: those of sparse files. size is what the header says of data.
func rawEntry(name string, kind byte, data []byte, edit func(header []byte)) []byte {
	header := make([]byte, 512)
	copy(header, name)
	copy(header[100:], "0000644\x000000000\x000000000\x00")
	copy(header[124:], fmt.Sprintf("%011o\x0000000000000\x00", len(data)))
	header[156] = kind
	copy(header[257:], "ustar\x0000")
	if edit != nil {
		edit(header)
	}
	sum := 0
	copy(header[148:], "        ")
	for _, c := range header {
		sum += int(c)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
	return slices.Concat(header, data, make([]byte, -len(data)&511))
}

// paxSparseTar is a layer with a sparse file of PAX 1.0: its data start with
// its map.
func paxSparseTar(realsize string, data []byte) []byte {
	var records string
	for _, r := range [...]string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=sparse", "GNU.sparse.realsize=" + realsize} {
		n := len(r) + len("NN \n")
		records += fmt.Sprintf("%d %s\n", n, r)
	}
	return slices.Concat(rawEntry("pax", tar.TypeXHeader, []byte(records), nil), rawEntry("sparse", tar.TypeReg, data, nil), make([]byte, 1024))
}

// pax01SparseFile is a sparse file of GNU tar's PAX format 0.1, which has the map
// in a header.
func pax01SparseFile() []byte {
	var records string
	for _, r := range [...]string{"GNU.sparse.size=5000", "GNU.sparse.numblocks=2", "GNU.sparse.map=1000,10,3000,20", "GNU.sparse.name=f"} {
		records += fmt.Sprintf("%d %s\n", len(r)+len("NN \n"), r)
	}
	return slices.Concat(rawEntry("pax", tar.TypeXHeader, []byte(records), nil), rawEntry("f", tar.TypeReg, bytes.Repeat([]byte("d"), 30), nil))
}

// imageOf makes an image of raw layer tars.
func imageOf(t testing.TB, layers ...[]byte) v1.Image {
	t.Helper()
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.DockerManifestSchema2), types.DockerConfigJSON)
	for _, data := range layers {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// pushLayers stores an image of raw layer tars and returns its ID.
func pushLayers(t testing.TB, reg *testregistry.Registry, repoTag string, layers ...[]byte) string {
	t.Helper()
	img := imageOf(t, layers...)
	if err := reg.PushImage(repoTag, img); err != nil {
		t.Fatal(err)
	}
	id, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return id.Hex
}
