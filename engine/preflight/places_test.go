package preflight

import (
	"errors"
	"io/fs"
	"maps"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
)

// oddRoot is a root of files, of which some are not what they seem.
type oddRoot struct {
	memRoot
	odd map[string]FileInfo
}

func (r oddRoot) Lstat(name string) (FileInfo, error) {
	if fi, ok := r.odd[name]; ok {
		return fi, nil
	}
	return r.memRoot.Lstat(name)
}

// TestFilesNotTaken: a loader passes by what it cannot open, and reads no list that it
// cannot.
func TestFilesNotTaken(t *testing.T) {
	lib, text := dso{}.bytes(), []byte("text")
	needs := dso{needs: []string{"a.so"}}.bytes()
	cache := ldCache(layouts()[0].order, listed{"a.so", "/own/a.so", 0})
	const gone, notOne = `needs the library "a.so", which is nowhere`, `"/lib/a.so" is not one for this program`
	for _, tt := range []struct {
		name  string
		files memRoot
		odd   map[string]FileInfo
		says  string
	}{
		{"a file that others read", memRoot{"/lib/a.so": text, "/usr/lib/a.so": lib}, map[string]FileInfo{"/lib/a.so": {Perm: 0o700, Size: 4}}, ""},
		{"the same, alone", memRoot{"/lib/a.so": lib}, map[string]FileInfo{"/lib/a.so": {Perm: 0o711, Size: int64(len(lib))}}, gone},
		{"one that all read", memRoot{"/lib/a.so": lib}, map[string]FileInfo{"/lib/a.so": {Perm: 0o444, Size: int64(len(lib))}}, ""},
		{"a FIFO", memRoot{"/usr/lib/a.so": lib}, map[string]FileInfo{"/lib/a.so": {Type: fs.ModeNamedPipe, Perm: 0o666}}, ""},
		{"a directory", memRoot{"/usr/lib/a.so": lib}, map[string]FileInfo{"/lib/a.so": {Type: fs.ModeDir, Perm: 0o755}}, notOne},
		{"a directory that others read", memRoot{"/usr/lib/a.so": lib}, map[string]FileInfo{"/lib/a.so": {Type: fs.ModeDir, Perm: 0o711}}, ""},
		{"a list", memRoot{"/own/a.so": lib, "/etc/ld.so.cache": cache}, nil, ""},
		{"a list that others read", memRoot{"/own/a.so": lib, "/etc/ld.so.cache": cache}, map[string]FileInfo{"/etc/ld.so.cache": {Perm: 0o600, Size: int64(len(cache))}}, gone},
		{"a list that is a FIFO", memRoot{"/own/a.so": lib, "/etc/ld.so.cache": cache}, map[string]FileInfo{"/etc/ld.so.cache": {Type: fs.ModeNamedPipe, Perm: 0o644, Size: int64(len(cache))}}, gone},
	} {
		root := oddRoot{memRoot{"/p": needs, "/ld": loaderLike(likeGlibc), "/lib/other": nil}, tt.odd}
		maps.Copy(root.memRoot, tt.files)
		r := Check(t.Context(), root, Command{Entrypoint: []string{"/p"}, User: "1000"}, host.Facts{Platform: lin("amd64", "v1")})
		if (r.Verdict == Native) != (tt.says == "") || !strings.Contains(r.Reason, tt.says) {
			t.Errorf("%s: %s %s, want %q", tt.name, r.Verdict, r.Reason, tt.says)
		}
	}
}

