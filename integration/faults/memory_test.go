package faults

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"go.podman.io/storage/pkg/reexec"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
)

// measureName is the name under which this binary runs a program for measured.
const measureName = "faults-measure"

// measure is the process between a test and the program it measures: a
// program's peak starts with that of the process that starts it, and a test
// holds whole registries. os.Args are the file for the peak in bytes, and the
// program with its arguments.
func measure() {
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(127)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)                                                          // its children included
	if err := os.WriteFile(os.Args[1], []byte(strconv.FormatInt(int64(usage.Maxrss)<<10, 10)), 0o600); err != nil { //nolint:unconvert // 32 bits wide on 32-bit machines
		fmt.Fprintln(os.Stderr, err)
		os.Exit(127)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// measured runs mpull and returns the peak of its resident memory in bytes.
func measured(t *testing.T, b *testbed.Bed, args ...string) (testbed.Result, int64) {
	t.Helper()
	peak := filepath.Join(b.Dir, "peak")
	cmd := b.Command(args...)
	cmd.Args = slices.Concat([]string{measureName, peak, cmd.Path}, cmd.Args[1:])
	cmd.Path = reexec.Self()
	r := b.StartCommand(cmd).Wait()
	data, err := os.ReadFile(peak)
	if err != nil {
		t.Fatalf("%v: %s", err, r)
	}
	bytes, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return r, bytes
}

// TestMemory pulls what a reader without limits would take into memory whole.
func TestMemory(t *testing.T) {
	manifest := rightDocuments(t)
	for _, c := range []struct {
		name  string
		limit int64 // MiB
		serve http.HandlerFunc
	}{
		{"endless manifest", 200, at("/manifests/", endless(http.StatusOK, dockerV2))},
		{"endless index", 200, at("/manifests/", endless(http.StatusOK, ociIndex))},
		{"index of 100,000 entries", 200, at("/manifests/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", ociIndex)
			_, _ = w.Write(manyEntries(100_000))
		})},
		{"endless config", 200, blobs(manifest.around(make([]byte, 1<<27)).body, endless(http.StatusOK, "application/octet-stream"))},
		{"endless error of a manifest", 200, at("/manifests/", endless(http.StatusInternalServerError, "application/json"))},
		// The library reads the text of these errors (4xx) whole: what is bounded
		// is what comes on a connection.
		{"endless failure of the ping", 200, at("/v2/", endless(http.StatusInternalServerError, "application/json"))},
		{"endless failure of a token", 200, endlessToken(http.StatusInternalServerError)},
		{"endless error of the ping", longErrors, at("/v2/", endless(http.StatusForbidden, "application/json"))},
		{"endless error of a config", longErrors, blobs(manifest.manifest, endless(http.StatusNotFound, "application/json"))},
		{"endless failure of a blob", 200, layers(manifest, endless(http.StatusInternalServerError, "application/json"))},
		{"endless error of a blob", longErrors, layers(manifest, endless(http.StatusForbidden, "application/json"))},
		{"endless token", 200, endlessToken(http.StatusOK)},
		{"endless error of a token", 200, endlessToken(http.StatusForbidden)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, reg := newBed(t), newRegistry(t)
			reg.Wrap(func(http.Handler) http.Handler { return c.serve })
			bounded(t, b, reg.Host+"/app:1", c.limit)
		})
	}
	for name, layer := range map[string]func(*testing.T) []byte{"sparse map of PAX 1.0": paxSparse, "sparse map of GNU": gnuSparse} {
		for _, driver := range []string{"overlay", "vfs"} {
			t.Run(name+", "+driver, func(t *testing.T) {
				b, reg := newBed(t), newRegistry(t)
				b.Driver = driver
				pushLayers(t, reg, "app:1", layer(t))
				bounded(t, b, reg.Host+"/app:1", 256)
			})
		}
	}
}

// longErrors is the limit in MiB where the library reads an error without one:
// what comes until the connections have been looked at twice, in a buffer that
// grows.
const longErrors = 450

// blobs serves one manifest, and blobs as a handler does.
func blobs(manifest []byte, blob http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		at("/manifests/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", dockerV2)
			_, _ = w.Write(manifest)
		})(w, req)
		at("/blobs/", blob)(w, req)
	}
}

// layers serves a manifest and its config, and layers as a handler does.
func layers(d documents, layer http.HandlerFunc) http.HandlerFunc {
	return blobs(d.around(d.config).body, func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, digest.FromBytes(d.config).String()) {
			_, _ = w.Write(d.config)
			return
		}
		layer(w, req)
	})
}

