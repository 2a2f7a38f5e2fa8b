package preflight

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// hostState is one way to set up binfmt_misc.
type hostState struct {
	name     string
	register func(misc, emu string)
}

// magics are the handlers as qemu's own script registers them: machine and
// type compared, other bits of e_ident mostly not.
func magics() map[string]string {
	le := func(class, machine string) string {
		return `\x7fELF\x0` + class + `\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00` + machine +
			`:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`
	}
	be := func(class, machine string) string {
		return `\x7fELF\x0` + class + `\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02` + machine +
			`:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff`
	}
	return map[string]string{
		"arm64": le("2", `\xb7\x00`), "arm": le("1", `\x28\x00`), "armbe": be("1", `\x00\x28`),
		"riscv64": le("2", `\xf3\x00`), "s390x": be("2", `\x00\x16`), "ppc64le": le("2", `\x15\x00`),
		"ppc64": be("2", `\x00\x15`), "mips64": be("2", `\x00\x08`),
	}
}

func states() []hostState {
	return []hostState{
		{"none", func(string, string) {}},
		{"with F", func(misc, emu string) {
			must(os.MkdirAll(emu, 0o755))
			for a, m := range magics() {
				p := filepath.Join(emu, a)
				must(os.WriteFile(p, elfSpec{}.bytes(), 0o755))
				register(misc, ":qemu-"+a+":M::"+m+":"+p+":POCF")
			}
			oddHandlers(misc, emu)
		}},
		{"without F", func(misc, emu string) {
			for a, m := range magics() {
				register(misc, ":qemu-"+a+":M::"+m+":/usr/bin/qemu-"+a+"-static:OC")
			}
			oddHandlers(misc, emu)
		}},
		{"switched off", func(misc, emu string) {
			for a, m := range magics() {
				register(misc, ":qemu-"+a+":M::"+m+":/usr/bin/qemu-"+a+"-static:")
			}
			oddHandlers(misc, emu)
			must(os.WriteFile(filepath.Join(misc, "status"), []byte("0"), 0))
		}},
	}
}

// oddHandlers are handlers that are themselves strange. Their files begin with
// EMU and a letter.
func oddHandlers(misc, emu string) {
	held := func(name string, data []byte) string {
		must(os.MkdirAll(emu, 0o755))
		p := filepath.Join(emu, name)
		must(os.WriteFile(p, data, 0o755))
		return p
	}
	for _, line := range []string{
		":missing:M::EMU0::/nowhere:", ":foreign:M::EMU1::/opt/foreign:", ":script:M::EMU2::/opt/script:",
		":dir:M::EMU3::/opt/dir:", ":noexec:M::EMU4::/opt/noexec:", ":open:M::EMU5::/opt/runner:O",
		":openscript:M::EMU6::/opt/script:O", ":credscript:M::EMU7::/opt/script:C",
		":heldscript:M::EMU8::" + held("script", []byte("#!/opt/runner\n")) + ":F",
		":helddyn:M::EMU9::" + held("dyn", elfSpec{interp: "/lib/ld-emu.so"}.bytes()) + ":F",
		":heldforeign:M::EMUA::" + held("arm64prog", elfSpec{arch: "arm64"}.bytes()) + ":F",
		":heldtext:M::EMUB::" + held("text", []byte("hello\n")) + ":F",
		":heldopen:M::EMUC::" + held("opened", []byte("#!/opt/runner\n")) + ":OF",
		":self:M::EMUD::/opt/self:", ":off:M::EMUE::/opt/runner:",
		":first1:M::EMUF::/opt/runner:", ":second1:M::EMUF::/nowhere:",
		":first2:M::EMUG::/nowhere:", ":second2:M::EMUG::/opt/runner:",
		":relative:M::EMUH::opt/runner:", ":pflag:M::EMUI::/opt/runner:P", ":linked:M::EMUJ::/opt/link:",
		":locked:M::EMUK::/locked/runner:", ":offset:M:64:OFFSET::/opt/runner:", ":masked:M::EMXL:\\xff\\xff\\x00\\xff:/opt/runner:",
		":native:M:7:\\x77::/opt/runner:", ":edge:M:253:END::/opt/runner:", ":fifo:M::EMUM::/opt/fifo:",
		":ext:E::pyc::/opt/runner:", ":extdot:E::tar.gz::/opt/runner:", ":extsh:E::shx::/bin/prog:", ":extheld:E::fx::" + held("ext", elfSpec{}.bytes()) + ":F",
		":slashed:M::EMUN::/opt/runner/:", ":chain:M::EMUO::/opt/emuo2:", ":wide:M::EMUP::/opt/wide386:",
	} {
		register(misc, line)
	}
	must(os.WriteFile(filepath.Join(misc, "off"), []byte("0"), 0))
}

