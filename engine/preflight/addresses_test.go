package preflight

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/host"
)

// TestBeyond: addresses above 47 bits are not followed where the kernel has them.
func TestBeyond(t *testing.T) {
	const task, most = 0x7ffffffff000, 1 << 56
	for _, tt := range []struct {
		name  string
		five  bool
		wide  bool
		entry uint64
		s     segment
		want  bool
	}{
		{"usual", true, true, 0x401000, segment{vaddr: 0x400000, memsz: 0x2000}, false},
		{"the last entry of 47 bits", true, true, task - 1, segment{}, false},
		{"the first entry above", true, true, task, segment{}, true},
		{"the last entry of 56 bits", true, true, most - 1, segment{}, true},
		{"an entry above all", true, true, most, segment{}, false},
		{"up to the end of 47 bits", true, true, 0, segment{vaddr: task - 0x1000, memsz: 0x1000}, false},
		{"one byte above", true, true, 0, segment{vaddr: task - 0x1000, memsz: 0x1001}, true},
		{"the last address of 56 bits", true, true, 0, segment{vaddr: most - 1, memsz: 1}, true},
		{"above all", true, true, 0, segment{vaddr: most, memsz: 1}, false},
		{"a kernel without", false, true, task, segment{}, false},
		{"32 bits", true, false, task, segment{}, false},
	} {
		l := &loading{check: &check{host: host.Facts{FiveLevels: tt.five}}}
		p := loads(0, tt.wide, task, tt.s)
		p.header.Entry = tt.entry
		if e := l.beyond(p); (e.unsure != "") != tt.want || e.killed != "" {
			t.Errorf("%s: %+v", tt.name, e)
		}
		if e := l.beyond(nil); e != (end{}) {
			t.Errorf("no loader: %+v", e)
		}
	}
}

// TestUnknownSpace: where the address space is not known, what is small and low finds
// its place.
func TestUnknownSpace(t *testing.T) {
	for wide, limit := range map[bool]uint64{true: oddSpace, false: oddSpan} {
		for _, tt := range []struct {
			name        string
			task        uint64
			vaddr, size uint64
			want        bool // that it is not known
		}{
			{"all of it", 0, 0, limit, false}, {"the end of it", 0, limit - 0x1000, 0x1000, false}, {"more", 0, 0, limit + 1, true},
			{"above", 0, limit, 1, true}, {"more, where it is known", 1 << 47, 0, limit + 1, false},
		} {
			s := space{page: 4096, task: tt.task}
			if e := s.odd(loads(0, wide, 0, segment{vaddr: tt.vaddr, memsz: tt.size})); (e.unsure != "") != tt.want || e.killed != "" {
				t.Errorf("%s of %#x: %+v", tt.name, limit, e)
			}
		}
		if e := (space{page: 4096}).odd(loads(0, wide, 0)); e != (end{}) {
			t.Errorf("no segments: %+v", e)
		}
	}
}