// bounded pulls what cannot be pulled, in a limited amount of memory.
func bounded(t *testing.T, b *testbed.Bed, name string, limit int64) {
	t.Helper()
	r, peak := measured(t, b, "pull", "--quiet", "--retry", "0", "--idle-timeout", "30s", "--tls-verify=false", name)
	if r.Code != 125 || !strings.Contains("\n"+r.Stderr, "\nError: ") || strings.Count(r.Stderr, "\n") > 2 || strings.Contains(r.Stderr, "goroutine ") {
		t.Errorf("%s", r)
	}
	if limit > 0 && peak > limit<<20 {
		t.Errorf("a peak of %d MiB, more than %d", peak>>20, limit)
	}
	if v := sound(t, b, false); len(v.Names) > 0 || v.Half > 0 {
		t.Errorf("something was stored: %+v", v)
	}
	t.Logf("a peak of %d MiB after %s: %.200s", peak>>20, r.Took, strings.TrimSpace(r.Stderr))
}

// at answers requests whose path holds a text.
func at(part string, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if strings.Contains(req.URL.Path, part) {
			serve(w, req)
		}
	}
}

// endless is an answer without an end.
func endless(code int, mediaType string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(code)
		_, err := w.Write([]byte(`{"errors":[{"code":"X","message":"`))
		for data := bytes.Repeat([]byte("x"), 64<<10); err == nil && req.Context().Err() == nil; {
			_, err = w.Write(data)
		}
	}
}

func endlessToken(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/token" {
			endless(code, "application/json")(w, req)
			return
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="x"`, req.Host))
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func manyEntries(n int) []byte {
	entry := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":10,"platform":{"os":"linux","architecture":"s390x"}}`, ociManifest, digest.FromString("x"))
	return []byte(`{"schemaVersion":2,"manifests":[` + strings.Repeat(entry+",", n-1) + entry + "]}")
}

// paxSparse is a layer whose file has a sparse map of 16 million entries, in
// its data.
func paxSparse(*testing.T) []byte {
	const entries = 16 << 20
	data := append([]byte(strconv.Itoa(entries)+"\n"), bytes.Repeat([]byte("0\n0\n"), entries)...)
	return paxSparseTar("0", append(data, make([]byte, -len(data)&511)...))
}

// gnuSparse is the same in the older format of GNU tar: blocks of 21 entries
// after the header, each saying that another follows.
func gnuSparse(*testing.T) []byte {
	const blocks, none = 128 << 10, "00000000000\x00"
	header := rawEntry("sparse", tar.TypeGNUSparse, nil, func(h []byte) {
		copy(h[257:], "ustar  \x00")
		copy(h[386:], strings.Repeat(none, 8)+"\x01"+none) // four entries, more follow, the real size
	})
	block := []byte(strings.Repeat(none, 42) + "\x01\x00\x00\x00\x00\x00\x00\x00")
	return slices.Concat(header, bytes.Repeat(block, blocks), make([]byte, 1024))
}

// TestWideWindows pulls a sound image of layers that each have to be
// decompressed with the widest window there is: not all at the same time.
func TestWideWindows(t *testing.T) {
	for driver, layers := range map[string]int{"overlay": 8, "vfs": 4} { // vfs copies all layers below
		if driver == "vfs" && testenv.Short(t) {
			continue
		}
		t.Run(driver, func(t *testing.T) {
			b, reg := newBed(t), newRegistry(t)
			b.Driver = driver
			img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
			for n := range layers {
				data := wideLayer(t, fmt.Sprintf("file%d", n))
				l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }, tarball.WithMediaType(types.OCILayerZStd))
				if err == nil {
					img, err = mutate.AppendLayers(img, l)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := reg.PushImage("app:1", img); err != nil {
				t.Fatal(err)
			}
			r, peak := measured(t, b, "pull", "--retry", "0", "--tls-verify=false", reg.Host+"/app:1")
			if r.Code != 0 {
				t.Errorf("%s", r)
			}
			t.Logf("a peak of %d MiB", peak>>20)
			if driver == "overlay" && peak > 600<<20 {
				t.Errorf("a peak of %d MiB: too many windows at the same time", peak>>20)
			}
			sound(t, b, false)
		})
	}
}

// wideLayer is a tar with one file of zeros, larger than the window that it is
// compressed with.
func wideLayer(t *testing.T, name string) []byte {
	t.Helper()
	const window = 128 << 20
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithWindowSize(window), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	const size = window + 1<<20
	err = w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size})
	for n := 0; n < size && err == nil; n += 1 << 20 {
		_, err = w.Write(make([]byte, 1<<20))
	}
	if err := errors.Join(err, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
