package integration

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mpull/mpull"

// arrow is one rule of the architecture: packages in from (a folder and all
// below it) may import, of what begins with to, nothing but allowed.
type arrow struct {
	from, to string
	allowed  []string // folders, each with all below it, or whole import paths
	but      string   // a folder below from that has a rule of its own
	why      string
}

// arrows are the rules of docs/design.md over production code.
func arrows() []arrow {
	return []arrow{
		{from: "cmd", to: module, allowed: []string{"cmd", "engine", "store", "gc"}, why: "cmd -> engine -> store, gc"},
		{from: "engine", to: module, allowed: []string{"engine", "store", "gc"}, why: "cmd -> engine -> store, gc"},
		{from: "engine/platform", to: module, why: "platforms depend on nothing of ours"},
		{from: "engine/platform", to: "go.podman.io", why: "platforms depend on no store and no registry"},
		{from: "engine/platform", to: "io", why: "platforms are values"},
		{from: "engine/platform", to: "net", why: "platforms are values"},
		{from: "engine/platform", to: "os", why: "platforms are values"},
		{from: "engine/platform", to: "runtime", why: "what a platform means depends on no machine"},
		{from: "engine/platform", to: "syscall", why: "platforms are values"},
		{from: "engine/platform", to: "golang.org/x/sys", why: "platforms are values"},
		{from: "engine/host", to: module, allowed: []string{"engine/platform"}, why: "facts about a machine depend on no store and no image"},
		{from: "engine/host", to: "go.podman.io", why: "facts about a machine depend on no store and no image"},
		{from: "engine/registry", to: module, allowed: []string{"engine/children", "engine/platform", "engine/userfile"}, why: "what a registry says depends on no store"},
		{from: "engine/ask", to: module, allowed: []string{"engine/platform", "engine/registry", "store"}, why: "asking knows no use case"},
		{from: "engine/container", to: module, allowed: []string{"engine/children", "engine/preflight", "store/query"}, why: "a container is started from values"},
		{from: "engine/pack", to: module, allowed: []string{"engine/archive", "store"}, why: "images are packed from values and layers"},
		{from: "engine/userfile", to: module, why: "files depend on nothing of ours"},
		{from: "engine/preflight", to: module, allowed: []string{"engine/host", "engine/platform"}, why: "preflight looks into a root file system that it is given"},
		{from: "engine/preflight", to: "os/exec", why: "nothing is executed to find out about an image"},
		{from: "engine/preflight", to: "syscall", why: "nothing is executed to find out about an image"},
		{from: "gc", to: module, allowed: []string{"store"}, why: "gc decides over the store's values"},
		{from: "gc", to: "go.podman.io", why: "gc opens no store"},
		{from: "store", to: module, allowed: []string{"store", "engine/platform"}, but: "store/query", why: "the store imports nothing of ours but the values of platforms"},
		{from: "store/query", to: module, allowed: []string{"store", "engine/platform"}, why: "a snapshot is asked about platforms, and nothing else of the engine"},
		{from: "store/query", to: "go.podman.io/storage", why: "questions are answered from values"},
		{from: "store/query", to: "os", why: "questions are answered from values"},
		{from: "store/unpack", to: module, allowed: []string{"store/inflate"}, why: "unpacking is a pass over a stream and knows nothing of ours but its decoder"},
		{from: "store/inflate", to: module, why: "decompressing imports nothing of ours"},
		{from: "engine", to: "go.podman.io/storage", allowed: []string{"go.podman.io/storage/pkg/unshare", "go.podman.io/storage/pkg/configfile", "go.podman.io/storage/pkg/ioutils"}, why: "package store is the only door to containers/storage"},
		{from: "cmd", to: "go.podman.io/storage", allowed: []string{"go.podman.io/storage/pkg/reexec", "go.podman.io/storage/pkg/unshare"}, why: "package store is the only door to containers/storage"},
		{from: "engine", to: "github.com/urfave/cli", why: "only cmd knows of a command line"},
		{from: "store", to: "github.com/urfave/cli", why: "only cmd knows of a command line"},
		{from: "gc", to: "github.com/urfave/cli", why: "only cmd knows of a command line"},
		{from: "engine", to: "github.com/sirupsen/logrus", why: "only cmd sets up the libraries' log"},
		{from: "store", to: "github.com/sirupsen/logrus", why: "only cmd sets up the libraries' log"},
		{from: "gc", to: "github.com/sirupsen/logrus", why: "only cmd sets up the libraries' log"},
		{from: ".", to: "debug/elf", why: "it is not hardened against hostile files"},
		{from: ".", to: "github.com/moby/go-archive", why: "layers are unpacked in a root of their own"},
		{from: ".", to: "github.com/containers/image", why: "it moved to go.podman.io/image"},
		{from: ".", to: "github.com/containers/storage", why: "it moved to go.podman.io/storage"},
	}
}

