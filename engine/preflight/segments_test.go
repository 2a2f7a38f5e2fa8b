package preflight

import (
	"slices"
	"testing"

	"github.com/mpull/mpull/engine/host"
)

// loads is a program of such segments, in pages of 4096 bytes.
func loads(size int64, class64 bool, task uint64, segments ...segment) *program {
	p := &program{loader: host.Loader{Class64: class64, TaskSize: task}, page: 4096, loads: segments}
	p.size = size
	return p
}

// TestLastPage: what follows a segment's bytes on their last page is cleared, where
// it may be written; the page must be one of the file.
func TestLastPage(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    segment
		size int64
		want bool // that it cannot be cleared
	}{
		{"the file ends with the segment", segment{vaddr: 0x1000, filesz: 0x10, memsz: 0x20, flags: 6}, 0x10, false},
		{"one byte of the page is there", segment{offset: 0x1000, vaddr: 0x1000, filesz: 0x10, memsz: 0x20, flags: 6}, 0x1001, false},
		{"none is", segment{offset: 0x1000, vaddr: 0x1000, filesz: 0x10, memsz: 0x20, flags: 6}, 0x1000, true},
		{"nor the page before", segment{offset: 0x1000, vaddr: 0x1000, filesz: 0x10, memsz: 0x20, flags: 6}, 0x800, true},
		{"the second page begins behind the end", segment{vaddr: 0x1000, filesz: 0x1001, memsz: 0x2000, flags: 6}, 0x1000, true},
		{"the second page is there", segment{vaddr: 0x1000, filesz: 0x1001, memsz: 0x2000, flags: 6}, 0x1001, false},
		{"a whole page has no rest", segment{offset: 0x1000, vaddr: 0x1000, filesz: 0x1000, memsz: 0x2000, flags: 6}, 0, false},
		{"a whole page that begins within one", segment{offset: 0x10, vaddr: 0x1010, filesz: 0xff0, memsz: 0x2000, flags: 6}, 0x10, false},
		{"it may not be written", segment{offset: 0x1000, vaddr: 0x1000, filesz: 0x10, memsz: 0x20, flags: 5}, 0, false},
		{"nothing follows", segment{offset: 0x1000, vaddr: 0x1000, filesz: 0x10, memsz: 0x10, flags: 6}, 0, false},
		{"nothing is in the file", segment{offset: 0x1000, vaddr: 0x1010, memsz: 0x10, flags: 6}, 0, false},
	} {
		if got := loads(tt.size, true, 0).unpadded(tt.s); got != tt.want {
			t.Errorf("%s: unpadded = %t", tt.name, got)
		}
	}
}

