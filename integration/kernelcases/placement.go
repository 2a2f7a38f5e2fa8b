package kernelcases

import (
	"encoding/binary"
	"fmt"
)

// put32 is put for 32-bit program headers, with the fields of 64-bit ones.
func put32(i int, pairs ...uint64) func([]byte) {
	at := map[uint64]int{phType: 0, phOffset: 4, phVaddr: 8, phFilesz: 16, phMemsz: 20, phFlags: 24, phAlign: 28}
	return func(b []byte) {
		for ; len(pairs) > 1; pairs = pairs[2:] {
			binary.LittleEndian.PutUint32(b[52+32*i+at[pairs[0]]:], uint32(pairs[1]))
		}
	}
}

// Placement asks where the kernel puts what may lie anywhere, and what does
// not fit there.
func Placement() []Case {
	const load = uint64(PTLoad)
	var cs []Case
	add := func(name string, main, ld ELF) {
		cs = append(cs, Case{"placement " + name, func(t Tree) {
			t.ELF("bin/prog", main)
			t.ELF("lib/ld.so", ld)
		}, Run("/bin/prog")})
	}
	mut := func(s ELF, f func([]byte)) ELF { s.Edit = f; return s }

	// The first segment has no bytes in the file, and the second the program.
	second := func(i int, at uint64) func([]byte) {
		return func(b []byte) {
			put(i, phType, load, phFlags, 7, phOffset, 0, phVaddr, at, phFilesz, 300, phMemsz, 300, phAlign, 4096)(b)
			entry := binary.LittleEndian.Uint64(b[24:])
			binary.LittleEndian.PutUint64(b[24:], at+entry&0xfff)
		}
	}
	for _, memory := range []uint64{0, 100, 9000} {
		for _, first := range []uint64{0, 0x1000, 0x10000, 0x400000, 1 << 46} {
			for _, apart := range []uint64{0x1000, 0xf000, 0x10000, 0x100000, 1 << 40, ^uint64(0xfff)} {
				name := fmt.Sprintf("%d bytes of memory at %#x, then %#x", memory, first, apart)
				edit := func(i int) func([]byte) {
					return both(put(i, phVaddr, first, phFilesz, 0, phMemsz, memory), second(i+1, first+apart))
				}
				add(name, mut(ELF{Type: 3, Phnum: 2}, edit(0)), ELF{})
				add(name+", with a loader", mut(ELF{Type: 3, Interp: "/lib/ld.so", Phnum: 3}, edit(1)), ELF{Type: 3})
				add(name+", loader of a pie", ELF{Type: 3, Interp: "/lib/ld.so"}, mut(ELF{Type: 3, Phnum: 2}, edit(0)))
				add(name+", loader of an exec", ELF{Interp: "/lib/ld.so"}, mut(ELF{Type: 3, Phnum: 2}, edit(0)))
			}
		}
	}

	// A loader wherever it was linked, and whatever it spans.
	for _, at := range []uint64{0x1000, 0x10000, 1 << 46, 1<<47 - 0x2000, 1<<47 - 0x1000, 1 << 47, 1 << 48, 1 << 62, 1 << 63, ^uint64(0xffff)} {
		for _, main := range []ELF{{Interp: "/lib/ld.so"}, {Type: 3, Interp: "/lib/ld.so"}} {
			add(fmt.Sprintf("loader %d linked at %#x", main.Type, at), main, ELF{Type: 3, Vaddr: at})
			add(fmt.Sprintf("loader %d without an end at %#x", main.Type, at), main, mut(ELF{Type: 3, Vaddr: at}, put(0, phMemsz, 1<<40)))
		}
	}
	main := ELF{Interp: "/lib/ld.so"}
	entry := func(v uint64) func([]byte) {
		return func(b []byte) { binary.LittleEndian.PutUint64(b[24:], v) }
	}
	for _, at := range []uint64{0, 0x1000, 0xf000, 0x10000, 0x3ff000, 0x400000, 0x402000, 1 << 40} {
		for _, e := range []uint64{0x3ffffffff000, 0x500000000000, 1<<47 - 0x20000, ^uint64(0xffff), ^uint64(0xfff)} {
			name := fmt.Sprintf("loader at %#x begins at %#x", at, e)
			add(name, ELF{Interp: "/lib/ld.so"}, mut(ELF{Type: 3, Vaddr: at}, entry(e)))
			add(name+", nothing else to load", ELF{Type: 3, Interp: "/lib/ld.so", NoLoad: true}, mut(ELF{Type: 3, Vaddr: at}, entry(e)))
		}
		add(fmt.Sprintf("loader without bytes in the file at %#x, nothing else to load", at), ELF{Type: 3, Interp: "/lib/ld.so", NoLoad: true},
			mut(ELF{Type: 3, Vaddr: at}, put(0, phFilesz, 0, phMemsz, 9000)))
	}
	add("fixed loader that spans nothing", main, mut(ELF{}, put(0, phVaddr, 0, phFilesz, 0, phMemsz, 0)))
	add("fixed loader with an empty segment", main, mut(ELF{Vaddr: 0x800000}, put(0, phFilesz, 0, phMemsz, 0)))
	add("fixed loader, falling", main, mut(ELF{Vaddr: 0x900000, Phnum: 2},
		put(1, phType, load, phFlags, 7, phOffset, 0, phVaddr, 0x800000, phFilesz, 200, phMemsz, 200)))

	// Too large for what is above the base of position independent programs,
	// or for all that is below the stack.
	for _, flags := range []uint64{5, 7} {
		for _, end := range []uint64{1 << 44, 1 << 45, 0x299000000000, 0x2bb000000000, 1 << 46, 0x7e0000000000, 0x7fffc0000000} {
			name := fmt.Sprintf("flags %d to %#x", flags, end)
			edit := func(i int) func([]byte) {
				return both(put(i, phFlags, flags), put(i+1, phType, load, phFlags, 4, phOffset, 0, phVaddr, end&^0xfff-0x1000, phFilesz, 16, phMemsz, 16))
			}
			add("pie "+name, mut(ELF{Type: 3, Phnum: 2}, edit(0)), ELF{})
			add("pie with a loader "+name, mut(ELF{Type: 3, Interp: "/lib/ld.so", Phnum: 3}, edit(1)), ELF{Type: 3})
			add("loader of a pie "+name, ELF{Type: 3, Interp: "/lib/ld.so"}, mut(ELF{Type: 3, Phnum: 2}, edit(0)))
		}
	}
	for _, size := range []uint64{1 << 20, 0xf0000000, 0xff000000} {
		for _, flags := range []uint64{5, 7} {
			name := fmt.Sprintf("386 of %#x bytes, flags %d", size, flags)
			pie := ELF{Arch: "386", Type: 3}
			dyn := ELF{Arch: "386", Type: 3, Interp: "/lib/ld.so"}
			add(name, mut(pie, put32(0, phMemsz, size, phFlags, flags)), ELF{})
			add(name+" with a loader", mut(dyn, put32(1, phMemsz, size, phFlags, flags)), pie)
			add(name+" as the loader", dyn, mut(pie, put32(0, phMemsz, size, phFlags, flags)))
		}
	}
	for _, align := range []uint64{1 << 20, 1 << 29, 1 << 30, 1 << 31} {
		pie := ELF{Arch: "386", Type: 3}
		dyn := ELF{Arch: "386", Type: 3, Interp: "/lib/ld.so"}
		add(fmt.Sprintf("386 align %#x", align), mut(pie, put32(0, phAlign, align)), ELF{})
		add(fmt.Sprintf("386 with a loader, align %#x", align), mut(dyn, put32(1, phAlign, align)), pie)
		add(fmt.Sprintf("386 loader align %#x", align), dyn, mut(pie, put32(0, phAlign, align)))
	}
	for _, align := range []uint64{1 << 30, 1 << 44, 1 << 45, 1 << 46, 1 << 47} {
		add(fmt.Sprintf("pie align %#x", align), mut(ELF{Type: 3}, put(0, phAlign, align)), ELF{})
		add(fmt.Sprintf("pie with a loader, align %#x", align), mut(ELF{Type: 3, Interp: "/lib/ld.so"}, put(1, phAlign, align)), ELF{Type: 3})
	}
	return cs
}

// SetID are programs that get other IDs. Those start with 8 MiB of stack at most,
// which leaves more room for their mappings than a larger one.
func SetID() (cs []Case) {
	for _, mode := range []uint32{0o755, 0o4755, 0o2755, 0o2745} {
		for _, user := range []string{"", "app"} {
			cs = append(cs, Case{fmt.Sprintf("set ID, mode %o of %q", mode, user), func(t Tree) {
				large := ELF{Arch: "386", Type: 3, Edit: put32(0, phMemsz, 0xd0000000, phFlags, 5)}
				t.File("bin/prog", large.Bytes(), mode)
			}, Command{Entrypoint: []string{"/bin/prog"}, User: user}})
		}
	}
	return cs
}