// TestLowAddresses is vm.mmap_min_addr, and what memory a first mapping needs.
func TestLowAddresses(t *testing.T) {
	const task = 1 << 30
	seg := func(vaddr, memsz uint64, flags uint32) segment {
		return segment{offset: vaddr, vaddr: vaddr, filesz: min(memsz, 0x10), memsz: memsz, flags: flags}
	}
	two := []segment{seg(0x10000, 0x10, 6), seg(0x20000, 0x10, 4)}
	for _, tt := range []struct {
		name      string
		at        spot
		typ       uint16
		low, most uint64
		s         []segment
		says      string
	}{
		{"at the lowest", fixed(0), 2, 0x3000, 0, []segment{seg(0x3000, 0x10, 5)}, ""},
		{"below", fixed(0), 2, 0x4000, 0, []segment{seg(0x3ff0, 0x10, 5)}, "mmap_min_addr"},
		{"on a page that begins below", fixed(0), 2, 0x3800, 0, []segment{seg(0x3900, 0x10, 5)}, "mmap_min_addr"},
		{"nothing, below", fixed(0), 2, 0x4000, 0, []segment{seg(0x3000, 0, 5)}, ""},
		{"moved above", fixed(0x10000), 3, 0x4000, 0, []segment{seg(0x1000, 0x10, 5)}, ""},
		{"moved somewhere", spot{}, 3, 0x4000, 0, []segment{seg(0x1000, 0x10, 5)}, ""},
		{"as much memory as there is", fixed(0), 3, 0, 0x11000, two, ""},
		{"more than there is, of a span", fixed(0), 3, 0, 0x8000, two, "bytes of memory"},
		{"the same of a loader", spot{known: true, loader: true}, 2, 0, 0x8000, two, "bytes of memory"},
		{"a fixed program has no span", fixed(0), 2, 0, 0x8000, two, ""},
		{"read only first", fixed(0), 3, 0, 0x8000, []segment{seg(0x10000, 0x10, 4), two[1]}, ""},
		{"written second", fixed(0), 3, 0, 0x8000, []segment{seg(0x10000, 0x10, 4), seg(0x20000, 0x10, 6)}, ""},
	} {
		l := &loading{check: &check{host: host.Facts{MmapMinAddr: tt.low, MaxMapping: tt.most}}}
		p := loads(1<<20, true, task, tt.s...)
		p.header.Type = tt.typ
		if e := l.segments(p, tt.at, "segment"); (e.killed == "") != (tt.says == "") || !strings.Contains(e.killed, tt.says) {
			t.Errorf("%s: %+v", tt.name, e)
		}
	}
}

// TestAligned: a position independent program lies at a multiple of its alignment.
func TestAligned(t *testing.T) {
	s := space{task: 1 << 47, page: 4096, dyn: within{0x555555554000, 0x565555554000}, stack: within{0x7ff000000000, 0x7fffffffe000}}
	for _, tt := range []struct{ aligned, vaddr, lo, hi uint64 }{
		{0, 0, 0x555555554000, 0x565555554000}, {0x1000, 0, 0x555555554000, 0x565555554000}, {0x200000, 0, 0x555555400000, 0x565555400000}, {0x1000, 0x10000, 0x555555544000, 0x565555544000},
	} {
		p := loads(0, true, s.task, segment{vaddr: tt.vaddr, memsz: 0x1000, filesz: 1, aligned: tt.aligned})
		if at, e := s.based(p, 0x1000); e != (end{}) || at.bias != (within{tt.lo, tt.hi}) {
			t.Errorf("aligned to %#x: %#x %+v", tt.aligned, at.bias, e)
		}
	}
}

// TestLoaderNames: the shortest and the longest names of loaders.
func TestLoaderNames(t *testing.T) {
	name := func(n int) []byte { return append([]byte("/l"), make([]byte, n-2)...) }
	for _, tt := range []struct {
		raw  []byte
		want Verdict
		says string
	}{
		{[]byte("l\x00"), Native, ""}, {name(3), Native, ""}, {name(interpMax), Native, ""},
		{name(interpMax + 1), ExecFormatError, "4097 bytes"}, {[]byte("\x00"), ExecFormatError, "1 bytes"}, {[]byte("/l"), ExecFormatError, "has no end"},
	} {
		file := elfSpec{Raw: tt.raw}.Bytes()
		r := Check(t.Context(), memRoot{"/p": file, "/l": elfSpec{Type: 3}.Bytes()}, run("/p"), host.Facts{Platform: lin("amd64", "v1")})
		if r.Verdict != tt.want || !strings.Contains(r.Reason, tt.says) {
			t.Errorf("a name of %d bytes: %s %s", len(tt.raw), r.Verdict, r.Reason)
		}
		want := ""
		if n := len(tt.raw); n >= 2 && n <= interpMax {
			want = strings.TrimRight(string(tt.raw), "\x00")
		}
		if got := foreignLoader(image{head: file[:min(len(file), headSize)], file: bytes.NewReader(file)}); got != want {
			t.Errorf("a foreign program's name of %d bytes: %q", len(tt.raw), got)
		}
	}
}

