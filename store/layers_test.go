package store

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/store/unpack"
)

// TestFetchLayersAgain takes away what is staged, once, as podman 4 does when it
// ends: the layer is fetched anew, by the same way, and counted once.
func TestFetchLayersAgain(t *testing.T) {
	testenv.Root(t)
	dir := t.TempDir()
	s, err := Create(Options{Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), Driver: "overlay"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := testWriter(t, s)
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	if err := errors.Join(out.WriteHeader(&tar.Header{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o755}), out.Close()); err != nil {
		t.Fatal(err)
	}
	layerTar := b.Bytes()
	layer := unpack.Layer{Digest: digest.FromBytes(layerTar), DiffID: digest.FromBytes(layerTar), Size: int64(len(layerTar)), MediaType: "application/vnd.oci.image.layer.v1.tar"}
	opened, read := 0, int64(0)
	open := func(context.Context, unpack.Layer) (io.ReadCloser, error) {
		opened++
		if opened > 1 {
			return io.NopCloser(bytes.NewReader(layerTar)), nil
		}
		sweep := atEnd(func() error { return os.RemoveAll(filepath.Join(w.Root(), "overlay", "staging")) })
		return io.NopCloser(io.MultiReader(bytes.NewReader(layerTar), sweep)), nil
	}
	result, ok, reason, err := w.FetchLayers(t.Context(), []unpack.Layer{layer}, open, unpack.Options{OnRead: func(_ int, n int64) { read += n }})
	if err != nil || !ok || len(result.Fetched) != 1 {
		t.Errorf("fetched %v, %t, %s, %v", result.Fetched, ok, reason, err)
	}
	if opened != 2 || read != layer.Size {
		t.Errorf("opened %d times, %d of %d bytes", opened, read, layer.Size)
	}
}

// atEnd does something when it is read, and ends.
type atEnd func() error

func (f atEnd) Read([]byte) (int, error) {
	if err := f(); err != nil {
		return 0, err
	}
	return 0, io.EOF
}
