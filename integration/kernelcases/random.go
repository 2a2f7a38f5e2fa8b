package kernelcases

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Random makes n cases that depend on seed alone: programs and loaders with
// fields of their headers set to telling values, and script lines.
func Random(seed uint64, n int) []Case {
	r := &random{rand.New(rand.NewPCG(seed, 2))}
	cs := make([]Case, 0, n)
	for i := range n {
		name := fmt.Sprintf("random %d of seed %d", i, seed)
		if r.IntN(5) == 0 {
			cs = append(cs, r.script("script "+name))
			continue
		}
		cs = append(cs, r.program(name))
	}
	return cs
}

type random struct{ *rand.Rand }

func pick[T any](r *random, from ...T) T { return from[r.IntN(len(from))] }

func (r *random) program(name string) Case {
	arch := pick(r, "", "", "", "", "386", "386", "386", "x32", "arm64", "arm", "riscv64")
	emulators := r.IntN(3)
	spec := func(interp string) ELF {
		return ELF{
			Arch: arch, Type: pick[uint16](r, 2, 3), Interp: interp, BSS: pick[uint64](r, 0, 0, 100, 5000, 1<<20),
			Phnum: pick(r, 0, 0, 2, 3), Pad: pick(r, 0, 0, 5000, 20000), Vaddr: pick[uint64](r, 0, 0, 0, 0x10000, 0x8048000, 1<<30),
		}
	}
	main, ld := spec(pick(r, "", "", "/lib/ld.so", "lib/ld.so", "/lib/none")), spec("")
	bendMain, bendLoader := true, false
	if main.Interp != "" {
		bendMain, bendLoader = r.IntN(3) > 0, r.IntN(2) > 0
	}
	mainBytes, ldBytes := main.Bytes(), ld.Bytes()
	if bendMain {
		r.bend(mainBytes)
	}
	if bendLoader {
		r.bend(ldBytes)
	}
	return Case{name, func(t Tree) {
		t.File("bin/prog", mainBytes, 0o755)
		t.File("lib/ld.so", ldBytes, 0o755)
		if emulators > 0 {
			t.ELF("usr/bin/qemu-arm64-static", ELF{})
			t.Text("usr/bin/qemu-arm-static", "#!/bin/none\n")
			t.ELF("usr/bin/qemu-riscv64-static", ELF{Interp: "/lib/ld.so"})
		}
	}, Run("/bin/prog")}
}

// bend sets some fields of an ELF file.
func (r *random) bend(b []byte) {
	for range 1 + r.IntN(4) {
		if r.IntN(8) == 0 {
			r.bendHeader(b)
			continue
		}
		r.bendSegment(b)
	}
}

func wide(b []byte) bool { return b[4] == 2 }

func (r *random) bendHeader(b []byte) {
	o := binary.LittleEndian
	put := func(at32, at64, size int, v uint64) {
		at := at32
		if wide(b) {
			at = at64
		}
		switch {
		case size == 2:
			o.PutUint16(b[at:], uint16(v))
		case wide(b):
			o.PutUint64(b[at:], v)
		default:
			o.PutUint32(b[at:], uint32(v))
		}
	}
	switch r.IntN(6) {
	case 0:
		put(16, 16, 2, pick[uint64](r, 0, 1, 2, 3, 4, 0xffff))
	case 1:
		put(24, 24, 8, r.address())
	case 2:
		put(28, 32, 8, pick(r, r.address(), 52, 64, 84, 120, uint64(len(b)-1)))
	case 3:
		put(42, 54, 2, pick[uint64](r, 0, 31, 32, 40, 56, 57, 0xffff))
	case 4:
		put(44, 56, 2, pick[uint64](r, 0, 1, 2, 3, 4, 9, 1170, 1171, 2048, 0xffff))
	case 5:
		b[pick(r, 4, 5, 6, 7, 8)] = byte(pick(r, 0, 1, 2, 3, 0xff))
	}
}

// address is one near what decides: pages, the ends of address spaces.
func (r *random) address() uint64 {
	v := pick[uint64](r, 0, 0x1000, 0x10000, 0x400000, 0x8048000, 0x56555000, 0x7fffffff, 0xc0000000, 0xffffe000, 1<<32, 1<<40, 1<<46, 1<<47-0x1000, 1<<47, 1<<63, r.Uint64()>>r.IntN(64))
	return v + pick[uint64](r, 0, 0, 0, 1, 0x78, 0xfff, 0x1000, ^uint64(0), ^uint64(0xfff))
}

func (r *random) bendSegment(b []byte) {
	o := binary.LittleEndian
	i := r.IntN(3)
	at, fields := 52+32*i, []int{4, 8, 16, 20, 28}
	if wide(b) {
		at, fields = 64+56*i, []int{8, 16, 32, 40, 48}
	}
	if at+56 > len(b) {
		return
	}
	flags := at + 24
	if wide(b) {
		flags = at + 4
	}
	switch field := r.IntN(8); field {
	case 5:
		o.PutUint32(b[at:], pick[uint32](r, 0, 1, 1, 1, 1, 2, 3, 6, 0x6474e551, 0x6474e553))
	case 6:
		o.PutUint32(b[flags:], pick[uint32](r, 0, 1, 2, 4, 5, 6, 7))
	case 7: // a whole PT_LOAD
		o.PutUint32(b[at:], 1)
		o.PutUint32(b[flags:], pick[uint32](r, 4, 5, 6, 7))
		page := r.address() &^ 0xfff
		size := pick[uint64](r, 0, 16, 200, 4096, 9000)
		for f, v := range []uint64{pick[uint64](r, 0, 0, 0x1000), page, size, size + pick[uint64](r, 0, 0, 100, 9000, 1<<20), 4096} {
			r.set(b[at+fields[f]:], v, wide(b))
		}
	default:
		r.set(b[at+fields[field]:], pick(r, r.address(), r.address(), uint64(len(b)), uint64(r.IntN(len(b)+1)), 0, 100), wide(b))
	}
}

func (r *random) set(b []byte, v uint64, wide bool) {
	if wide {
		binary.LittleEndian.PutUint64(b, v)
		return
	}
	binary.LittleEndian.PutUint32(b, uint32(v))
}

// script is a script with a random first line, which names what is there and
// what is not.
func (r *random) script(name string) Case {
	var line strings.Builder
	line.WriteString(pick(r, "#!", "#!", "#!", "#! ", "#!\t", "# !", "#!\x00", "!#"))
	for range 1 + r.IntN(4) {
		line.WriteString(pick(r, "/bin/prog", "/bin/prog", "/bin/other", "/bin/text", "/bin/none", "/bin", "bin/prog", "./bin/prog", "/run2", "//bin//prog", "/bin/prog/", "x", ""))
		line.WriteString(pick(r, "", " ", "\t", "  ", " \t", "\r", "\x00", strings.Repeat(" ", 240), strings.Repeat("a", 250), strings.Repeat("/", 246), "\n"))
	}
	line.WriteString(pick(r, "\n", "\n", "\n", "", "\r\n", "\x00\n"))
	text := line.String()
	second := pick(r, "#!/bin/prog\n", "#!/run\n", "#!/bin/text\n", "#!bin/prog -x\n")
	return Case{name, func(t Tree) {
		t.ELF("bin/prog", ELF{})
		t.ELF("bin/other", ELF{Arch: "arm64"})
		t.ELF("usr/bin/qemu-arm64-static", ELF{})
		t.Text("bin/text", "text\n")
		t.Text("run", text)
		t.Text("run2", second)
	}, Run(pick(r, "/run", "/run", "/run", "run", "./run"))}
}
