package kernelcases

import (
	"encoding/binary"
	"fmt"
)

// Fields of a 64-bit program header, as offsets.
const (
	phType, phFlags, phOffset, phVaddr, phFilesz, phMemsz, phAlign = 0, 4, 8, 16, 32, 40, 48
)

// put sets fields of program header i: field, value, field, value, ...
func put(i int, pairs ...uint64) func([]byte) {
	return func(b []byte) {
		o := binary.LittleEndian
		for ; len(pairs) > 1; pairs = pairs[2:] {
			at := 64 + 56*i + int(pairs[0])
			if pairs[0] == phType || pairs[0] == phFlags {
				o.PutUint32(b[at:], uint32(pairs[1]))
				continue
			}
			o.PutUint64(b[at:], pairs[1])
		}
	}
}

func both(fs ...func([]byte)) func([]byte) {
	return func(b []byte) {
		for _, f := range fs {
			f(b)
		}
	}
}

// Segments bend the segments of valid programs.
func Segments() []Case {
	const load, base = uint64(PTLoad), uint64(0x400000)
	var cs []Case
	add := func(name string, s ELF, mut func([]byte)) {
		s.Edit = mut
		cs = append(cs, prog("segment "+name, s.Bytes()))
	}
	for _, typ := range []uint16{2, 3} {
		kind := map[uint16]string{2: "exec ", 3: "pie "}[typ]
		at := map[uint16]uint64{2: base, 3: 0}[typ]
		two := ELF{Type: typ, Phnum: 2, Pad: 20000}
		for _, a := range []uint64{0, 1, 2, 3, 7, 4095, 4096, 8192, 1 << 20, 1 << 21, 12288, 1 << 63} {
			add(fmt.Sprintf("%salign %d", kind, a), ELF{Type: typ}, put(0, phAlign, a))
		}
		for _, f := range []uint64{0, 1, 2, 3, 4, 5, 6, 7, 0xf8, 0xffffffff} {
			add(fmt.Sprintf("%sflags %#x", kind, f), ELF{Type: typ, BSS: 5000}, put(0, phFlags, f))
		}
		for _, v := range []uint64{0, 1, 0x1000, 0x10000, 0x400000, 1 << 30, 1 << 40, 1 << 45, 1<<47 - 0x100000, 1<<47 - 0x1000, 1 << 47, 1 << 48, 1 << 63, ^uint64(0xfff)} {
			add(fmt.Sprintf("%svaddr %#x", kind, v), ELF{Type: typ}, put(0, phVaddr, v))
			add(fmt.Sprintf("%smemsz %#x", kind, v), ELF{Type: typ}, put(0, phMemsz, v))
			add(fmt.Sprintf("%sfilesz and memsz %#x", kind, v), ELF{Type: typ}, put(0, phFilesz, v, phMemsz, v))
			add(fmt.Sprintf("%soffset %#x", kind, v), ELF{Type: typ}, put(0, phOffset, v))
			add(fmt.Sprintf("%ssecond at %#x", kind, v), two, put(1, phType, load, phFlags, 7, phOffset, 0x1000, phVaddr, v, phFilesz, 100, phMemsz, 9000))
			add(fmt.Sprintf("%ssecond only memory at %#x", kind, v), two, put(1, phType, load, phFlags, 7, phVaddr, v, phFilesz, 0, phMemsz, 9000))
			add(fmt.Sprintf("%sread-only beyond the file %#x", kind, v), two, put(1, phType, load, phFlags, 4, phOffset, v, phVaddr, at+0x100000, phFilesz, 100, phMemsz, 9000))
			add(fmt.Sprintf("%swritable beyond the file %#x", kind, v), two, put(1, phType, load, phFlags, 6, phOffset, v, phVaddr, at+0x100000, phFilesz, 100, phMemsz, 9000))
		}
		add(kind+"overlap", two, put(1, phType, load, phFlags, 7, phVaddr, at, phFilesz, 200, phMemsz, 200))
		add(kind+"first without file", two, both(put(1, phType, load, phFlags, 5, phVaddr, at+0x10000, phFilesz, 200, phMemsz, 200), put(0, phFilesz, 0, phMemsz, 100)))
		add(kind+"first empty", two, both(put(1, phType, load, phFlags, 5, phVaddr, at+0x10000, phFilesz, 200, phMemsz, 200), put(0, phFilesz, 0, phMemsz, 0)))
		add(kind+"falling", two, both(put(0, phVaddr, at+0x20000), put(1, phType, load, phFlags, 5, phVaddr, at+0x10000, phFilesz, 200, phMemsz, 200)))
		add(kind+"only empty", ELF{Type: typ}, put(0, phFilesz, 0, phMemsz, 0))
		add(kind+"misaligned", ELF{Type: typ}, put(0, phOffset, 8))
		add(kind+"misaligned without file", ELF{Type: typ}, put(0, phOffset, 8, phFilesz, 0))
		add(kind+"fits in a page", ELF{Type: typ}, put(0, phOffset, 8, phVaddr, at+0x1008))
		for _, t := range []uint64{2, 4, 5, 6, 7, 0x6474e550, 0x6474e551, 0x6474e552, 0x6474e553, 0x70000000, 0x7fffffff, 0xffffffff} {
			add(fmt.Sprintf("%ssecond type %#x", kind, t), two, put(1, phType, t, phFlags, 7, phFilesz, 1<<40, phMemsz, 1))
		}
		add(kind+"property cut", two, put(1, phType, PTGNUProperty, phOffset, 1<<40, phFilesz, 32))
		add(kind+"property empty", two, put(1, phType, PTGNUProperty))
		add(kind+"entry zero", ELF{Type: typ}, func(b []byte) { binary.LittleEndian.PutUint64(b[24:], 0) })
		add(kind+"entry odd", ELF{Type: typ}, func(b []byte) { b[24] |= 1 })
		add(kind+"headers at the end", ELF{Type: typ, Pad: 56}, func(b []byte) {
			copy(b[len(b)-56:], b[64:120])
			binary.LittleEndian.PutUint64(b[32:], uint64(len(b)-56))
		})
		for _, v := range []uint64{0, 8, 1 << 20, 1 << 62, 1<<63 - 1, 1 << 63, ^uint64(0)} {
			add(fmt.Sprintf("%sphoff %#x", kind, v), ELF{Type: typ}, func(b []byte) { binary.LittleEndian.PutUint64(b[32:], v) })
		}
	}
	return append(cs, interpCases()...)
}

