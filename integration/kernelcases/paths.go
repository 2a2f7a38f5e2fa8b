package kernelcases

import (
	"fmt"
	"os"
	"strings"
)

func pathCases() []Case {
	two := func(name, list string, first func(Tree), args ...string) Case {
		if args == nil {
			args = []string{"prog"}
		}
		return Case{"PATH " + name, func(t Tree) {
			first(t)
			t.ELF("two/prog", ELF{})
		}, Command{Entrypoint: args, Env: []string{"PATH=" + list}}}
	}
	none := func(Tree) {}
	return []Case{
		two("second", "/one:/two", none),
		two("first missing link", "/one:/two", func(t Tree) { t.Link("one/prog", "nowhere") }),
		two("first is directory", "/one:/two", func(t Tree) { t.Dir("one/prog", 0o755) }),
		two("first not executable", "/one:/two", func(t Tree) { t.File("one/prog", nil, 0o644) }),
		two("first foreign", "/one:/two", func(t Tree) { t.ELF("one/prog", ELF{Arch: "ppc64"}) }),
		two("first text", "/one:/two", func(t Tree) { t.Text("one/prog", "text") }),
		two("first script missing", "/one:/two", func(t Tree) { t.Text("one/prog", "#!/none\n") }),
		two("first loop", "/one:/two", func(t Tree) { t.Link("one/prog", "prog") }),
		two("first fifo", "/one:/two", func(t Tree) { t.Dir("one", 0o755); t.Fifo("one/prog") }),
		two("first in a file", "/etc/passwd:/two", none),
		two("nowhere", "/one", none), two("empty", "", none), two("only colons", "::", none),
		two("slashes", "//two//", none), two("trailing colon", "/one:", none),
		two("dotdot", "/one/../two", none), two("absolute name", "/one", none, "/two/prog"), two("slash name", "/one", none, "two/prog"),
		two("dot name", "/one", none, "./two/prog"), two("name dotdot", "/two", none, ".."), two("name dot", "/two", none, "."), two("empty name", "/two", none, "", "x"),
		two("long name", "/two", none, strings.Repeat("a", 300)), two("long path", "/two", none, "/"+strings.Repeat("a/", 2100)+"x"), two("directory", "/", none, "/two"),
		two("slash only", "/two", none, "/"), two("trailing slash", "/two", none, "/two/prog/"), two("through file", "/two", none, "/two/prog/x"), two("name in middle", "/two", none, "/two/none/../prog"),
		two("device", "/one:/two", func(t Tree) { t.Device("one/prog") }), two("device itself", "/", func(t Tree) { t.Device("one/prog") }, "/one/prog"),
		{"PATH default", func(t Tree) { t.ELF("sbin/prog", ELF{}) }, Run("prog")},
		{"PATH default order", func(t Tree) { t.ELF("bin/prog", ELF{}); t.ELF("usr/local/sbin/prog", ELF{Arch: "s390x"}) }, Run("prog")},
		{"PATH last counts", func(t Tree) { t.ELF("two/prog", ELF{}) }, Command{Entrypoint: []string{"prog"}, Env: []string{"PATH=/two", "PATH=/one"}}},
		{"PATH last counts too", func(t Tree) { t.ELF("two/prog", ELF{}) }, Command{Entrypoint: []string{"prog"}, Env: []string{"PATH=/one", "PATH=/two"}}},
		{"workdir relative name", func(t Tree) { t.ELF("work/prog", ELF{}) }, Command{Entrypoint: []string{"./prog"}, WorkingDir: "/work"}},
		{"workdir dotdot", func(t Tree) { t.ELF("prog", ELF{}); t.Dir("work", 0o755) }, Command{Entrypoint: []string{"../../prog"}, WorkingDir: "/work"}},
		{"workdir link", func(t Tree) {
			t.ELF("real/prog", ELF{})
			t.ELF("prog", ELF{Arch: "ppc64"})
			t.Link("work", "/real")
		}, Command{Entrypoint: []string{"./prog"}, WorkingDir: "/work"}},
		{"workdir link parent", func(t Tree) { t.ELF("a/prog", ELF{}); t.Dir("a/b", 0o755); t.Link("work", "/a/b") }, Command{Entrypoint: []string{"../prog"}, WorkingDir: "/work"}},
		{"workdir is a file", func(t Tree) { t.ELF("prog", ELF{}) }, Command{Entrypoint: []string{"/prog"}, WorkingDir: "/prog"}},
		{"workdir below a file", func(t Tree) { t.ELF("prog", ELF{}) }, Command{Entrypoint: []string{"/prog"}, WorkingDir: "/prog/x"}},
		{"workdir loop", func(t Tree) { t.ELF("prog", ELF{}); t.Link("work", "work") }, Command{Entrypoint: []string{"/prog"}, WorkingDir: "/work"}},
		{"workdir closed", func(t Tree) { t.ELF("work/prog", ELF{}); t.Dir("work", 0o700) }, Command{Entrypoint: []string{"./prog"}, WorkingDir: "/work", User: "app"}},
		{"workdir closed absolute", func(t Tree) { t.ELF("prog", ELF{}); t.Dir("work", 0o700) }, Command{Entrypoint: []string{"/prog"}, WorkingDir: "/work", User: "app"}},
		{"workdir script relative", func(t Tree) { t.ELF("work/in", ELF{}); t.Text("prog", "#!in\n") }, Command{Entrypoint: []string{"/prog"}, WorkingDir: "/work"}},
		{"args replace cmd", func(t Tree) { t.ELF("good", ELF{}) }, Command{Cmd: []string{"/bad"}, Args: []string{"/good"}}},
		{"entrypoint and args", func(t Tree) { t.ELF("good", ELF{}) }, Command{Entrypoint: []string{"/good"}, Cmd: []string{"/bad"}, Args: []string{"/bad"}}},
		{"cmd", func(t Tree) { t.ELF("good", ELF{}) }, Command{Cmd: []string{"/good", "x"}}},
	}
}

