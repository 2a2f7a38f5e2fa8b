package preflight

import (
	"bytes"
	"path"
	"slices"
	"strings"
)

// musl looks for libraries as load_library of ldso/dynlink.c.
type musl struct {
	system []string
}

// newMusl reads the directories of the system from /etc/ld-musl-ARCH.path, a
// name that the loader holds, below the directory that the loader lies in.
func newMusl(k *linking, file []byte) *musl {
	m := &musl{searchPath("/lib:/usr/local/lib:/usr/lib", ":", "", "")}
	i := bytes.Index(file, []byte(muslPathFile))
	if i < 0 {
		return m
	}
	name, _, _ := cString(file[i:min(len(file), i+pathMax)])
	prefix := path.Dir(path.Dir(k.asked))
	if list := k.small(path.Join(prefix, name), maxPathFile); list != nil {
		m.system = searchPath(string(list), ":\n", "", "")
	}
	return m
}

// muslPathFile is how the name of the file begins.
const muslPathFile = "/etc/ld-musl-"

const maxPathFile = 64 << 10

// builtIn tells the names of libraries that the loader is itself.
func (m *musl) builtIn(name string) bool {
	rest, ok := strings.CutPrefix(name, "lib")
	own := []string{"c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."}
	return ok && slices.ContainsFunc(own, func(name string) bool { return strings.HasPrefix(rest, name) })
}

func (m *musl) dirs(k *linking, of *object) []string {
	dirs := searchPath(k.environ("LD_LIBRARY_PATH"), ":\n", "", "")
	for o := of; o != nil; o = o.by {
		list := o.dyn.runpath
		if list == "" {
			list = o.dyn.rpath
		}
		dirs = append(dirs, searchPath(list, ":\n", "", path.Dir(o.path))...)
	}
	return dirs
}

func (m *musl) cached(*linking, *object, string) []string { return nil }

func (m *musl) fallback(*linking, *object) []string { return m.system }

func (m *musl) below() []string { return nil }
func (m *musl) picky() bool     { return true }
func (m *musl) levels() bool    { return false }
func (m *musl) versions() bool  { return false }
func (m *musl) lazy() bool      { return false }