// TestSegment is elf_load: what a segment must be for the kernel to map it.
func TestSegment(t *testing.T) {
	const task = 0x10000000
	whole := segment{offset: 0x1010, vaddr: 0x401010, filesz: 0x10, memsz: 0x20, flags: 6}
	for _, tt := range []struct {
		name   string
		change func(*segment)
		at     spot
		want   bool
	}{
		{"whole", func(*segment) {}, fixed(0), true},
		{"as much in memory as in the file", func(s *segment) { s.memsz = s.filesz }, fixed(0), true},
		{"more in the file", func(s *segment) { s.memsz = s.filesz - 1 }, fixed(0), false},
		{"up to the end of the address space", func(s *segment) { s.memsz = task - s.vaddr }, fixed(0), true},
		{"one byte more", func(s *segment) { s.memsz = task - s.vaddr + 1 }, fixed(0), false},
		{"all of the address space", func(s *segment) { s.vaddr, s.offset, s.memsz = 0, 0x1000, task }, fixed(0), true},
		{"more than all", func(s *segment) { s.vaddr, s.offset, s.memsz = 0, 0x1000, task+1 }, spot{loader: true}, false},
		{"at the end", func(s *segment) { s.vaddr, s.filesz, s.memsz = task, 0, 0 }, fixed(0), false},
		{"right before it", func(s *segment) { s.vaddr, s.filesz, s.memsz = task-1, 0, 1 }, fixed(0), true},
		{"moved beyond the end", func(*segment) {}, fixed(task - 0x401010 - 0x10), false},
		{"moved up to the end", func(*segment) {}, fixed(task - 0x401010 - 0x20), true},
		{"a loader that is moved back", func(s *segment) { s.vaddr += task }, spot{loader: true, known: true, bias: within{^uint64(task) + 1, ^uint64(task) + 1}}, true},
		{"another place in the page", func(s *segment) { s.offset++ }, fixed(0), false},
		{"another place in the page of what is not in the file", func(s *segment) { s.offset++; s.filesz = 0 }, fixed(0), true},
		{"an offset that no file has", func(s *segment) { s.offset, s.flags = 1<<63-0x1000+0x10, 5 }, fixed(0), true},
		{"an offset beyond", func(s *segment) { s.offset, s.flags = 1<<63+0x10, 5 }, fixed(0), false},
	} {
		s := whole
		tt.change(&s)
		if got := loads(1<<62, true, task).segment(s, tt.at); (got == "") != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
	if got := loads(1<<62, true, 0).segment(segment{vaddr: 1 << 60, memsz: 1 << 60, flags: 6}, fixed(0)); got != "" {
		t.Errorf("where the address space is not known: %s", got)
	}
	for needs, s := range map[uint64]segment{
		0x10: {filesz: 0x30, memsz: 0x40, flags: 5}, 0x30: {filesz: 0x30, memsz: 0x40, flags: 6}, 0x50: {filesz: 0x30, memsz: 0x80, flags: 6}, 0: {filesz: 0x30, memsz: 0x30, flags: 5},
	} {
		if got := s.needs(); got != needs {
			t.Errorf("%+v needs %d bytes, not %d", s, got, needs)
		}
	}
}

// TestExtents sorts and merges what a program maps, by whole pages.
func TestExtents(t *testing.T) {
	for _, tt := range []struct {
		segments   []segment
		want       []extent
		span, most uint64 // span, and the largest alignment
	}{
		{nil, nil, 1, 0}, // the span of nothing is not asked for
		{[]segment{{vaddr: 0x1010, memsz: 0x10, aligned: 4096}}, []extent{{0x1000, 0x2000}}, 0x20, 4096},
		{[]segment{{vaddr: 0x1000, memsz: 0x1000, aligned: 16}}, []extent{{0x1000, 0x2000}}, 0x1000, 16},
		{[]segment{{vaddr: 0x1000, memsz: 0x1001, aligned: 48}}, []extent{{0x1000, 0x3000}}, 0x1001, 0},
		{[]segment{{vaddr: 0x5000, memsz: 1, aligned: 4}, {vaddr: 0x1000, memsz: 1, aligned: 8}}, []extent{{0x1000, 0x2000}, {0x5000, 0x6000}}, 0x4001, 8},
		{[]segment{{vaddr: 0x1000, memsz: 0x1000}, {vaddr: 0x2000, memsz: 1}}, []extent{{0x1000, 0x3000}}, 0x1001, 0},
		{[]segment{{vaddr: 0x1000, memsz: 0x5000}, {vaddr: 0x2000, memsz: 1}}, []extent{{0x1000, 0x6000}}, 0x5000, 0},
		{[]segment{{vaddr: 0x1000, memsz: 0x10}, {vaddr: 0x8010, memsz: 0}}, []extent{{0x1000, 0x2000}}, 0x7010, 0},
	} {
		p := loads(0, true, 0, tt.segments...)
		if got := p.extents(); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: extents %#x", tt.segments, got)
		}
		if got := p.span(); got != tt.span {
			t.Errorf("%+v: a span of %#x, not %#x", tt.segments, got, tt.span)
		}
		if got := p.alignment(); got != tt.most {
			t.Errorf("%+v: aligned to %d, not %d", tt.segments, got, tt.most)
		}
	}
}

