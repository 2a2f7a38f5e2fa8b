package faults

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"go.podman.io/storage/pkg/unshare"

	"github.com/mpull/mpull/integration/testbed"
)

// hostileLayer is a layer that tries to do harm. Whether it is refused or
// unpacked, nothing outside the layer changes.
type hostileLayer struct {
	name    string
	layers  func(t *testing.T, canary string) [][]byte
	refused bool // it must be
	fine    bool // it must not be: such layers exist
	slow    bool // the library takes half a minute: only where mpull unpacks
}

func oneLayer(entries func(canary string) []entry) func(*testing.T, string) [][]byte {
	return func(t *testing.T, canary string) [][]byte { return [][]byte{tarOf(t, entries(canary)...)} }
}

func escapes() []hostileLayer {
	up := strings.Repeat("../", 30)
	evil := []byte("evil")
	return []hostileLayer{
		{name: "absolute name", layers: oneLayer(func(c string) []entry { return []entry{file(c+"/new", evil)} })},
		{name: "name with ..", layers: oneLayer(func(c string) []entry { return []entry{file(up+c+"/new", evil)} })},
		{name: "symlink parent, absolute", layers: oneLayer(func(c string) []entry {
			return []entry{link(tar.TypeSymlink, "l", c), file("l/new", evil)}
		})},
		{name: "symlink parent, relative", layers: oneLayer(func(c string) []entry {
			return []entry{link(tar.TypeSymlink, "l", up+c), file("l/new", evil)}
		})},
		{name: "chain of symlinks", layers: oneLayer(func(c string) []entry {
			return []entry{link(tar.TypeSymlink, "a", ".."), link(tar.TypeSymlink, "b", "a/.."), link(tar.TypeSymlink, "c", "b/"+up+c), file("c/new", evil)}
		})},
		{name: "file over a symlink", layers: oneLayer(func(c string) []entry {
			return []entry{link(tar.TypeSymlink, "l", c+"/old"), file("l", evil)}
		})},
		{name: "folder, then symlink", layers: oneLayer(func(c string) []entry {
			return []entry{dir("d/"), link(tar.TypeSymlink, "d", c), file("d/new", evil)}
		})},
		{name: "mode through a symlink", layers: oneLayer(func(c string) []entry {
			return []entry{link(tar.TypeSymlink, "l", c), {Header: tar.Header{Name: "l/old", Typeflag: tar.TypeReg, Mode: 0o4777}, data: evil}}
		})},
		{name: "hard link out, absolute", layers: oneLayer(func(c string) []entry {
			return []entry{link(tar.TypeLink, "h", c+"/old"), file("h", evil)}
		})},
		{name: "hard link out, relative", layers: oneLayer(func(c string) []entry {
			return []entry{link(tar.TypeLink, "h", up+c+"/old"), file("h", evil)}
		})},
		{name: "hard link through a symlink", layers: oneLayer(func(c string) []entry {
			return []entry{link(tar.TypeSymlink, "l", c), link(tar.TypeLink, "h", "l/old"), file("h", evil)}
		})},
		{name: "whiteout of ..", layers: oneLayer(func(c string) []entry { return []entry{file(".wh...", nil), file("d/.wh..", nil)} })},
		{name: "whiteout out", layers: oneLayer(func(c string) []entry { return []entry{file(up+c+"/.wh.old", nil)} })},
		{name: "whiteout through a symlink", layers: func(t *testing.T, c string) [][]byte {
			return [][]byte{tarOf(t, link(tar.TypeSymlink, "l", c)), tarOf(t, file("l/.wh.old", nil))}
		}},
		{name: "opaque folder through a symlink", layers: func(t *testing.T, c string) [][]byte {
			return [][]byte{tarOf(t, link(tar.TypeSymlink, "l", c)), tarOf(t, file("l/.wh..wh..opq", nil))}
		}},
		{name: "symlink in the layer below", layers: func(t *testing.T, c string) [][]byte {
			return [][]byte{tarOf(t, link(tar.TypeSymlink, "l", c)), tarOf(t, file("l/new", evil))}
		}},
		{name: "root is a symlink", layers: oneLayer(func(c string) []entry { return []entry{link(tar.TypeSymlink, "./", c), file("new", evil)} })},
		{name: "root is a file", layers: oneLayer(func(string) []entry { return []entry{file(".", evil)} })},
	}
}