// TestPagesOfLibraries: a library is linked for the kernel's pages or larger ones, where
// these are not the usual ones.
func TestPagesOfLibraries(t *testing.T) {
	o := layouts()[0].order
	aligned := func(n uint64) []byte {
		b := dso{}.bytes()
		for i := range int(o.Uint16(b[56:])) {
			if ph := b[int(o.Uint64(b[32:]))+56*i:]; o.Uint32(ph) == ptLoad {
				o.PutUint64(ph[48:], n)
			}
		}
		return b
	}
	for _, tt := range []struct {
		linked uint64
		page   int
		want   Verdict
	}{
		{0x1000, 1 << 12, Native}, {0x10, 1 << 12, Native}, {0x1000, 1 << 14, Unknown}, {0x2000, 1 << 14, Unknown}, {0x4000, 1 << 14, Native}, {0x10000, 1 << 14, Native}, {0x4000, 1 << 16, Unknown},
	} {
		root := memRoot{"/p": dso{needs: []string{"a.so"}}.bytes(), "/ld": loaderLike(likeGlibc), "/lib/a.so": aligned(tt.linked)}
		r := Check(t.Context(), root, run("/p"), host.Facts{Platform: lin("amd64", "v1"), PageSize: tt.page})
		if r.Verdict != tt.want || tt.want == Unknown && !strings.Contains(r.Reason, "/lib/a.so was linked for pages of") {
			t.Errorf("linked for %#x, pages of %#x: %s %s", tt.linked, tt.page, r.Verdict, r.Reason)
		}
	}
}

// TestMounted: what shows where a runtime mounts, and what of the image does.
func TestMounted(t *testing.T) {
	dir, file, link := FileInfo{Type: fs.ModeDir, Perm: 0o700}, FileInfo{Perm: 0o644}, FileInfo{Type: fs.ModeSymlink, Perm: 0o777}
	image := oddRoot{memRoot{"/dev/own": nil, "/run/own": nil, "/var/own": nil, "/devices": nil}, map[string]FileInfo{"/proc": dir, "/link": link, "/link/own": file}}
	m := Mounted(image, "/run", "/link", "/none")
	for name, want := range map[string]string{
		"/proc": "dr-xr-xr-x", "/proc/self": "kernel", "/sys": "dr-xr-xr-x", "/sys/x": "kernel", "/procs": "", "/dev": "drwxr-xr-x",
		"/dev/own": "", "/dev/null": "Dcrw-rw-rw-", "/dev/fd": "Lrwxrwxrwx", "/dev/shm": "dtrwxrwxrwx", "/dev/pts": "drwxr-xr-x", "/devices": "-rwxr-xr-x",
		"/run": "dtrwxrwxrwx", "/run/own": "", "/none": "dtrwxrwxrwx", "/none/x": "", "/var/own": "-rwxr-xr-x", "/link": "Lrwxrwxrwx", "/link/own": "-rw-r--r--",
	} {
		fi, err := m.Lstat(name)
		got := ""
		switch {
		case err == nil:
			mode := fi.Type | fs.FileMode(fi.Perm&0o777)
			if fi.Perm&0o1000 != 0 {
				mode |= fs.ModeSticky
			}
			got = mode.String()
		case errors.Is(err, errKernels):
			got = "kernel"
		}
		if got != want {
			t.Errorf("%s: %s %v, want %q", name, got, err, want)
		}
	}
	if to, err := m.Readlink("/dev/stdin"); err != nil || to != "/proc/self/fd/0" {
		t.Errorf("/dev/stdin: %s %v", to, err)
	}
	linked := Mounted(oddRoot{memRoot{}, map[string]FileInfo{"/dev": link}})
	if _, err := linked.Readlink("/dev/stdin"); err == nil {
		t.Error("the runtime follows a link /dev of the image, and puts no links beside")
	}
	for name, tt := range map[string]struct {
		odd  map[string]FileInfo
		says string
	}{
		"nothing": {nil, ""}, "directories": {map[string]FileInfo{"/proc": dir, "/sys": dir, "/dev": dir}, ""}, "a link for /dev": {map[string]FileInfo{"/dev": link}, ""},
		"a file for /dev": {map[string]FileInfo{"/dev": file}, "/dev of the image"}, "a file for /proc": {map[string]FileInfo{"/proc": file}, "/proc of the image"}, "a link for /sys": {map[string]FileInfo{"/sys": link}, "/sys of the image"},
	} {
		if got := Unmountable(oddRoot{memRoot{}, tt.odd}); (got == "") != (tt.says == "") || !strings.HasPrefix(got, tt.says) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
