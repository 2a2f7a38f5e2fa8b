package preflight

import (
	"bytes"
	"cmp"
	"path"
)

// newMusl looks for libraries as load_library of ldso/dynlink.c.
func newMusl(k *linking, file []byte) finder {
	system := k.muslDirs(file)
	return finder{
		own:      []string{"libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet."},
		dirs:     k.muslPath,
		cached:   func(*object, string) []string { return nil },
		fallback: func(*object) []string { return system },
		picky:    true,
	}
}

// muslDirs reads the directories of the system from /etc/ld-musl-ARCH.path, a
// name that the loader holds, below the directory that the loader lies in.
func (k *linking) muslDirs(file []byte) []string {
	if i := bytes.Index(file, []byte(muslPathFile)); i >= 0 {
		name, _, _ := cString(file[i:min(len(file), i+pathMax)])
		prefix := path.Dir(path.Dir(k.asked))
		if list := k.small(path.Join(prefix, name), maxPathFile); list != nil {
			return searchPath(string(list), ":\n", "", "")
		}
	}
	return []string{"/lib", "/usr/local/lib", "/usr/lib"}
}

// muslPathFile is how the name of the file begins.
const muslPathFile = "/etc/ld-musl-"

const maxPathFile = 64 << 10

func (k *linking) muslPath(of *object) []string {
	dirs := searchPath(k.environ("LD_LIBRARY_PATH"), ":\n", "", "")
	for o := of; o != nil; o = o.by {
		dirs = append(dirs, searchPath(cmp.Or(o.dyn.runpath, o.dyn.rpath), ":\n", "", path.Dir(o.path))...)
	}
	return dirs
}