func oddities() []hostileLayer {
	whole := func(t *testing.T) []byte { return tarOf(t, dir("d/"), file("d/f", bytes.Repeat([]byte("x"), 4096))) }
	pax := func(records map[string]string) func(*testing.T, string) [][]byte {
		return oneLayer(func(string) []entry {
			return []entry{{Header: tar.Header{Name: "f", Typeflag: tar.TypeReg, Mode: 0o644, PAXRecords: records, Format: tar.FormatPAX}}}
		})
	}
	hole := func(size string) func(*testing.T, string) [][]byte {
		return func(*testing.T, string) [][]byte {
			return [][]byte{paxSparseTar(size, append([]byte("1\n"+size+"\n0\n"), make([]byte, 512-len(size)-5)...))}
		}
	}
	return []hostileLayer{
		{name: "the host's zeros", fine: true, layers: oneLayer(func(string) []entry {
			return []entry{file(strings.Repeat("../", 30)+"dev/zero", []byte("abc")), file("/dev/random", []byte("abc"))}
		})},
		{name: "the host's zeros through a link", layers: oneLayer(func(string) []entry {
			return []entry{dir("dev/"), link(tar.TypeSymlink, "d", "/dev"), file("d/zero", []byte("abc"))}
		})},
		{name: "the host's zeros through a link made later", refused: true, layers: oneLayer(func(string) []entry {
			return []entry{file("d/zero", []byte("abc")), link(tar.TypeSymlink, "d", "/dev")}
		})},
		{name: "folder with a size", refused: true, layers: func(*testing.T, string) [][]byte {
			return [][]byte{slices.Concat(rawEntry("pax", tar.TypeXHeader, []byte("10 size=5\n"), nil), rawEntry("d/", tar.TypeDir, nil, nil), make([]byte, 1024))}
		}},
		{name: "whiteout with contents", refused: true, layers: oneLayer(func(string) []entry { return []entry{file("d/.wh.f", []byte("x"))} })},
		{name: "file in the place of a folder", refused: true, layers: oneLayer(func(string) []entry {
			return []entry{file("d/f", []byte("x")), file("d", []byte("y"))}
		})},
		{name: "ends in the last block", refused: true, layers: func(*testing.T, string) [][]byte {
			return [][]byte{rawEntry("f", tar.TypeReg, []byte("abc"), nil)[:700]}
		}},
		{name: "no end", fine: true, layers: func(*testing.T, string) [][]byte {
			return [][]byte{rawEntry("f", tar.TypeReg, []byte("abc"), nil)}
		}},
		{name: "ends early", refused: true, layers: func(t *testing.T, _ string) [][]byte { return [][]byte{whole(t)[:2000]} }},
		{name: "ends in a header", refused: true, layers: func(t *testing.T, _ string) [][]byte { return [][]byte{whole(t)[:700]} }},
		{name: "garbage", refused: true, layers: func(*testing.T, string) [][]byte { return [][]byte{bytes.Repeat([]byte("garbage"), 1000)} }},
		{name: "garbage after the end", layers: func(t *testing.T, _ string) [][]byte {
			return [][]byte{append(whole(t), bytes.Repeat([]byte("tail"), 1000)...)}
		}},
		{name: "empty", fine: true, layers: func(t *testing.T, _ string) [][]byte { return [][]byte{tarOf(t)} }},
		{name: "name of 255 bytes", fine: true, layers: oneLayer(func(string) []entry { return []entry{file(strings.Repeat("n", 255), nil)} })},
		{name: "name of 256 bytes", refused: true, layers: oneLayer(func(string) []entry { return []entry{file(strings.Repeat("n", 256), nil)} })},
		{name: "path of 4097 bytes", refused: true, layers: oneLayer(func(string) []entry { return []entry{file(strings.Repeat("n/", 2048)+"n", nil)} })},
		{name: "long attribute name", refused: true, layers: pax(map[string]string{"SCHILY.xattr.user." + strings.Repeat("n", 300): "v"})},
		{name: "big attribute", refused: true, layers: pax(map[string]string{"SCHILY.xattr.user.n": strings.Repeat("v", 70<<10)})},
		{name: "sparse file of 8 EiB", refused: true, layers: hole("9223372036854775807")},
		{name: "sparse file of 1 TiB", refused: true, layers: hole("1099511627776")},
		{name: "sparse file of 1 MiB", refused: true, layers: hole("1048576")},
		{name: "sparse file of GNU tar's own format", refused: true, layers: func(*testing.T, string) [][]byte {
			return [][]byte{append(rawEntry("f", tar.TypeGNUSparse, []byte("x"), func(h []byte) {
				copy(h[257:], "ustar  \x00")
				copy(h[386:], "00000000144\x0000000000001\x00")
				copy(h[483:], "00000000145\x00")
			}), make([]byte, 1024)...)}
		}},
		{name: "sparse file of PAX 0.1", fine: true, layers: func(*testing.T, string) [][]byte {
			return [][]byte{slices.Concat(pax01SparseFile(), rawEntry("g", tar.TypeReg, []byte("after"), nil), make([]byte, 1024))}
		}},
		{name: "device", fine: true, layers: oneLayer(func(string) []entry {
			return []entry{dir("dev/"), {Header: tar.Header{Name: "dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666}}}
		})},
		{name: "FIFO over a file", layers: oneLayer(func(string) []entry {
			return []entry{file("f", []byte("x")), {Header: tar.Header{Name: "f", Typeflag: tar.TypeFifo, Mode: 0o644}}}
		})},
		{name: "absolute hard link inside", fine: true, layers: oneLayer(func(string) []entry {
			return []entry{file("f", []byte("x")), link(tar.TypeLink, "g", "/f")}
		})},
		{name: "absolute symlink inside", fine: true, layers: oneLayer(func(string) []entry {
			return []entry{dir("bin/"), file("bin/busybox", []byte("x")), link(tar.TypeSymlink, "bin/sh", "/bin/busybox")}
		})},
		{name: "symlink to itself", layers: oneLayer(func(string) []entry { return []entry{link(tar.TypeSymlink, "l", "l"), file("l/f", nil)} })},
		{name: "hard link to itself", layers: oneLayer(func(string) []entry { return []entry{link(tar.TypeLink, "l", "l")} })},
		{name: "same file 1000 times", layers: oneLayer(func(string) []entry {
			var all []entry
			for range 1000 {
				all = append(all, file("f", []byte("x")))
			}
			return all
		})},
		{name: "1000 opaque whiteouts", layers: oneLayer(func(string) []entry {
			all := []entry{dir("d/")}
			for i := range 1000 {
				all = append(all, file("d/"+strconv.Itoa(i), nil), file("d/.wh..wh..opq", nil))
			}
			return all
		})},
		{name: "1000 deep", slow: true, layers: oneLayer(func(string) []entry {
			var all []entry
			for i := 1; i <= 1000; i++ {
				all = append(all, dir(strings.Repeat("d/", i)))
			}
			return all
		})},
	}
}

// TestHostileLayers pulls layers that try to leave their folder, and layers
// that are odd or broken: in overlay mpull unpacks most, in vfs it reads them before the library unpacks all.
func TestHostileLayers(t *testing.T) { eachDriver(t, hostileLayers) }

func hostileLayers(t *testing.T, driver string) {
	b, reg := newBed(t), newRegistry(t)
	b.Driver = driver
	canary := filepath.Join(b.Dir, "canary")
	if err := os.Mkdir(canary, 0o755); err != nil {
		t.Fatal(err)
	}
	old := b.Write("canary/old", "untouched")
	all := append(escapes(), oddities()...)
	refused := 0
	if driver == "vfs" || unshare.IsRootless() {
		all = slices.DeleteFunc(all, func(h hostileLayer) bool { return h.slow })
	}
	for i, h := range all {
		repoTag := fmt.Sprintf("app:%d", i)
		id := pushLayers(t, reg, repoTag, h.layers(t, canary)...)
		r := b.Mpull("pull", "--quiet", "--retry", "0", "--tls-verify=false", reg.Host+"/"+repoTag)
		switch {
		case r.Code != 0 && r.Code != 125, strings.Contains(r.Stderr, "goroutine "):
			t.Errorf("%s: %s", h.name, r)
		case r.Code == 0 && h.refused, r.Code != 0 && h.fine:
			t.Errorf("%s: %s", h.name, r)
		case r.Code != 0:
			refused++
		}
		untouched(t, h.name, canary, old)
		if r.Took > 10*time.Second {
			t.Errorf("%s took %s", h.name, r.Took)
		}
		if r.Code == 0 {
			readsBack(t, b, h.name, id)
			b.Must("rmi", "--force", id)
		}
		untouched(t, h.name, canary, old)
		if v := sound(t, b, false); len(v.Names) > 0 || v.Half > 0 {
			t.Errorf("%s: exit code %d, %d half images, names %v", h.name, r.Code, v.Half, v.Names)
		}
	}
	t.Logf("%d hostile images, %d refused, nothing outside changed", len(all), refused)
}

// readsBack holds a pull that ended with 0 to what that means: doctor finds
// nothing, and each layer comes out as it was, byte for byte.
func readsBack(t *testing.T, b *testbed.Bed, name, id string) {
	t.Helper()
	file := filepath.Join(b.Dir, "saved.tar")
	for _, args := range [][]string{{"doctor"}, {"save", "--quiet", "-o", file, id}} {
		if r := b.Mpull(args...); r.Code != 0 || r.Took > 10*time.Second {
			t.Errorf("%s: %s: %s", name, args[0], r)
			return
		}
	}
	img, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != len(config.RootFS.DiffIDs) {
		t.Fatalf("%s: saved with %d layers for %d DiffIDs, %v", name, len(layers), len(config.RootFS.DiffIDs), err)
	}
	for i, l := range layers {
		tar, err := l.Uncompressed()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, _, err := v1.SHA256(tar)
		if err := errors.Join(err, tar.Close()); err != nil || got != config.RootFS.DiffIDs[i] {
			t.Errorf("%s: layer %d was saved as %s, not %s: %v", name, i+1, got, config.RootFS.DiffIDs[i], err)
		}
	}
}

func untouched(t *testing.T, name, canary, old string) {
	t.Helper()
	entries, err := os.ReadDir(canary)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%s: the folder outside holds %v, %v", name, entries, err)
	}
	info, err := os.Lstat(old)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("%s: the file outside has mode %v, %v", name, info, err)
	}
	if data, err := os.ReadFile(old); err != nil || string(data) != "untouched" {
		t.Fatalf("%s: the file outside holds %q, %v", name, data, err)
	}
}

// TestBombs pulls small images that unpack to much more than they may. Each is
// stopped at its limit and the space comes back.
func TestBombs(t *testing.T) { eachDriver(t, bombs) }

func bombs(t *testing.T, driver string) {
	const limit = 32 << 20
	for _, c := range []struct {
		name  string
		flags []string
		layer func(t *testing.T) []byte
	}{
		{"128 MiB of zeros", []string{"--max-size", "32MB"}, func(t *testing.T) []byte { return zeros(t, "z", 16, 8<<20) }},
		{"20,000 files", []string{"--max-entries", "5000"}, func(t *testing.T) []byte { return zeros(t, "z", 20_000, 0) }},
		{"more than the disk", nil, func(t *testing.T) []byte { return zeros(t, "z", 20, 4<<20) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, reg := newBed(t), newRegistry(t)
			b.Driver = driver
			root := b.Tmpfs("root", 80<<20, 0)
			push := pushLayers(t, reg, "app:1", c.layer(t))
			before, _, err := testbed.Free(root)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			r := b.Mpull(append(append([]string{"pull", "--retry", "0", "--tls-verify=false"}, c.flags...), reg.Host+"/app:1")...)
			if r.Code != 125 {
				t.Errorf("%.12s: %s", push, r)
			}
			if v := sound(t, b, false); len(v.Names) > 0 {
				t.Error("it was stored")
			}
			after, _, err := testbed.Free(root)
			if err != nil || before-after > limit/20 {
				t.Errorf("%d of %d bytes did not come back, %v", before-after, before, err)
			}
			t.Logf("stopped after %s: %s", time.Since(begin).Round(time.Millisecond), strings.TrimSpace(r.Stderr))
		})
	}
}