func userCases() []Case {
	var cs []Case
	for _, u := range []string{"", "root", "0", "0:0", "app", "1000", "other", "4321", "4321:2000", "app:tools", "app:1001", "0:1000"} {
		for _, f := range []struct {
			mode     uint32
			uid, gid int
		}{{0o755, 0, 0}, {0o700, 0, 0}, {0o644, 0, 0}, {0o100, 1000, 1000}, {0o655, 1000, 1000}, {0o010, 0, 2000}, {0o001, 1000, 2000}, {0o705, 0, 2000}, {0o050, 4321, 0}, {0o011, 4321, 0}, {0, 0, 0}, {0o4711, 0, 0}} {
			cs = append(cs, Case{fmt.Sprintf("user %q mode %o of %d:%d", u, f.mode, f.uid, f.gid), func(t Tree) {
				t.File("bin/prog", ELF{}.Bytes(), f.mode, f.uid, f.gid)
			}, Command{Entrypoint: []string{"/bin/prog"}, User: u}})
		}
		for _, mode := range []uint32{0o755, 0o700, 0o701, 0o710, 0o744, 0} {
			dir := func(t Tree) {
				t.ELF("d/e/prog", ELF{})
				t.Dir("d", mode, 0, 2000)
			}
			cs = append(cs, Case{fmt.Sprintf("user %q directory %o", u, mode), dir, Command{Entrypoint: []string{"/d/e/prog"}, User: u}},
				Case{fmt.Sprintf("user %q directory %o dotdot", u, mode), func(t Tree) { dir(t); t.ELF("x", ELF{}) }, Command{Entrypoint: []string{"/d/../x"}, User: u}})
		}
		cs = append(cs, Case{fmt.Sprintf("user %q PATH not mine", u), func(t Tree) {
			t.File("one/prog", ELF{}.Bytes(), 0o700)
			t.ELF("two/prog", ELF{})
		}, Command{Entrypoint: []string{"prog"}, User: u, Env: []string{"PATH=/one:/two"}}},
			Case{fmt.Sprintf("user %q script of another", u), func(t Tree) {
				t.ELF("bin/prog", ELF{})
				t.File("run", []byte("#!/bin/prog\n"), 0o711)
			}, Command{Entrypoint: []string{"/run"}, User: u}},
			Case{fmt.Sprintf("user %q interpreter of another", u), func(t Tree) {
				t.File("bin/prog", ELF{}.Bytes(), 0o700)
				t.Text("run", "#!/bin/prog\n")
			}, Command{Entrypoint: []string{"/run"}, User: u}},
			Case{fmt.Sprintf("user %q sticky link", u), func(t Tree) {
				t.ELF("bin/prog", ELF{})
				t.Dir("tmp", 0o1777)
				t.Link("tmp/l", "/bin/prog")
				must(os.Lchown(t.At("tmp/l"), 1001, 1001))
			}, Command{Entrypoint: []string{"/tmp/l"}, User: u}},
			Case{fmt.Sprintf("user %q emulator of another", u), func(t Tree) {
				t.ELF("bin/prog", ELF{Arch: "arm64"})
				t.File("usr/bin/qemu-arm64-static", ELF{}.Bytes(), 0o700)
			}, Command{Entrypoint: []string{"/bin/prog"}, User: u}})
	}
	return cs
}

