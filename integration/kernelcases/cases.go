package kernelcases

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// A State is one way to set up binfmt_misc.
type State struct {
	Name string
	// Register registers the handlers in the binfmt_misc mounted at misc. emu
	// is a directory for the programs of handlers with flag F.
	Register func(misc, emu string)
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

// Magic is the magic and the mask of programs of an architecture, as Register
// takes them.
func Magic(arch string) string { return magics()[arch] }

// States are the host states, beginning with the one without handlers.
func States() []State {
	return []State{
		{"none", func(string, string) {}},
		{"with F", func(misc, emu string) {
			must(os.MkdirAll(emu, 0o755))
			for a, m := range magics() {
				p := filepath.Join(emu, a)
				must(os.WriteFile(p, ELF{}.Bytes(), 0o755))
				Register(misc, ":qemu-"+a+":M::"+m+":"+p+":POCF")
			}
			oddHandlers(misc, emu)
		}},
		{"without F", func(misc, emu string) {
			for a, m := range magics() {
				Register(misc, ":qemu-"+a+":M::"+m+":/usr/bin/qemu-"+a+"-static:OC")
			}
			oddHandlers(misc, emu)
		}},
		{"switched off", func(misc, emu string) {
			for a, m := range magics() {
				Register(misc, ":qemu-"+a+":M::"+m+":/usr/bin/qemu-"+a+"-static:")
			}
			oddHandlers(misc, emu)
			Switch(misc, false)
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
		":helddyn:M::EMU9::" + held("dyn", ELF{Interp: "/lib/ld-emu.so"}.Bytes()) + ":F",
		":heldforeign:M::EMUA::" + held("arm64prog", ELF{Arch: "arm64"}.Bytes()) + ":F",
		":heldtext:M::EMUB::" + held("text", []byte("hello\n")) + ":F",
		":heldopen:M::EMUC::" + held("opened", []byte("#!/opt/runner\n")) + ":OF",
		":self:M::EMUD::/opt/self:", ":off:M::EMUE::/opt/runner:",
		":first1:M::EMUF::/opt/runner:", ":second1:M::EMUF::/nowhere:",
		":first2:M::EMUG::/nowhere:", ":second2:M::EMUG::/opt/runner:",
		":relative:M::EMUH::opt/runner:", ":pflag:M::EMUI::/opt/runner:P", ":linked:M::EMUJ::/opt/link:",
		":locked:M::EMUK::/locked/runner:", ":offset:M:64:OFFSET::/opt/runner:", ":masked:M::EMXL:\\xff\\xff\\x00\\xff:/opt/runner:",
		":native:M:7:\\x77::/opt/runner:", ":edge:M:253:END::/opt/runner:", ":fifo:M::EMUM::/opt/fifo:",
		":ext:E::pyc::/opt/runner:", ":extdot:E::tar.gz::/opt/runner:", ":extsh:E::shx::/bin/prog:", ":extheld:E::fx::" + held("ext", ELF{}.Bytes()) + ":F",
		":slashed:M::EMUN::/opt/runner/:", ":chain:M::EMUO::/opt/emuo2:", ":wide:M::EMUP::/opt/wide386:",
	} {
		Register(misc, line)
	}
	must(os.WriteFile(filepath.Join(misc, "off"), []byte("0"), 0))
}

// opt puts what the odd handlers name into a root.
func opt(t Tree) {
	t.ELF("opt/runner", ELF{})
	t.ELF("opt/foreign", ELF{Arch: "arm64"})
	t.Text("opt/script", "#!/opt/runner\n")
	t.Dir("opt/dir", 0o755)
	t.File("opt/noexec", ELF{}.Bytes(), 0o644)
	t.Text("opt/self", "EMUD")
	t.Text("opt/emuo2", "EMU2")
	t.Link("opt/link", "/opt/runner")
	t.ELF("locked/runner", ELF{})
	t.Dir("locked", 0o700)
	t.Fifo("opt/fifo")
	t.ELF("opt/wide386", ELF{Arch: "wide386"})
}

// prog is a case whose only program is /bin/prog.
func prog(name string, data []byte) Case {
	return Case{name, func(t Tree) { t.File("bin/prog", data, 0o755) }, Run("/bin/prog")}
}

// All are the cases for every host state.
func All() []Case {
	var all []Case
	for _, f := range []func() []Case{formatCases, loaderCases, scriptCases, pathCases, userCases, linkCases, handlerCases, Layouts} {
		all = append(all, f()...)
	}
	return all
}

func formatCases() []Case {
	var cs []Case
	for _, a := range Arches() {
		cs = append(cs,
			prog("static "+a, ELF{Arch: a}.Bytes()),
			prog("pie "+a, ELF{Arch: a, Type: 3}.Bytes()),
			Case{"emulator shipped " + a, func(t Tree) {
				t.ELF("bin/prog", ELF{Arch: a})
				t.ELF("usr/bin/qemu-"+a+"-static", ELF{})
			}, Run("prog")},
			Case{"foreign without x " + a, func(t Tree) { t.File("bin/prog", ELF{Arch: a}.Bytes(), 0o644) }, Run("/bin/prog")})
	}
	for typ := uint16(0); typ < 6; typ++ {
		cs = append(cs, prog(fmt.Sprintf("e_type %d", typ), ELF{Edit: func(b []byte) { b[16] = byte(typ) }}.Bytes()))
	}
	for _, n := range []int{1, 2, 73, 74, 128, 1169, 1170, 1171, 2000} {
		cs = append(cs, prog(fmt.Sprintf("%d program headers", n), ELF{Phnum: n}.Bytes()))
	}
	for _, n := range []int{2047, 2048, 2049} {
		cs = append(cs, prog(fmt.Sprintf("386 %d program headers", n), ELF{Arch: "386", Phnum: n}.Bytes()))
	}
	cs = append(cs,
		prog("empty", nil), prog("text", []byte("echo hello\n")), prog("one byte", []byte{0x7f}), prog("zeros", make([]byte, 4096)),
		prog("MZ", []byte("MZ\x90\x00")), prog("Mach-O", []byte("\xcf\xfa\xed\xfe\x07\x00\x00\x01")), prog("wasm", []byte("\x00asm\x01\x00\x00\x00")),
		prog("no PT_LOAD", ELF{NoLoad: true}.Bytes()), prog("pie no PT_LOAD", ELF{Type: 3, NoLoad: true}.Bytes()),
		prog("bss", ELF{BSS: 1 << 20}.Bytes()), prog("pie bss", ELF{Type: 3, BSS: 1 << 20}.Bytes()),
		prog("low address", ELF{Vaddr: 0x1000}.Bytes()), prog("lowest allowed", ELF{Vaddr: 0x10000}.Bytes()),
		prog("kernel address", ELF{Vaddr: 0xffff800000000000}.Bytes()), prog("task size", ELF{Vaddr: 0x7ffffffff000}.Bytes()),
		prog("entry in kernel", ELF{Edit: func(b []byte) { b[31] = 0xff }}.Bytes()),
		prog("386 flags", ELF{Arch: "386", Flags: 0xffffffff}.Bytes()),
	)
	return cs
}

func loaderCases() []Case {
	withLoader := func(name string, main ELF, loader func(Tree)) Case {
		return Case{name, func(t Tree) { t.ELF("bin/prog", main); loader(t) }, Run("/bin/prog")}
	}
	dyn := ELF{Interp: "/lib/ld.so", Type: 3}
	ld := func(s ELF) func(Tree) { return func(t Tree) { t.ELF("lib/ld.so", s) } }
	data := func(b []byte, mode uint32) func(Tree) { return func(t Tree) { t.File("lib/ld.so", b, mode) } }
	tiny := ELF{Type: 3}.Bytes()
	cs := []Case{
		withLoader("loader", dyn, ld(ELF{Type: 3})),
		withLoader("loader exec", dyn, ld(ELF{Vaddr: 0x7000000})),
		withLoader("loader of ET_EXEC", ELF{Interp: "/lib/ld.so"}, ld(ELF{Type: 3})),
		withLoader("loader missing", dyn, func(Tree) {}),
		withLoader("loader arm64", dyn, ld(ELF{Arch: "arm64", Type: 3})),
		withLoader("loader 386", dyn, ld(ELF{Arch: "386", Type: 3})),
		withLoader("386 loader", ELF{Arch: "386", Interp: "/lib/ld.so"}, ld(ELF{Arch: "386", Type: 3})),
		withLoader("386 loader amd64", ELF{Arch: "386", Interp: "/lib/ld.so"}, ld(ELF{Type: 3})),
		withLoader("386 loader missing", ELF{Arch: "386", Interp: "/lib/ld.so"}, func(Tree) {}),
		withLoader("loader not executable", dyn, data(tiny, 0o644)),
		withLoader("loader unreadable", dyn, data(tiny, 0o111)),
		withLoader("loader directory", dyn, func(t Tree) { t.Dir("lib/ld.so", 0o755) }),
		withLoader("loader fifo", dyn, func(t Tree) { t.Dir("lib", 0o755); t.Fifo("lib/ld.so") }),
		withLoader("loader script", dyn, data([]byte("#!/bin/prog\n"+strings.Repeat(" ", 100)), 0o755)),
		withLoader("loader text short", dyn, data([]byte("#!/bin/prog\n"), 0o755)),
		withLoader("loader empty", dyn, data(nil, 0o755)),
		withLoader("loader object", dyn, ld(ELF{Edit: func(b []byte) { b[16] = 1 }})),
		withLoader("loader no PT_LOAD", dyn, ld(ELF{Type: 3, NoLoad: true})),
		withLoader("loader loop", dyn, func(t Tree) { t.Link("lib/ld.so", "ld.so") }),
		withLoader("loader link", dyn, func(t Tree) { t.Link("lib/ld.so", "/lib/real.so"); t.ELF("lib/real.so", ELF{Type: 3}) }),
		withLoader("loader wants loader", dyn, ld(ELF{Type: 3, Interp: "/none"})),
		withLoader("loader phentsize", dyn, ld(ELF{Type: 3, Edit: func(b []byte) { b[54] = 55 }})),
		withLoader("loader phnum 0", dyn, ld(ELF{Type: 3, Edit: func(b []byte) { b[56] = 0 }})),
		withLoader("loader bss", dyn, ld(ELF{Type: 3, BSS: 1 << 16})),
		withLoader("loader in a file", ELF{Interp: "/etc/passwd/ld.so"}, func(Tree) {}),
		withLoader("loader relative", ELF{Interp: "lib/ld.so"}, ld(ELF{Type: 3})),
		withLoader("loader relative missing", ELF{Interp: "ld.so"}, ld(ELF{Type: 3})),
		withLoader("loader dotdot", ELF{Interp: "/../../lib/./ld.so"}, ld(ELF{Type: 3})),
		withLoader("loader name too long", ELF{Interp: "/" + strings.Repeat("a", 300)}, func(Tree) {}),
		withLoader("interp empty", ELF{Raw: []byte{0, 0}}, ld(ELF{Type: 3})),
		withLoader("interp one byte", ELF{Raw: []byte{0}}, ld(ELF{Type: 3})),
		withLoader("interp no bytes", ELF{Raw: []byte{}}, ld(ELF{Type: 3})),
		withLoader("interp unterminated", ELF{Raw: []byte("/lib/ld.so")}, ld(ELF{Type: 3})),
		withLoader("interp NUL inside", ELF{Raw: []byte("/lib/ld.so\x00xyz\x00")}, ld(ELF{Type: 3})),
		withLoader("interp 4096", ELF{Raw: append([]byte("/lib/ld.so"), make([]byte, 4086)...)}, ld(ELF{Type: 3})),
		withLoader("interp 4097", ELF{Raw: append([]byte("/lib/ld.so"), make([]byte, 4087)...)}, ld(ELF{Type: 3})),
		withLoader("interp slashes", ELF{Interp: "//lib///ld.so"}, ld(ELF{Type: 3})),
		withLoader("interp trailing slash", ELF{Interp: "/lib/ld.so/"}, ld(ELF{Type: 3})),
		withLoader("interp space", ELF{Interp: "/lib/ld.so "}, ld(ELF{Type: 3})),
		withLoader("interp itself", ELF{Interp: "/bin/prog", Type: 3}, func(Tree) {}),
		withLoader("arm64 with loader", ELF{Arch: "arm64", Interp: "/lib/ld.so"}, ld(ELF{Type: 3})),
		{"loader for its owner only", func(t Tree) {
			t.ELF("bin/prog", dyn)
			t.File("lib/ld.so", tiny, 0o700)
		}, Command{Entrypoint: []string{"/bin/prog"}, User: "app"}},
	}
	for n := 0; n <= len(tiny); n += 3 {
		cs = append(cs, withLoader(fmt.Sprintf("loader cut to %d", n), dyn, data(tiny[:n], 0o755)))
	}
	return cs
}

func scriptCases() []Case {
	sh := func(name, text string) Case {
		return Case{"script " + name, func(t Tree) {
			t.ELF("bin/prog", ELF{})
			t.Text("run", text)
		}, Run("/run")}
	}
	long := "/bin/" + strings.Repeat("./", 130) + "prog"
	pad := func(n int) string { return "#!" + strings.Repeat(" ", n) }
	cs := []Case{
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
func nested(depth int, end string) Case {
	return Case{fmt.Sprintf("nested %d %s", depth, end), func(t Tree) {
		t.ELF("usr/bin/qemu-arm64-static", ELF{})
		switch end {
		case "text":
			t.Text("s0", "text")
		case "missing":
		default:
			t.ELF("s0", ELF{Arch: end})
		}
		for i := 1; i <= depth; i++ {
			t.Text(fmt.Sprintf("s%d", i), fmt.Sprintf("#!/s%d\n", i-1))
		}
	}, Run(fmt.Sprintf("/s%d", depth))}
}

// Mutated are changes of valid programs: cut at every length, every byte of the
// headers set to some values, and at random.
func Mutated() []Case {
	var cs []Case
	for _, m := range []struct {
		name string
		spec ELF
	}{{"amd64", ELF{}}, {"pie", ELF{Type: 3, BSS: 5000}}, {"386", ELF{Arch: "386", BSS: 100}}, {"dyn", ELF{Interp: "/bin/ld"}}} {
		good := m.spec.Bytes()
		with := func(name string, b []byte) {
			cs = append(cs, Case{m.name + " " + name, func(t Tree) {
				t.File("bin/prog", b, 0o755)
				t.ELF("bin/ld", ELF{Type: 3})
			}, Run("/bin/prog")})
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
