package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/host"
)

// stack builds the directories of some layers, lowest first.
func stack(base string, builds ...func(tree)) []string {
	var dirs []string
	for i, b := range builds {
		t := tree{Root: filepath.Join(base, fmt.Sprint("layer", i))}
		must(os.MkdirAll(t.Root, 0o755))
		b(t)
		dirs = append(dirs, t.Root)
	}
	return dirs
}

// TestLayersArchiveMarks checks removal by the marks of layer archives, which
// no kernel shows.
func TestLayersArchiveMarks(t *testing.T) {
	dirs := stack(t.TempDir(),
		func(l tree) {
			l.ELF("bin/gone", elfSpec{})
			l.ELF("bin/kept", elfSpec{})
			l.ELF("bin/changed", elfSpec{})
			l.ELF("opaque/old", elfSpec{})
			l.ELF("removed/x", elfSpec{})
			l.ELF("filethendir", elfSpec{})
		},
		func(l tree) {
			l.File("bin/.wh.gone", nil, 0o644)
			l.ELF("bin/changed", elfSpec{Arch: "arm64"})
			l.File("opaque/.wh..wh..opq", nil, 0o644)
			l.ELF("opaque/new", elfSpec{})
			l.File(".wh.removed", nil, 0o644)
			l.ELF("filethendir/x", elfSpec{})
		},
		func(l tree) { l.ELF("removed/y", elfSpec{}); l.ELF("bin/again/gone", elfSpec{}) })
	root, err := OpenLayers(dirs)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	shelf := &Shelf{Room: 1} // for one of the two lower layers
	defer shelf.Close()
	machine := host.Facts{Platform: lin("amd64", "")}
	for name, want := range map[string]Verdict{
		"/bin/gone": NotFound, "/bin/kept": Native, "/bin/changed": ExecFormatError, "/opaque/old": NotFound, "/opaque/new": Native, "/removed/x": NotFound,
		"/removed/y": Native, "/filethendir": PermissionDenied, "/filethendir/x": Native, "/bin/.wh.gone": NotFound, "/bin/again/gone": Native, "/opaque/.wh..wh..opq": NotFound,
	} {
		if r := Check(context.Background(), root, run(name), machine); r.Verdict != want {
			t.Errorf("%s: %s %s, want %s", name, r.Verdict, r.Reason, want)
		}
		again, err := shelf.OpenLayers(dirs) // each time with what was found before
		if err != nil {
			t.Fatal(err)
		}
		if r := Check(context.Background(), again, run(name), machine); r.Verdict != want || len(again.own) != 2 {
			t.Errorf("%s, with a shelf: %s %s, want %s; %d directories are its own", name, r.Verdict, r.Reason, want, len(again.own))
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
	none, err := OpenLayers(nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := Check(context.Background(), none, run("sh"), machine); r.Verdict != NotFound {
		t.Errorf("an image without layers: %s %s", r.Verdict, r.Reason)
	}
	if _, err := OpenLayers([]string{dirs[0], dirs[0] + "/none"}); err == nil {
		t.Error("a missing layer is opened")
	}
}

// TestSwappedLink checks that a link never leads out of the directory, even
// where the resolver has not looked.
func TestSwappedLink(t *testing.T) {
	outside := t.TempDir()
	must(os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o644))
	tr := tree{Root: t.TempDir()}
	tr.Link("dir", outside)
	tr.Link("file", filepath.Join(outside, "secret"))
	tr.Fifo("fifo")
	root, err := OpenDir(tr.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if fi, err := root.Lstat("/dir/secret"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a linked directory leads to %v, %v", fi, err)
	}
	for _, name := range []string{"/file", "/fifo", "/"} {
		if f, err := root.Open(name); err == nil {
			_ = f.Close()
			t.Errorf("%s is opened", name)
		}
	}
	if fi, err := root.Lstat("/../../etc"); err == nil {
		t.Errorf("dots lead to %v", fi)
	}
}

// overlayFacts compares Layers with a mounted overlay, name by name, in the
// worker's namespaces. It returns what differs.
func overlayFacts(base string) string {
	must(os.MkdirAll(filepath.Join(base, "m"), 0o755))
	white := func(l tree, name string) {
		must(os.MkdirAll(filepath.Dir(l.At(name)), 0o755))
		must(unix.Mknod(l.At(name), unix.S_IFCHR, 0))
	}
	opaque := func(l tree, name string) {
		must(os.MkdirAll(l.At(name), 0o755))
		must(unix.Setxattr(l.At(name), "user.overlay.opaque", []byte("y"), 0))
	}
	dirs := stack(base,
		func(l tree) {
			for _, n := range []string{"a/1", "a/2", "b/1", "b/2", "c/d/e/1", "f/1", "g/1", "k", "m/1"} {
				l.ELF(n, elfSpec{})
			}
			l.Link("h", "a")
			l.Link("i/1", "/a/1")
		},
		func(l tree) {
			white(l, "a/1")
			opaque(l, "b")
			l.ELF("b/3", elfSpec{Arch: "arm64"})
			white(l, "c/d")
			l.File("f/1", []byte("new"), 0o711)
			l.ELF("h/1", elfSpec{})
			white(l, "k")
			l.Link("m", "a")
		},
		func(l tree) {
			l.ELF("a/1/x", elfSpec{})
			l.ELF("c/d/n", elfSpec{})
			l.ELF("b/2/y", elfSpec{})
			l.Dir("f", 0o700)
			l.ELF("k/1", elfSpec{})
			white(l, "g")
			l.ELF("m/2", elfSpec{})
			must(os.Link(l.At("m/2"), l.At("m/3")))
		})
	mnt := filepath.Join(base, "m")
	opts := "userxattr,lowerdir=" + dirs[2] + ":" + dirs[1] + ":" + dirs[0]
	must(unix.Mount("overlay", mnt, "overlay", 0, opts))
	shelf := Shelf{Room: len(dirs)}
	defer shelf.Close()
	layers, err := shelf.OpenLayers(dirs)
	must(err)
	mounted, err := OpenDir(mnt)
	must(err)
	defer layers.Close()
	defer mounted.Close()
	var diff strings.Builder
	names := map[string]bool{}
	for _, d := range append(dirs, mnt) {
		must(filepath.WalkDir(d, func(p string, _ fs.DirEntry, err error) error {
			names["/"+strings.TrimPrefix(strings.TrimPrefix(p, d), "/")] = true
			return err
		}))
	}
	for n := range names {
		a, aerr := layers.Lstat(n)
		b, berr := mounted.Lstat(n)
		a.Size, b.Size = a.Size*sized(a), b.Size*sized(b)
		if (aerr == nil) != (berr == nil) || a != b || aerr != nil && !errors.Is(aerr, fs.ErrNotExist) {
			fmt.Fprintf(&diff, "%s: %+v %v, mounted %+v %v\n", n, a, aerr, b, berr)
		}
	}
	if len(names) < 25 {
		fmt.Fprintf(&diff, "only %d names compared", len(names))
	}
	return diff.String()
}

// sized is 1 for entries whose size says something.
func sized(fi FileInfo) int64 {
	if fi.Type.IsDir() {
		return 0
	}
	return 1
}
