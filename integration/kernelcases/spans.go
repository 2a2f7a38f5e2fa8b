package kernelcases

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Span gives a program two small segments far apart: the last begins a page
// before end, from where the program begins. It needs no memory. gaps are
// offsets of more such segments.
func Span(s ELF, end uint64, gaps ...uint64) ELF {
	at := 0
	if s.Interp != "" {
		at = 1
	}
	s.Phnum = at + 2 + len(gaps)
	base := s.Vaddr
	if base == 0 && s.Type != 3 {
		base = 0x400000
	}
	s.Edit = func(b []byte) {
		readOnly(b, at)
		for i, v := range append([]uint64{end - 0x1000}, gaps...) {
			header(b, at+1+i, base+v)
		}
	}
	return s
}

// readOnly makes a segment take no memory.
func readOnly(b []byte, i int) {
	if wide(b) {
		put(i, phFlags, 5)(b)
		return
	}
	put32(i, phFlags, 5)(b)
}

// header makes program header i a segment of 16 bytes.
func header(b []byte, i int, vaddr uint64) {
	fields := []uint64{phType, PTLoad, phFlags, 4, phOffset, 0, phVaddr, vaddr, phFilesz, 16, phMemsz, 16, phAlign, 4096}
	if wide(b) {
		put(i, fields...)(b)
		return
	}
	put32(i, fields...)(b)
}

// Spans asks where a program and its loader find room beside each other and
// beside the stack, however far their segments lie apart.
func Spans() []Case {
	var cs []Case
	add := func(name string, main, ld ELF) {
		cs = append(cs, Case{"span " + name, func(t Tree) {
			t.ELF("bin/prog", main)
			t.ELF("lib/ld.so", ld)
		}, Run("/bin/prog")})
	}
	for arch, ends := range map[string][]uint64{
		"386":   {0x1000000, 0x20000000, 0x40000000, 0x50000000, 0x55000000, 0x60000000, 0x80000000, 0xa0000000, 0xa9aa0000, 0xb0000000, 0xd0000000, 0xfe000000},
		"amd64": {1 << 30, 1 << 40, 0x100000000000, 0x200000000000, 0x280000000000, 0x400000000000, 0x500000000000, 0x530000000000, 0x580000000000, 0x600000000000, 0x6d0000000000, 0x7e0000000000},
	} {
		pie, exec := ELF{Arch: arch, Type: 3}, ELF{Arch: arch, Interp: "/lib/ld.so"}
		dyn := ELF{Arch: arch, Type: 3, Interp: "/lib/ld.so"}
		for _, end := range ends {
			name := fmt.Sprintf("%s to %#x", arch, end)
			add(name, Span(pie, end), ELF{})
			add(name+" with a loader", Span(dyn, end), pie)
			add(name+", fixed with a loader", Span(exec, end-0x400000), pie)
			add(name+", loader of a pie", dyn, Span(pie, end))
			add(name+", loader of an exec", exec, Span(pie, end))
			add(name+", linked loader of an exec", exec, Span(ELF{Arch: arch, Type: 3, Vaddr: 0x1000000}, end-0x1000000))
			add(name+", fixed loader", dyn, Span(ELF{Arch: arch, Vaddr: 0x1000000}, end-0x1000000))
			add(name+", both", Span(dyn, end), Span(pie, end))
			add(name+", loader between", Span(dyn, end), Span(pie, end/4*3))
			add(name+", loader between three", Span(dyn, end, end/2), Span(pie, end/16*7))
		}
	}
	for _, end := range []uint64{0x555500000000, 0x565500000000} { // the second fits below a program by a chance of one in a thousand
		add(fmt.Sprintf("amd64 to %#x, loader of a pie", end), ELF{Type: 3, Interp: "/lib/ld.so"}, Span(ELF{Type: 3}, end))
	}
	return cs
}

// RandomSpans makes n cases of programs and loaders with segments far apart,
// which depend on seed alone.
func RandomSpans(seed uint64, n int) []Case {
	r := &random{rand.New(rand.NewPCG(seed, 3))}
	cs := make([]Case, 0, n)
	for i := range n {
		arch, top := "", uint64(1)<<47
		if r.IntN(2) == 0 {
			arch, top = "386", 1<<32
		}
		main := r.spanned(ELF{Arch: arch, Type: pick[uint16](r, 2, 3, 3, 3), Interp: pick(r, "", "/lib/ld.so", "/lib/ld.so", "/lib/ld.so")}, top)
		ld := r.spanned(ELF{Arch: arch, Type: pick[uint16](r, 2, 3, 3, 3, 3)}, top)
		cs = append(cs, Case{fmt.Sprintf("random span %d of seed %d", i, seed), func(t Tree) {
			t.ELF("bin/prog", main)
			t.ELF("lib/ld.so", ld)
		}, Run("/bin/prog")})
	}
	return cs
}

// spanned gives a program up to three segments more, an alignment, an entry.
func (r *random) spanned(s ELF, top uint64) ELF {
	s.Vaddr = pick(r, 0, 0, 0, 0x1000, 0x10000, 0x400000, 0x800000, top/4, top/2, r.Uint64N(top)&^0xfff)
	if r.IntN(3) == 0 {
		return s
	}
	at := 0
	if s.Interp != "" {
		at = 1
	}
	n := 1 + r.IntN(3)
	s.Phnum = at + 1 + n
	limit := top >> pick(r, 0, 0, 0, 0, 1, 1, 2, 4, 8)
	var ends []uint64
	for range n {
		v := r.Uint64N(limit) &^ 0xfff
		if r.IntN(6) > 0 {
			v += s.Vaddr // behind the first
		}
		ends = append(ends, v)
	}
	align, aligned := uint64(1)<<(12+r.IntN(36)), r.IntN(8) == 0
	entry, entered := r.Uint64N(top), r.IntN(12) == 0
	empty := r.IntN(20) == 0
	s.Edit = func(b []byte) {
		readOnly(b, at)
		for i, v := range ends {
			header(b, at+1+i, v)
		}
		set := put
		if !wide(b) {
			set = put32
		}
		if aligned {
			set(at, phAlign, align)(b)
		}
		if empty {
			set(at, phFilesz, 0)(b)
		}
		switch {
		case entered && wide(b):
			binary.LittleEndian.PutUint64(b[24:], entry)
		case entered:
			binary.LittleEndian.PutUint32(b[24:], uint32(entry))
		}
	}
	return s
}