func linkCases() []Case {
	cs := []Case{
		{"link absolute", func(t Tree) { t.ELF("real", ELF{}); t.Link("bin/prog", "/real") }, Run("prog")},
		{"link relative", func(t Tree) { t.ELF("real", ELF{}); t.Link("bin/prog", "../real") }, Run("prog")},
		{"link escapes", func(t Tree) { t.ELF("real", ELF{}); t.Link("bin/prog", "../../../../../real") }, Run("prog")},
		{"link to the host", func(t Tree) { t.Link("bin/prog", "/proc/self/exe") }, Run("prog")},
		{"link to itself", func(t Tree) { t.Link("bin/prog", "prog") }, Run("/bin/prog")},
		{"link dangling", func(t Tree) { t.Link("bin/prog", "/none") }, Run("/bin/prog")},
		{"link directory", func(t Tree) { t.ELF("usr/bin/prog", ELF{}); t.Link("bin", "usr/bin") }, Run("/bin/prog")},
		{"link directory dotdot", func(t Tree) { t.ELF("usr/prog", ELF{}); t.Dir("usr/bin", 0o755); t.Link("bin", "usr/bin") }, Run("/bin/../prog")},
		{"link with slash", func(t Tree) { t.ELF("real", ELF{}); t.Link("bin/prog", "/real/") }, Run("/bin/prog")},
		{"link with slash to directory", func(t Tree) { t.ELF("real/x", ELF{}); t.Link("l", "real//") }, Run("/l/x")},
		{"link then slash", func(t Tree) { t.ELF("real", ELF{}); t.Link("prog", "real") }, Run("/prog/")},
		{"link to directory", func(t Tree) { t.Dir("real", 0o755); t.Link("prog", "real") }, Run("/prog")},
		{"link through file", func(t Tree) { t.ELF("real", ELF{}); t.Link("prog", "real/x") }, Run("/prog")},
		{"link to dot", func(t Tree) { t.ELF("real", ELF{}); t.Link("d", ".") }, Run("/d/d/d/real")},
		{"link long target", func(t Tree) { t.ELF("real", ELF{}); t.Link("prog", strings.Repeat("./", 2000)+"real") }, Run("/prog")},
		{"link interpreter", func(t Tree) { t.ELF("real", ELF{}); t.Link("in", "real"); t.Text("prog", "#!/in\n") }, Run("/prog")},
		{"busybox", func(t Tree) { t.ELF("bin/busybox", ELF{}); t.Link("bin/sh", "/bin/busybox") }, Run("sh", "-c", "x")},
		{"busybox foreign", func(t Tree) { t.ELF("bin/busybox", ELF{Arch: "arm"}); t.Link("bin/sh", "/bin/busybox") }, Run("sh", "-c", "x")},
	}
	for _, n := range []int{39, 40, 41, 42} {
		chain := func(t Tree) {
			t.ELF("l0", ELF{})
			for i := 1; i <= n; i++ {
				t.Link(fmt.Sprintf("l%d", i), fmt.Sprintf("l%d", i-1))
			}
		}
		cs = append(cs, Case{fmt.Sprintf("%d links", n), chain, Run(fmt.Sprintf("/l%d", n))},
			Case{fmt.Sprintf("%d links of an interpreter", n), func(t Tree) { chain(t); t.Text("s", fmt.Sprintf("#!/l%d\n", n)) }, Run("/s")},
			Case{fmt.Sprintf("%d times the same link", n), func(t Tree) { t.ELF("x", ELF{}); t.Link("d", ".") }, Run("/" + strings.Repeat("d/", n) + "x")})
	}
	return cs
}

