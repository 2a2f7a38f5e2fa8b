package unpack

import (
	"archive/tar"
	"sync/atomic"

	splittar "github.com/vbatts/tar-split/archive/tar"
	"golang.org/x/sys/unix"
)

// inventory is what a tar says of its contents: enough to tell from the files
// that the library made of it whether they are it.
type inventory struct {
	files []content
	room  int64         // bytes of their names
	names *atomic.Int64 // the same of all inventories that are kept at a time
	total int64         // bytes of the tar
	known int64         // of them, those that the record of it has, or knows a file for
	odd   bool          // there is more to it, which only reading the layer back shows
}

// content is the name and size of an entry with contents.
type content struct {
	name string
	size int64
}

// maxNames bounds the memory of the inventories of one Survey.
const maxNames = 32 << 20

// note adds an entry, of which raw are the headers after the padding of the one
// before.
func (v *inventory) note(recorded *splittar.Header, raw []byte, padding int64) {
	hdr, err := parseHeader(raw, padding, recorded)
	v.known += int64(len(raw)) + recorded.Size
	if err != nil || hdr.Name != recorded.Name || hdr.Size != recorded.Size || hdr.Typeflag != recorded.Typeflag ||
		isSparse(recorded.PAXRecords, recorded.Typeflag) || hdr.Size > 0 && hdr.Typeflag != tar.TypeReg {
		v.odd = true
	}
	if v.odd {
		v.forget()
		return
	}
	if recorded.Size == 0 {
		return
	}
	n := int64(len(recorded.Name))
	v.room += n
	if v.names.Add(n) > maxNames {
		v.odd = true
		v.forget()
		return
	}
	v.files = append(v.files, content{recorded.Name, recorded.Size})
}

// forget gives the memory back. The zero value has none.
func (v *inventory) forget() {
	if v.names == nil {
		return
	}
	v.files = nil
	v.names.Add(-v.room)
	v.room = 0
}

// intact tells, without reading them, that the files which the library made of
// the tar in the directory dir have the contents that the tar gave them: each is
// there with its size, none is in the place of another, and the tar has nothing
// that a record of it could lack.
func (v *inventory) intact(dir string) bool {
	if v.odd || v.known != v.total {
		return false
	}
	t, err := openTree(dir)
	if err != nil {
		return false
	}
	defer t.close()
	seen := make(map[[2]uint64]bool, len(v.files)) // by device and inode
	for _, f := range v.files {
		dir, base := split(f.name)
		parent, err := t.open(dir)
		if err != nil {
			return false
		}
		st, err := entry{parent, base}.lstat()
		at := [2]uint64{uint64(st.Dev), st.Ino} //nolint:unconvert // 32 bits on mips
		if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != f.size || seen[at] {
			return false
		}
		seen[at] = true
	}
	return true
}