// opt puts what the odd handlers name into a root.
func opt(t tree) {
	t.elf("opt/runner", elfSpec{})
	t.elf("opt/foreign", elfSpec{arch: "arm64"})
	t.text("opt/script", "#!/opt/runner\n")
	t.dir("opt/dir", 0o755)
	t.file("opt/noexec", elfSpec{}.bytes(), 0o644)
	t.text("opt/self", "EMUD")
	t.text("opt/emuo2", "EMU2")
	t.link("opt/link", "/opt/runner")
	t.elf("locked/runner", elfSpec{})
	t.dir("locked", 0o700)
	t.fifo("opt/fifo")
	t.elf("opt/wide386", elfSpec{arch: "wide386"})
}

func run(argv ...string) Command { return Command{Entrypoint: argv} }

// prog is a case whose only program is /bin/prog.
func prog(name string, data []byte) kcase {
	return kcase{name, func(t tree) { t.file("bin/prog", data, 0o755) }, run("/bin/prog")}
}

func kernelCases() []kcase {
	var all []kcase
	for _, f := range []func() []kcase{formatCases, loaderCases, scriptCases, pathCases, userCases, linkCases, handlerCases} {
		all = append(all, f()...)
	}
	return all
}

// isDeep names the cases whose chains of interpreters never end or exceed
// five hops; a handler counts as one.
func isDeep(name string) bool {
	for _, p := range []string{"script self", "nested 5 arm64", "nested 6", "nested 7", "nested 8", "EMUD", "script to EMUD", "native taken over by itself", "emulator itself"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func formatCases() []kcase {
	var cs []kcase
	for _, a := range slices.Sorted(maps.Keys(arches())) {
		cs = append(cs,
			prog("static "+a, elfSpec{arch: a}.bytes()),
			prog("pie "+a, elfSpec{arch: a, typ: 3}.bytes()),
			kcase{"emulator shipped " + a, func(t tree) {
				t.elf("bin/prog", elfSpec{arch: a})
				t.elf("usr/bin/qemu-"+a+"-static", elfSpec{})
			}, run("prog")},
			kcase{"foreign without x " + a, func(t tree) { t.file("bin/prog", elfSpec{arch: a}.bytes(), 0o644) }, run("/bin/prog")})
	}
	for typ := uint16(0); typ < 6; typ++ {
		cs = append(cs, prog(fmt.Sprintf("e_type %d", typ), elfSpec{headMut: func(b []byte) { b[16] = byte(typ) }}.bytes()))
	}
	for _, n := range []int{1, 2, 73, 74, 128, 1169, 1170, 1171, 2000} {
		cs = append(cs, prog(fmt.Sprintf("%d program headers", n), elfSpec{phnum: n}.bytes()))
	}
	for _, n := range []int{2047, 2048, 2049} {
		cs = append(cs, prog(fmt.Sprintf("386 %d program headers", n), elfSpec{arch: "386", phnum: n}.bytes()))
	}
	cs = append(cs,
		prog("empty", nil), prog("text", []byte("echo hello\n")), prog("one byte", []byte{0x7f}), prog("zeros", make([]byte, 4096)),
		prog("MZ", []byte("MZ\x90\x00")), prog("Mach-O", []byte("\xcf\xfa\xed\xfe\x07\x00\x00\x01")), prog("wasm", []byte("\x00asm\x01\x00\x00\x00")),
		prog("no PT_LOAD", elfSpec{noLoad: true}.bytes()), prog("pie no PT_LOAD", elfSpec{typ: 3, noLoad: true}.bytes()),
		prog("bss", elfSpec{bss: 1 << 20}.bytes()), prog("pie bss", elfSpec{typ: 3, bss: 1 << 20}.bytes()),
		prog("low address", elfSpec{vaddr: 0x1000}.bytes()), prog("lowest allowed", elfSpec{vaddr: 0x10000}.bytes()),
		prog("kernel address", elfSpec{vaddr: 0xffff800000000000}.bytes()), prog("task size", elfSpec{vaddr: 0x7ffffffff000}.bytes()),
		prog("entry in kernel", elfSpec{headMut: func(b []byte) { b[31] = 0xff }}.bytes()),
		prog("386 flags", elfSpec{arch: "386", flags: 0xffffffff}.bytes()),
	)
	return cs
}

func loaderCases() []kcase {
	withLoader := func(name string, main elfSpec, loader func(tree)) kcase {
		return kcase{name, func(t tree) { t.elf("bin/prog", main); loader(t) }, run("/bin/prog")}
	}
	dyn := elfSpec{interp: "/lib/ld.so", typ: 3}
	ld := func(s elfSpec) func(tree) { return func(t tree) { t.elf("lib/ld.so", s) } }
	data := func(b []byte, mode uint32) func(tree) { return func(t tree) { t.file("lib/ld.so", b, mode) } }
	tiny := elfSpec{typ: 3}.bytes()
	cs := []kcase{
		withLoader("loader", dyn, ld(elfSpec{typ: 3})),
		withLoader("loader exec", dyn, ld(elfSpec{vaddr: 0x7000000})),
		withLoader("loader of ET_EXEC", elfSpec{interp: "/lib/ld.so"}, ld(elfSpec{typ: 3})),
		withLoader("loader missing", dyn, func(tree) {}),
		withLoader("loader arm64", dyn, ld(elfSpec{arch: "arm64", typ: 3})),
		withLoader("loader 386", dyn, ld(elfSpec{arch: "386", typ: 3})),
		withLoader("386 loader", elfSpec{arch: "386", interp: "/lib/ld.so"}, ld(elfSpec{arch: "386", typ: 3})),
		withLoader("386 loader amd64", elfSpec{arch: "386", interp: "/lib/ld.so"}, ld(elfSpec{typ: 3})),
		withLoader("386 loader missing", elfSpec{arch: "386", interp: "/lib/ld.so"}, func(tree) {}),
		withLoader("loader not executable", dyn, data(tiny, 0o644)),
		withLoader("loader unreadable", dyn, data(tiny, 0o111)),
		withLoader("loader directory", dyn, func(t tree) { t.dir("lib/ld.so", 0o755) }),
		withLoader("loader fifo", dyn, func(t tree) { t.dir("lib", 0o755); t.fifo("lib/ld.so") }),
		withLoader("loader script", dyn, data([]byte("#!/bin/prog\n"+strings.Repeat(" ", 100)), 0o755)),
		withLoader("loader text short", dyn, data([]byte("#!/bin/prog\n"), 0o755)),
		withLoader("loader empty", dyn, data(nil, 0o755)),
		withLoader("loader object", dyn, ld(elfSpec{headMut: func(b []byte) { b[16] = 1 }})),
		withLoader("loader no PT_LOAD", dyn, ld(elfSpec{typ: 3, noLoad: true})),
		withLoader("loader loop", dyn, func(t tree) { t.link("lib/ld.so", "ld.so") }),
		withLoader("loader link", dyn, func(t tree) { t.link("lib/ld.so", "/lib/real.so"); t.elf("lib/real.so", elfSpec{typ: 3}) }),
		withLoader("loader wants loader", dyn, ld(elfSpec{typ: 3, interp: "/none"})),
		withLoader("loader phentsize", dyn, ld(elfSpec{typ: 3, headMut: func(b []byte) { b[54] = 55 }})),
		withLoader("loader phnum 0", dyn, ld(elfSpec{typ: 3, headMut: func(b []byte) { b[56] = 0 }})),
		withLoader("loader bss", dyn, ld(elfSpec{typ: 3, bss: 1 << 16})),
		withLoader("loader in a file", elfSpec{interp: "/etc/passwd/ld.so"}, func(tree) {}),
		withLoader("loader relative", elfSpec{interp: "lib/ld.so"}, ld(elfSpec{typ: 3})),
		withLoader("loader relative missing", elfSpec{interp: "ld.so"}, ld(elfSpec{typ: 3})),
		withLoader("loader dotdot", elfSpec{interp: "/../../lib/./ld.so"}, ld(elfSpec{typ: 3})),
		withLoader("loader name too long", elfSpec{interp: "/" + strings.Repeat("a", 300)}, func(tree) {}),
		withLoader("interp empty", elfSpec{raw: []byte{0, 0}}, ld(elfSpec{typ: 3})),
		withLoader("interp one byte", elfSpec{raw: []byte{0}}, ld(elfSpec{typ: 3})),
		withLoader("interp no bytes", elfSpec{raw: []byte{}}, ld(elfSpec{typ: 3})),
		withLoader("interp unterminated", elfSpec{raw: []byte("/lib/ld.so")}, ld(elfSpec{typ: 3})),
		withLoader("interp NUL inside", elfSpec{raw: []byte("/lib/ld.so\x00xyz\x00")}, ld(elfSpec{typ: 3})),
		withLoader("interp 4096", elfSpec{raw: append([]byte("/lib/ld.so"), make([]byte, 4086)...)}, ld(elfSpec{typ: 3})),
		withLoader("interp 4097", elfSpec{raw: append([]byte("/lib/ld.so"), make([]byte, 4087)...)}, ld(elfSpec{typ: 3})),
		withLoader("interp slashes", elfSpec{interp: "//lib///ld.so"}, ld(elfSpec{typ: 3})),
		withLoader("interp trailing slash", elfSpec{interp: "/lib/ld.so/"}, ld(elfSpec{typ: 3})),
		withLoader("interp space", elfSpec{interp: "/lib/ld.so "}, ld(elfSpec{typ: 3})),
		withLoader("interp itself", elfSpec{interp: "/bin/prog", typ: 3}, func(tree) {}),
		withLoader("arm64 with loader", elfSpec{arch: "arm64", interp: "/lib/ld.so"}, ld(elfSpec{typ: 3})),
		{"loader for its owner only", func(t tree) {
			t.elf("bin/prog", dyn)
			t.file("lib/ld.so", tiny, 0o700)
		}, Command{Entrypoint: []string{"/bin/prog"}, User: "app"}},
	}
	for n := 0; n <= len(tiny); n += 3 {
		cs = append(cs, withLoader(fmt.Sprintf("loader cut to %d", n), dyn, data(tiny[:n], 0o755)))
	}
	return cs
}

func scriptCases() []kcase {
	sh := func(name, text string) kcase {
		return kcase{"script " + name, func(t tree) {
			t.elf("bin/prog", elfSpec{})
			t.text("run", text)
		}, run("/run")}
	}
	long := "/bin/" + strings.Repeat("./", 130) + "prog"
	pad := func(n int) string { return "#!" + strings.Repeat(" ", n) }
	cs := []kcase{
		sh("plain", "#!/bin/prog\n"), sh("no newline", "#!/bin/prog"), sh("argument", "#!/bin/prog -x y\n"), sh("spaces", "#! \t /bin/prog \t \n"),
		sh("CRLF", "#!/bin/prog\r\n"), sh("CRLF argument", "#!/bin/prog -x\r\n"), sh("missing", "#!/bin/none\n"), sh("directory", "#!/bin\n"),
		sh("nothing", "#!"), sh("only newline", "#!\n"), sh("only spaces", "#!   \n"), sh("spaces no newline", "#!   "), sh("NUL", "#!\x00\n"),
		sh("NUL inside", "#!/bin/prog\x00/x\n"), sh("NUL after space", "#! \x00\n"), sh("one", "#"), sh("space before", " #!/bin/prog\n"), sh("BOM", "\xef\xbb\xbf#!/bin/prog\n"),
		sh("#", "# !/bin/prog\n"), sh("relative", "#!bin/prog\n"), sh("relative missing", "#!prog\n"), sh("dot", "#!./bin/prog\n"), sh("trailing slash", "#!/bin/prog/\n"),
		sh("env", "#!/usr/bin/env prog\n"), sh("not executable", "#!/etc/passwd\n"), sh("self", "#!/run\n"), sh("long name", "#!"+long+"\n"),
		sh("long name no newline", "#!"+long), sh("long argument", "#!/bin/prog "+strings.Repeat("x", 300)+"\n"), sh("long argument no newline", "#!/bin/prog "+strings.Repeat("x", 300)),
		sh("nul instead of newline", "#!/bin/prog\x00"), sh("tab", "#!\t/bin/prog\tx\n"), sh("vertical tab", "#!/bin/prog\v\n"), sh("spaces fill", pad(300)+"\n"), sh("upper", "#!/BIN/PROG\n"),
		sh("text interpreter", "#!/etc/group\n"), sh("lone CR", "#!\r\n"), sh("quoted", "#!\"/bin/prog\"\n"), sh("double bang", "#!#!/bin/prog\n"), sh("newline late", "#!/bin/prog "+strings.Repeat(" ", 300)+"\n"),
		sh("slash", "#!/\n"), sh("dotdot", "#!/../../bin/prog\n"), sh("unicode", "#!/bin/pr\u00f6g\n"),
	}
	for n := 239; n <= 246; n++ {
		cs = append(cs, sh(fmt.Sprintf("name ends at %d", n+11), pad(n)+"/bin/prog"+strings.Repeat(" ", 40)), sh(fmt.Sprintf("newline at %d", n+11), pad(n)+"/bin/prog\n"),
			sh(fmt.Sprintf("cut at %d", n+11), pad(n)+"/bin/prog"+strings.Repeat("g", 40)), sh(fmt.Sprintf("blank to %d", n+11), "#!/bin/prog"+strings.Repeat(" ", n)+"\n"))
	}
	for depth := 1; depth <= 8; depth++ {
		for _, end := range []string{"", "arm64", "text", "missing"} {
			cs = append(cs, nested(depth, end))
		}
	}
	return cs
}

// nested is a chain of scripts before the end.
func nested(depth int, end string) kcase {
	return kcase{fmt.Sprintf("nested %d %s", depth, end), func(t tree) {
		t.elf("usr/bin/qemu-arm64-static", elfSpec{})
		switch end {
		case "text":
			t.text("s0", "text")
		case "missing":
		default:
			t.elf("s0", elfSpec{arch: end})
		}
		for i := 1; i <= depth; i++ {
			t.text(fmt.Sprintf("s%d", i), fmt.Sprintf("#!/s%d\n", i-1))
		}
	}, run(fmt.Sprintf("/s%d", depth))}
}

// mutatedCases change valid programs: cut at every length, every byte of the
// headers set to some values, and at random.
func mutatedCases() []kcase {
	var cs []kcase
	for _, m := range []struct {
		name string
		spec elfSpec
	}{{"amd64", elfSpec{}}, {"pie", elfSpec{typ: 3, bss: 5000}}, {"386", elfSpec{arch: "386", bss: 100}}, {"dyn", elfSpec{interp: "/bin/ld"}}} {
		good := m.spec.bytes()
		with := func(name string, b []byte) {
			cs = append(cs, kcase{m.name + " " + name, func(t tree) {
				t.file("bin/prog", b, 0o755)
				t.elf("bin/ld", elfSpec{typ: 3})
			}, run("/bin/prog")})
		}
		for n := range len(good) {
			with(fmt.Sprintf("cut to %d", n), good[:n])
		}
		set := func(i int, v byte) []byte {
			b := append([]byte{}, good...)
			b[i] = v
			return b
		}
		for i := range min(len(good), 120) {
			for _, v := range []byte{0, 1, 0x80, 0xff} {
				with(fmt.Sprintf("byte %d is %#x", i, v), set(i, v))
			}
		}
		rnd := rand.New(rand.NewPCG(1, uint64(len(good))))
		for n := range 100 {
			b := append([]byte{}, good...)
			for range 1 + rnd.IntN(3) {
				b[rnd.IntN(len(b))] = byte(rnd.Uint32())
			}
			with(fmt.Sprintf("random %d", n), b)
		}
	}
	return cs
}
