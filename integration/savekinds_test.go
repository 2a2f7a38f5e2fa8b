package integration

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

const rareLevel = 7 // that no tool uses

// TestSaveKinds saves images whose layers were compressed by several tools, or
// by none that is known: which blobs are the originals depends on the layers
// alone, and the archive not on how many processors there are.
func TestSaveKinds(t *testing.T) {
	const docker, ko = gzip.DefaultCompression, gzip.BestSpeed
	testenv.Need(t, "taskset")
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		levels []int // of layers that grow
		kept   bool  // the digest
	}{
		"one tool":                       {[]int{docker, docker, docker, docker}, true},
		"another":                        {[]int{ko, ko, ko}, true},
		"several tools":                  {[]int{ko, docker, ko, docker}, true},
		"no known tool":                  {[]int{rareLevel, rareLevel}, false},
		"no known tool for the smallest": {[]int{rareLevel, docker, docker}, false},
		"no known tool for the largest":  {[]int{docker, docker, ko, rareLevel}, false},
		"no known tool in between":       {[]int{docker, rareLevel, docker, ko}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b, reg := testbed.New(t, testenv.Binary()), testregistry.New()
			defer reg.Close()
			if err := reg.PushImage("app:1", compressedImage(t, c.levels)); err != nil {
				t.Fatal(err)
			}
			b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/app:1")
			var all [][]byte
			for _, processors := range []string{"0", "0-255"} {
				out := filepath.Join(b.Dir, "archive")
				cmd := b.Command("save", "-o", out, reg.Host+"/app:1")
				cmd.Args = append([]string{"taskset", "-c", processors, cmd.Path}, cmd.Args[1:]...)
				cmd.Path = taskset
				r := b.StartCommand(cmd).Wait()
				if r.Code != 0 || strings.Contains(r.Stderr, "for every reader") != c.kept {
					t.Errorf("the digest is kept: want %v; %s", c.kept, r)
				}
				data, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, data)
			}
			if !bytes.Equal(all[0], all[1]) {
				t.Error("one processor writes another archive than many")
			}
		})
	}
}

func compressedImage(t *testing.T, levels []int) v1.Image {
	t.Helper()
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for n, level := range levels {
		one, err := testimage.Image(testimage.Spec{Files: 2 << n, FileSize: 200 << 10, Seed: uint64(n), Compressible: true})
		if err != nil {
			t.Fatal(err)
		}
		layers, err := one.Layers()
		if err != nil {
			t.Fatal(err)
		}
		data := uncompressed(t, layers[0])
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
			tarball.WithCompressionLevel(level), tarball.WithMediaType(types.OCILayer))
		if err == nil {
			img, err = mutate.AppendLayers(img, layer)
		}
		if err != nil {
			t.Fatal(fmt.Errorf("layer %d: %w", n, err))
		}
	}
	return img
}

func uncompressed(t *testing.T, l v1.Layer) []byte {
	t.Helper()
	r, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