// TestLoaderWhereLinked: beside a program at fixed addresses a loader goes where it
// was linked, not lower than where a kernel of distributions maps by itself.
func TestLoaderWhereLinked(t *testing.T) {
	s := space{task: 1 << 40, page: 4096, low: 4096, top: within{1 << 39, 1 << 39}, bottom: within{1 << 38, 1 << 38}, stack: within{1<<40 - 1<<30, 1<<40 - 1<<20}}
	main := loads(0, true, s.task, segment{vaddr: 0x400000, memsz: 0x10000})
	for _, tt := range []struct {
		name        string
		low         uint64
		vaddr, size uint64
		own         bool
		at          uint64 // where its first page is; 0 for below mmap_base
	}{
		{"where it was linked", 4096, 0x700000, 0x10000, true, 0x700000},
		{"low", 4096, 0x2000, 0x10000, true, lowestHint},
		{"a page below the lowest", 4096, lowestHint - 4096, 0x10000, true, lowestHint},
		{"the lowest", 4096, lowestHint, 0x10000, true, lowestHint},
		{"a page above the lowest", 4096, lowestHint + 4096, 0x10000, true, lowestHint + 4096},
		{"where the kernel maps no lower", 1 << 20, 0x2000, 0x10000, true, 1 << 20},
		{"right below the program", 4096, 0x3f0000, 0x10000, true, 0x3f0000},
		{"one page into it", 4096, 0x3f1000, 0x10000, true, 0},
		{"one byte on that page", 4096, 0x3f0000, 0x10001, true, 0},
		{"right behind it", 4096, 0x410000, 0x10000, true, 0x410000},
		{"on its last page", 4096, 0x40f000, 0x10000, true, 0},
		{"at 0", 4096, 0, 0x10000, true, 0},
		{"beside a program that was moved", 4096, 0x700000, 0x10000, false, 0},
	} {
		s.low = tt.low
		p := loads(0, true, s.task, segment{vaddr: tt.vaddr, memsz: tt.size, filesz: 1})
		p.header.Type = host.ELFTypeDyn
		got, e := s.mappedLoader(p, main, within{}, tt.own)
		want := tt.at
		if want == 0 {
			want = 1<<39 - s.pageUp(tt.size)
		}
		if first := got.bias.plus(p.firstPage()); e != (end{}) || first != (within{want, want}) || got.known != (tt.at != 0) {
			t.Errorf("%s: at %#x, known %t, %+v; not at %#x", tt.name, first, got.known, e, want)
		}
	}
}

// TestEntry: the first instruction must lie in the address space, wherever the file
// is mapped.
func TestEntry(t *testing.T) {
	const task = 0x1000000
	for _, tt := range []struct {
		entry uint64
		at    spot
		want  string
	}{
		{0x1000, fixed(0), ""}, {task - 1, fixed(0), ""}, {task, fixed(0), "killed"},
		{0x1000, fixed(task - 0x1001), ""}, {0x1000, fixed(task - 0x1000), "killed"},
		{0x1000, spot{bias: within{0, task - 0x1001}}, ""}, {0x1000, spot{bias: within{0, task - 0x1000}}, "unsure"}, {0x1000, spot{bias: within{task - 0x1000, task}}, "killed"},
		{^uint64(0), spot{bias: within{0, 1}}, "unsure"}, // which wraps around
	} {
		p := loads(0, true, task)
		p.header.Entry = tt.entry
		e, got := p.entry(tt.at), ""
		if e.killed != "" {
			got = "killed"
		} else if e.unsure != "" {
			got = "unsure"
		}
		if got != tt.want {
			t.Errorf("%#x at %#x: %+v, not %s", tt.entry, tt.at.bias, e, tt.want)
		}
	}
	unknown := loads(0, true, 0)
	unknown.header.Entry = 1 << 60
	if e := unknown.entry(fixed(0)); e != (end{}) {
		t.Errorf("where the address space is not known: %+v", e)
	}
}

func TestKernelReleases(t *testing.T) {
	for release, want := range map[string]bool{
		"6.10.0": true, "6.11-rc1": true, "7.0": true, "10.0.1": true, "6.9.99": false, "5.19": false, "6": false, "": false, "x": false, "6.10-amd64": true,
	} {
		if since(release, 6, 10) != want {
			t.Errorf("%q: %t", release, !want)
		}
	}
}