// imports maps the folder of each package of ours to what it imports.
type imports map[string][]string

// wrong lists the imports that break a rule, sorted.
func wrong(rules []arrow, all imports) []string {
	var found []string
	for _, a := range rules {
		for dir, paths := range all {
			if !within(dir, a.from) || a.but != "" && within(dir, a.but) {
				continue
			}
			for _, p := range paths {
				if within(p, a.to) && !slices.ContainsFunc(a.allowed, func(ok string) bool {
					return within(p, ok) || within(p, module+"/"+ok)
				}) {
					found = append(found, fmt.Sprintf("%s imports %s: %s", dir, p, a.why))
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// within tells whether a slash-separated path is dir or below it.
func within(p, dir string) bool {
	return dir == "." || p == dir || strings.HasPrefix(p, dir+"/")
}

// TestArrows reads the imports of all production code, for every operating
// system and architecture, and holds them against the rules.
func TestArrows(t *testing.T) {
	all := imports{}
	eachFile(t, func(dir string, f *ast.File) {
		for _, spec := range f.Imports {
			all[dir] = append(all[dir], strings.Trim(spec.Path.Value, `"`))
		}
	})
	for _, must := range []string{"cmd/mpull", "engine", "engine/host", "engine/platform", "engine/preflight", "engine/registry", "gc", "store"} {
		if len(all[must]) == 0 {
			t.Errorf("no imports of %s were read: this test sees nothing there", must)
		}
	}
	for _, w := range wrong(arrows(), all) {
		t.Error(w)
	}
}

// TestArrowsCanFail shows for each rule that breaking it is noticed.
func TestArrowsCanFail(t *testing.T) {
	for _, a := range arrows() {
		bad := a.to
		if a.to == module {
			bad = module + "/integration/testimage"
		}
		all := imports{path.Join(a.from, "sub"): {"fmt", bad}}
		if len(wrong([]arrow{a}, all)) != 1 {
			t.Errorf("%s importing %s breaks %q, and nobody says so", a.from, bad, a.why)
		}
	}
	good := imports{"gc": {module + "/store", "fmt"}, "cmd/mpull": {module + "/engine", "github.com/urfave/cli/v2"}, "store": {"go.podman.io/storage"}, "storefront": {module + "/cmd"}}
	if w := wrong(arrows(), good); len(w) != 0 {
		t.Errorf("allowed imports are reported: %v", w)
	}
}

// TestGCUsesValuesOnly holds gc to the values of package store: what opens,
// locks or changes a store is out of its reach.
func TestGCUsesValuesOnly(t *testing.T) {
	usesOnly(t, "gc", "store", []string{"Snapshot", "Image", "Layer", "Container", "Config", "History", "Displacement", "Party", "Deletion", "Download", "Removal", "Usage", "ErrInUse", "ErrMounted", "IsGone"})
}

// TestPreflightAsks holds preflight to the values of package host: what reads or
// executes something on this machine is behind the interface that it asks.
func TestPreflightAsks(t *testing.T) {
	usesOnly(t, "engine/preflight", "host", []string{
		"Binfmt", "DecodeELF", "ELFClass32", "ELFClass64", "ELFHeader", "ELFOrder", "ELFPlatform", "ELFTypeDyn", "ELFTypeExec", "EmulatorPackages",
		"Facts", "Handler", "Loader", "OpenedFile", "UsualStack",
	})
}

// usesOnly reports what the packages in dir use of another, named pkg, beside
// these values.
func usesOnly(t *testing.T, dir, pkg string, values []string) {
	t.Helper()
	used := 0
	eachFile(t, func(in string, f *ast.File) {
		if !within(in, dir) {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg && x.Obj == nil {
				used++
				if !slices.Contains(values, sel.Sel.Name) {
					t.Errorf("%s uses %s.%s, which is no value", in, pkg, sel.Sel.Name)
				}
			}
			return true
		})
	})
	if used == 0 {
		t.Errorf("%s uses nothing of %s: this test sees nothing", dir, pkg)
	}
}

// eachFile parses every Go file of the module but tests, integration and
// contrib, whatever its build constraints.
func eachFile(t *testing.T, f func(dir string, file *ast.File)) {
	t.Helper()
	root := ".."
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("the module is not above this test: %v", err)
	}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || rel == "integration" || rel == "contrib" || rel == "bin" || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		f(path.Dir(rel), file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
