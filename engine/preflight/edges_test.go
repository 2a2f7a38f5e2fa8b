package preflight

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/host"
)

// linkRoot is a root with one link, /d/l, to a file /f.
type linkRoot struct{ dir, link FileInfo }

func (r linkRoot) Lstat(name string) (FileInfo, error) {
	switch name {
	case "/":
		return FileInfo{Type: fs.ModeDir, Perm: 0o755}, nil
	case "/d":
		return r.dir, nil
	case "/d/l":
		return r.link, nil
	case "/f":
		return FileInfo{Perm: 0o755}, nil
	}
	return FileInfo{}, fs.ErrNotExist
}

func (linkRoot) Readlink(string) (string, error) { return "/f", nil }

func (linkRoot) Open(string) (File, error) { return nil, fs.ErrInvalid }

// TestProtectedLinks is the table of may_follow_link of fs/namei.c.
func TestProtectedLinks(t *testing.T) {
	const me, other, owner = 1000, 1001, 1002
	for _, tt := range []struct {
		name            string
		protected       bool
		perm, dir, link uint32 // of the directory; who owns it, and the link
		want            unix.Errno
	}{
		{"another's link", true, 0o1777, owner, other, unix.EACCES},
		{"not protected", false, 0o1777, owner, other, 0},
		{"one's own link", true, 0o1777, owner, me, 0},
		{"the link of the directory's owner", true, 0o1777, owner, owner, 0},
		{"not sticky", true, 0o777, owner, other, 0},
		{"not for all to write", true, 0o1775, owner, other, 0},
	} {
		root := linkRoot{FileInfo{Type: fs.ModeDir, Perm: tt.perm, UID: tt.dir}, FileInfo{Type: fs.ModeSymlink, Perm: 0o777, UID: tt.link}}
		w := &walker{root: root, cred: cred{uid: me, gid: me}, protectedSymlink: tt.protected}
		n, f := w.walk("/", "/d/l")
		if tt.want == 0 && (f != nil || n.path != "/f") || tt.want != 0 && (f == nil || f.errno != tt.want) {
			t.Errorf("%s: %+v, %v", tt.name, n, f)
		}
	}
}

// TestUnpadded: the rest of the last page of a writable segment is cleared, which
// fails where that page begins at the end of the file or behind it.
func TestUnpadded(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    segment
		size int64
		want bool
	}{
		{"the page begins one byte before the end", segment{flags: pfWrite, vaddr: 0x1000, filesz: 0x1010, memsz: 0x2000}, 0x1001, false},
		{"the page begins at the end", segment{flags: pfWrite, vaddr: 0x1000, filesz: 0x1010, memsz: 0x2000}, 0x1000, true},
		{"the page begins behind the end", segment{flags: pfWrite, vaddr: 0x1000, filesz: 0x1010, memsz: 0x2000}, 0xfff, true},
		{"one byte of the page", segment{flags: pfWrite, vaddr: 0x1000, filesz: 0x1001, memsz: 0x2000}, 0x1000, true},
		{"nothing of the page", segment{flags: pfWrite, vaddr: 0x1000, filesz: 0x1000, memsz: 0x2000}, 0x800, false},
		{"an address within a page", segment{flags: pfWrite, offset: 0x10, vaddr: 0x1010, filesz: 0xff0, memsz: 0x2000}, 0x10, false},
		{"nothing more in memory", segment{flags: pfWrite, vaddr: 0x1000, filesz: 0x1010, memsz: 0x1010}, 0x1000, false},
		{"not writable", segment{vaddr: 0x1000, filesz: 0x1010, memsz: 0x2000}, 0x1000, false},
		{"nothing in the file", segment{flags: pfWrite, vaddr: 0x1010, memsz: 0x2000}, 0, false},
	} {
		p := &program{image: image{size: tt.size}, page: 4096}
		if got := p.unpadded(tt.s); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestAttributeTags: values before Tag_CPU_arch are passed over, numbers, texts,
// and one tag that has both.
func TestAttributeTags(t *testing.T) {
	const arch = "\x06\x0a" // v7
	for name, tags := range map[string]string{
		"alone": "", "a raw name": "\x04a name\x00", "a name": "\x05a name\x00", "a number": "\x08\x01", "a long number": "\x08\x81\x01",
		"an even tag": "\x40\x06", "an odd tag": "\x41\x06\x05\x00", "an odd number": "\x1f\x06", "both": "\x20\x06\x06\x07\x00",
		"conformance": "\x432.09\x00", "a long tag": "\xc1\x01text\x00", "several": "\x05x\x00\x40\x01\x41y\x00",
	} {
		body := tags + arch
		file := "\x01" + word(len(body)+5) + body
		section := "A" + word(len(file)+10) + "aeabi\x00" + file
		if got := cpuArch([]byte(section), binary.LittleEndian); got != 10 {
			t.Errorf("%s: %d", name, got)
		}
	}
	for name, tags := range map[string]string{"a text without end": "\x05name", "an odd tag without end": "\x41name", "half a number": "\x08\x81", "no tag": "\x81"} {
		if got := tagValue([]byte(tags)); got != -1 {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func word(n int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

// TestLowestHint: a loader that is linked for an address is put there when the
// program lies at a fixed one, but no lower than the kernel may choose.
func TestLowestHint(t *testing.T) {
	facts := host.Facts{Platform: lin("amd64", "v1"), MmapMinAddr: 4096, MmapRndBits: 28}
	s := spaceOf(facts.Loaders()[0], facts, facts.Stack(), 0)
	main := &program{page: 4096, loads: []segment{{typ: ptLoad, vaddr: 0x400000, filesz: 0x1000, memsz: 0x1000}}}
	for _, tt := range []struct{ linked, low, want uint64 }{
		{0x1000, 4096, 1 << 16}, {0xf000, 4096, 1 << 16}, {0x10000, 4096, 0x10000}, {0x11000, 4096, 0x11000}, {0x1000, 1 << 17, 1 << 17}, {0x200000, 4096, 0x200000},
	} {
		s.low = tt.low
		ld := &program{image: image{file: bytes.NewReader(nil)}, page: 4096, loads: []segment{{typ: ptLoad, vaddr: tt.linked, filesz: 0x1000, memsz: 0x1000}}}
		if at, e := s.mappedLoader(ld, main, within{}, true); at != fixed(tt.want-tt.linked) || e != (end{}) {
			t.Errorf("linked for %#x, %#x is the lowest: %+v %+v, want %#x", tt.linked, tt.low, at, e, tt.want)
		}
	}
	for name, linked := range map[string]uint64{"its program is there": 0x400000, "the last page overlaps": 0x3ff800, "it asks for no address": 0} {
		ld := &program{page: 4096, loads: []segment{{typ: ptLoad, vaddr: linked, filesz: 0x1000, memsz: 0x1000}}}
		if at, _ := s.mappedLoader(ld, main, within{}, true); at.known {
			t.Errorf("%s: %+v", name, at)
		}
	}
}