// TestScriptsInARow: five interpreters, and no more.
func TestScriptsInARow(t *testing.T) {
	for n, want := range map[int]Verdict{1: Native, 5: Native, 6: ExecFormatError, 7: ExecFormatError} {
		root := memRoot{fmt.Sprintf("/s%d", n): elfSpec{}.Bytes()}
		for i := range n {
			root[fmt.Sprintf("/s%d", i)] = fmt.Appendf(nil, "#! \t/s%d \t\n", i+1)
		}
		r := Check(t.Context(), root, run("/s0"), host.Facts{Platform: lin("amd64", "v1")})
		if r.Verdict != want || want != Native && !strings.Contains(r.Reason, "more than five interpreters") {
			t.Errorf("%d: %s %s", n, r.Verdict, r.Reason)
		}
	}
}

// linkedRoot is a root of files and links.
type linkedRoot struct {
	memRoot
	links map[string]string
}

func (r linkedRoot) Lstat(name string) (FileInfo, error) {
	if _, ok := r.links[name]; ok {
		return FileInfo{Type: fs.ModeSymlink, Perm: 0o777}, nil
	}
	return r.memRoot.Lstat(name)
}

func (r linkedRoot) Readlink(name string) (string, error) { return r.links[name], nil }

// TestWalk: the kernel's bounds on names and links, and which link is to blame.
func TestWalk(t *testing.T) {
	links := map[string]string{"/0": "p", "/dangling": "gone", "/to": "d", "/into": "/gone/x", "/empty": ""}
	for i := range 50 {
		links[fmt.Sprintf("/%d", i+1)] = fmt.Sprint(i)
	}
	w := &walker{root: linkedRoot{memRoot{"/p": nil, "/d/f": nil}, links}}
	long := func(n int) string { return strings.Repeat("/", n-1) + "p" }
	for _, tt := range []struct {
		name  string
		want  string // the path, or
		errno unix.Errno
		link  string
	}{
		{"/p", "/p", 0, ""}, {"p", "/p", 0, ""}, {"/d/../p", "/p", 0, ""}, {"/d/", "/d", 0, ""}, {"", "/", 0, ""},
		{"/to/f", "/d/f", 0, ""}, {"/to", "/d", 0, ""}, {"/to/", "/d", 0, ""},
		{"/39", "/p", 0, ""}, {"/40", "", unix.ELOOP, ""}, {"/45", "", unix.ELOOP, ""},
		{long(pathMax - 1), "/p", 0, ""}, {long(pathMax), "", unix.ENAMETOOLONG, ""},
		{"/p/", "", unix.ENOTDIR, ""}, {"/p/x", "", unix.ENOTDIR, ""}, {"/0/", "", unix.ENOTDIR, ""}, {"/empty", "", unix.ENOENT, ""},
		{"/none", "", unix.ENOENT, ""}, {"/dangling", "", unix.ENOENT, "/dangling"}, {"/dangling/x", "", unix.ENOENT, "/dangling"}, {"/to/none", "", unix.ENOENT, ""},
		{"/into", "", unix.ENOENT, "/into"}, {"/into/y", "", unix.ENOENT, "/into"}, {"/to/../dangling", "", unix.ENOENT, "/dangling"},
	} {
		n, f := w.walk("/", tt.name)
		switch {
		case tt.errno == 0 && (f != nil || n.path != tt.want):
			t.Errorf("%.20s: %s %v", tt.name, n.path, f)
		case tt.errno != 0 && (f == nil || f.errno != tt.errno || f.link != tt.link):
			t.Errorf("%.20s: %s %+v", tt.name, n.path, f)
		}
	}
}

// TestMay is generic_permission: the first class that fits counts.
func TestMay(t *testing.T) {
	me := cred{uid: 1000, gid: 5, groups: []uint32{7}}
	for _, tt := range []struct {
		who      cred
		perm     uint32
		uid, gid uint32
		want     bool
	}{
		{me, 0o400, 1000, 9, true}, {me, 0o044, 1000, 5, false}, {me, 0o040, 1, 5, true}, {me, 0o040, 1, 7, true}, {me, 0o040, 1, 9, false},
		{me, 0o004, 1, 9, true}, {me, 0o404, 1, 5, false}, {me, 0o404, 1, 7, false}, {cred{}, 0, 1, 9, true},
	} {
		if got := tt.who.may(FileInfo{Perm: tt.perm, UID: tt.uid, GID: tt.gid}, 4); got != tt.want {
			t.Errorf("%+v, %#o of %d:%d: %t", tt.who, tt.perm, tt.uid, tt.gid, got)
		}
	}
}