// interpCases bend PT_INTERP and the loader's own segments.
func interpCases() []Case {
	var cs []Case
	add := func(name string, main, ld ELF) {
		cs = append(cs, Case{"interp " + name, func(t Tree) {
			t.ELF("bin/prog", main)
			t.ELF("lib/ld.so", ld)
			t.ELF("bin/ld2", ELF{Type: 3})
		}, Run("/bin/prog")})
	}
	dyn := ELF{Interp: "/lib/ld.so", Type: 3, Phnum: 4}
	mut := func(s ELF, f func([]byte)) ELF { s.Edit = f; return s }
	for _, v := range []uint64{0, 1, 2, 11, 4096, 4097, 1 << 20, 1 << 40, 1 << 63, ^uint64(0)} {
		add(fmt.Sprintf("filesz %#x", v), mut(dyn, put(0, phFilesz, v)), ELF{Type: 3})
		add(fmt.Sprintf("offset %#x", v), mut(dyn, put(0, phOffset, v)), ELF{Type: 3})
		add(fmt.Sprintf("memsz %#x", v), mut(dyn, put(0, phMemsz, v)), ELF{Type: 3})
		for _, typ := range []uint16{2, 3} {
			name := fmt.Sprintf("loader %d ", typ)
			add(fmt.Sprintf("%svaddr %#x", name, v), dyn, mut(ELF{Type: typ}, put(0, phVaddr, v)))
			add(fmt.Sprintf("%smemsz %#x", name, v), dyn, mut(ELF{Type: typ}, put(0, phMemsz, v)))
			add(fmt.Sprintf("%sfilesz %#x", name, v), dyn, mut(ELF{Type: typ}, put(0, phFilesz, v)))
			add(fmt.Sprintf("%soffset %#x", name, v), dyn, mut(ELF{Type: typ}, put(0, phOffset, v)))
			add(fmt.Sprintf("%sentry %#x", name, v), dyn, mut(ELF{Type: typ}, func(b []byte) { binary.LittleEndian.PutUint64(b[24:], v) }))
			add(fmt.Sprintf("%sphoff %#x", name, v), dyn, mut(ELF{Type: typ}, func(b []byte) { binary.LittleEndian.PutUint64(b[32:], v) }))
		}
	}
	add("twice, second bad", mut(dyn, put(2, phType, PTInterp, phFilesz, 1<<30)), ELF{Type: 3})
	add("twice, second missing", mut(dyn, put(2, phType, PTInterp, phOffset, 0, phFilesz, 4)), ELF{Type: 3})
	add("of another type", mut(dyn, put(0, phType, 99)), ELF{Type: 3})
	add("entry of the program in the kernel", mut(dyn, func(b []byte) { b[31] = 0xff }), ELF{Type: 3})
	add("loader at the program", ELF{Interp: "/lib/ld.so"}, ELF{})
	add("loader beside the program", ELF{Interp: "/lib/ld.so"}, ELF{Vaddr: 0x800000})
	add("program without segments", ELF{Interp: "/lib/ld.so", NoLoad: true}, ELF{Type: 3})
	add("pie without segments", ELF{Interp: "/lib/ld.so", NoLoad: true, Type: 3}, ELF{Type: 3})
	add("first without file", mut(dyn, put(1, phFilesz, 0)), ELF{Type: 3})
	add("loader first without file", dyn, mut(ELF{Type: 3}, put(0, phFilesz, 0)))
	for _, a := range []uint64{3, 1 << 21, 1 << 46, 1 << 47, 1 << 63} {
		add(fmt.Sprintf("loader align %#x", a), dyn, mut(ELF{Type: 3}, put(0, phAlign, a)))
		add(fmt.Sprintf("program align %#x", a), mut(dyn, put(1, phAlign, a)), ELF{Type: 3})
	}
	for i := range 64 {
		for _, v := range []byte{0, 2, 0xff} {
			add(fmt.Sprintf("loader byte %d is %#x", i, v), dyn, mut(ELF{Type: 3}, func(b []byte) { b[i] = v }))
		}
	}
	return cs
}