func handlerCases() []Case {
	var cs []Case
	for _, c := range "0123456789ABCDEFGHIJKLMNOP" {
		for _, u := range []string{"", "app"} {
			cs = append(cs, Case{fmt.Sprintf("EMU%c as %q", c, u), func(t Tree) {
				opt(t)
				t.Text("prog", "EMU"+string(c))
			}, Command{Entrypoint: []string{"/prog"}, User: u}})
		}
		cs = append(cs, Case{fmt.Sprintf("EMU%c alone", c), func(t Tree) { t.Text("prog", "EMU"+string(c)+" text") }, Run("/prog")},
			Case{fmt.Sprintf("EMU%c in workdir", c), func(t Tree) { opt(t); t.Text("prog", "EMU"+string(c)); t.ELF("work/opt/runner", ELF{}) },
				Command{Entrypoint: []string{"/prog"}, WorkingDir: "/work"}},
			Case{fmt.Sprintf("script to EMU%c", c), func(t Tree) { opt(t); t.Text("in", "EMU"+string(c)); t.Text("prog", "#!/in\n") }, Run("/prog")},
			Case{fmt.Sprintf("EMU%c with loader", c), func(t Tree) { opt(t); t.Text("prog", "EMU"+string(c)); t.ELF("lib/ld-emu.so", ELF{Type: 3}) }, Run("/prog")})
	}
	ext := func(name string, data []byte, start string) Case {
		return Case{"extension " + name + " by " + start, func(t Tree) {
			opt(t)
			t.ELF("bin/prog", ELF{})
			t.File(name, data, 0o755)
			t.Link("l", "/"+name)
			t.Link("l.pyc", "/"+name)
		}, Run(start)}
	}
	text, native := []byte("text"), ELF{}.Bytes()
	cs = append(cs,
		ext("a.pyc", text, "/a.pyc"), ext("a.pyc", text, "/l"), ext("a", text, "/l.pyc"), ext("a.PYC", text, "/a.PYC"), ext("a.pyc", native, "/a.pyc"), ext(".pyc", text, "/.pyc"),
		ext("a.x.pyc", text, "/a.x.pyc"), ext("a.pyc.x", text, "/a.pyc.x"), ext("d.pyc/a", text, "/d.pyc/a"), ext("a.tar.gz", text, "/a.tar.gz"), ext("a.shx", []byte("#!/bin/prog\n"), "/a.shx"),
		ext("a.fx", native, "/a.fx"), ext("a.fx", ELF{Arch: "arm64"}.Bytes(), "/a.fx"), ext("bin/b.pyc", text, "b.pyc"), ext("a.pyc", nil, "/a.pyc"),
		Case{"extension of an interpreter", func(t Tree) { opt(t); t.Text("in.pyc", "text"); t.Text("prog", "#!/in.pyc x\n") }, Run("/prog")},
		Case{"extension not executable", func(t Tree) { opt(t); t.File("a.pyc", text, 0o644) }, Run("/a.pyc")},
		Case{"native taken over", func(t Tree) { opt(t); t.ELF("prog", ELF{Edit: func(b []byte) { b[7] = 0x77 }}) }, Run("/prog")},
		Case{"native taken over by itself", func(t Tree) { t.ELF("opt/runner", ELF{Edit: func(b []byte) { b[7] = 0x77 }}) }, Run("/opt/runner")},
		Case{"foreign taken over", func(t Tree) { opt(t); t.ELF("prog", ELF{Arch: "arm64", Edit: func(b []byte) { b[7] = 0x77 }}) }, Run("/prog")},
		Case{"offset", func(t Tree) { opt(t); t.Text("prog", strings.Repeat(" ", 64)+"OFFSET") }, Run("/prog")},
		Case{"offset cut", func(t Tree) { opt(t); t.Text("prog", strings.Repeat(" ", 64)+"OFFSE") }, Run("/prog")},
		Case{"masked", func(t Tree) { opt(t); t.Text("prog", "EMyL") }, Run("/prog")},
		Case{"masked differs", func(t Tree) { opt(t); t.Text("prog", "EmyL") }, Run("/prog")},
		Case{"edge", func(t Tree) { opt(t); t.Text("prog", strings.Repeat(" ", 253)+"END") }, Run("/prog")},
		Case{"emulator foreign", func(t Tree) {
			t.ELF("prog", ELF{Arch: "arm64"})
			t.ELF("usr/bin/qemu-arm64-static", ELF{Arch: "s390x"})
		}, Run("/prog")},
		Case{"emulator itself", func(t Tree) {
			t.ELF("prog", ELF{Arch: "arm64"})
			t.ELF("usr/bin/qemu-arm64-static", ELF{Arch: "arm64"})
		}, Run("/prog")},
		Case{"emulator script", func(t Tree) {
			t.ELF("prog", ELF{Arch: "arm64"})
			t.ELF("bin/sh", ELF{})
			t.Text("usr/bin/qemu-arm64-static", "#!/bin/sh\n")
		}, Run("/prog")},
		Case{"emulator dynamic without loader", func(t Tree) {
			t.ELF("prog", ELF{Arch: "arm64"})
			t.ELF("usr/bin/qemu-arm64-static", ELF{Interp: "/lib/ld.so"})
		}, Run("/prog")},
		Case{"emulator link", func(t Tree) {
			t.ELF("prog", ELF{Arch: "arm64"})
			t.ELF("q", ELF{})
			t.Link("usr/bin/qemu-arm64-static", "/q")
		}, Run("/prog")},
		Case{"emulator 386", func(t Tree) {
			t.ELF("prog", ELF{Arch: "arm64"})
			t.ELF("usr/bin/qemu-arm64-static", ELF{Arch: "386"})
		}, Run("/prog")},
		Case{"script to foreign", func(t Tree) { t.ELF("in", ELF{Arch: "arm64"}); t.Text("prog", "#!/in\n") }, Run("/prog")},
		Case{"foreign type object", func(t Tree) { t.ELF("prog", ELF{Arch: "arm64", Edit: func(b []byte) { b[16] = 1 }}) }, Run("/prog")},
	)
	for n := 16; n < 64; n += 4 {
		cs = append(cs, prog(fmt.Sprintf("arm64 cut to %d", n), ELF{Arch: "arm64"}.Bytes()[:n]))
	}
	return cs
}
