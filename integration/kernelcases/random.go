package kernelcases

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
)

// Random makes n cases that depend on seed alone: programs and loaders with
// fields of their headers set to telling values, script lines, and paths through
// directories, links, owners and modes.
func Random(seed uint64, n int) []Case {
	r := &random{rand.New(rand.NewPCG(seed, 2))}
	cs := make([]Case, 0, n)
	for i := range n {
		name := fmt.Sprintf("random %d of seed %d", i, seed)
		switch r.IntN(8) {
		case 0:
			cs = append(cs, r.script("script "+name))
		case 1, 2, 3:
			cs = append(cs, r.walk(name))
		default:
			cs = append(cs, r.program(name))
		}
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

// entry is one entry of a tree. What cannot be made, below a file for example,
// is left out.
type entry struct {
	path, target string // target is a link's
	dir          bool
	mode         uint32
	uid, gid     int
	data         []byte
}

func (e entry) make(t Tree) {
	at, err := securejoin.SecureJoin(t.Root, e.path)
	if err != nil {
		return
	}
	if e.target != "" {
		at = t.At(e.path)
	}
	if os.MkdirAll(filepath.Dir(at), 0o755) != nil {
		return
	}
	if e.target != "" {
		_ = os.Symlink(e.target, at)
		return
	}
	if _, err := os.Lstat(at); err == nil && !e.dir {
		return
	}
	if e.dir && os.MkdirAll(at, 0o755) != nil || !e.dir && os.WriteFile(at, e.data, 0o600) != nil {
		return
	}
	t.Own(e.path, e.mode, e.uid, e.gid)
}

// path is one of few, so that they meet; odd ones have dots, slashes and ends.
func (r *random) path(odd bool) string {
	var parts []string
	for range 1 + r.IntN(3) {
		part := pick(r, "a", "a", "b", "c")
		if odd {
			part = pick(r, "a", "a", "a", "b", "b", "c", "d", ".", "..", "")
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "/")
}

func (r *random) entry() entry {
	e := entry{path: r.path(false), uid: pick(r, 0, 0, 1000, 1001), gid: pick(r, 0, 0, 1000, 2000)}
	switch r.IntN(6) {
	case 0, 1:
		e.target = pick(r, "", "", "/", "../", "./") + r.path(true)
		if e.target == "" {
			e.target = "."
		}
	case 2:
		e.dir, e.mode = true, pick[uint32](r, 0o755, 0o755, 0o711, 0o700, 0o750, 0o070, 0o007, 0o111, 0o444, 0o1777, 0)
	default:
		e.mode = pick[uint32](r, 0o755, 0o755, 0o755, 0o644, 0o744, 0o711, 0o750, 0o111, 0o070, 0o4755, 0)
		e.data = ELF{}.Bytes()
		if r.IntN(4) == 0 {
			e.data = []byte("#!" + pick(r, "", "/", "/", "../") + r.path(true) + "\n")
		}
	}
	return e
}

// walk is a small tree, and a command to be found in it.
func (r *random) walk(name string) Case {
	var entries []entry
	for range 3 + r.IntN(8) {
		entries = append(entries, r.entry())
	}
	c := Command{
		Entrypoint: []string{pick(r, "/", "/", "./", "../", "") + r.path(true)},
		User:       pick(r, "", "", "app", "other", "4321", "4321:2000", "app:tools", "0:1000"),
		WorkingDir: pick(r, "", "", "/", "/"+r.path(true), "/"+r.path(false), "/b/../"+r.path(true)),
	}
	if r.IntN(2) == 0 {
		var list []string
		for range 1 + r.IntN(3) {
			list = append(list, pick(r, "/", "/", "//", "/../", "/./")+r.path(true))
		}
		c.Env = []string{"PATH=" + strings.Join(list, ":")}
		c.Entrypoint[0] = pick(r, "a", "b", "c", c.Entrypoint[0])
	}
	return Case{name, func(t Tree) {
		for _, e := range entries {
			e.make(t)
		}
	}, c}
}
