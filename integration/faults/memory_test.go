package faults

import (
	"archive/tar"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage/pkg/reexec"

	"github.com/mpull/mpull/integration/testbed"
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
		// is the heap.
		{"endless failure of the ping", 200, at("/v2/", endless(http.StatusInternalServerError, "application/json"))},
		{"endless failure of a token", 200, endlessToken(http.StatusInternalServerError)},
		{"endless error of the ping", wholeDocuments, at("/v2/", endless(http.StatusForbidden, "application/json"))},
		{"endless error of a config", wholeDocuments, blobs(manifest.manifest, endless(http.StatusNotFound, "application/json"))},
		{"endless failure of a blob", 200, layers(manifest, endless(http.StatusInternalServerError, "application/json"))},
		{"endless error of a blob", wholeErrors, layers(manifest, endless(http.StatusForbidden, "application/json"))},
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

// Limits in MiB where the library reads an error without one. The heap may grow
// by 128 or 512 MiB, when it is looked at; a buffer that grows is twice in
// memory, and what it was before still once.
const (
	wholeDocuments = 450
	wholeErrors    = 1600
)

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
