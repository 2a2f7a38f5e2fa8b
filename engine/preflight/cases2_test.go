package preflight

import (
	"fmt"
	"strings"
)

func pathCases() []kcase {
	two := func(name, list string, first func(tree), args ...string) kcase {
		if args == nil {
			args = []string{"prog"}
		}
		return kcase{"PATH " + name, func(t tree) {
			first(t)
			t.elf("two/prog", elfSpec{})
		}, Command{Entrypoint: args, Env: []string{"PATH=" + list}}}
	}
	none := func(tree) {}
	return []kcase{
		two("second", "/one:/two", none),
		two("first missing link", "/one:/two", func(t tree) { t.link("one/prog", "nowhere") }),
		two("first is directory", "/one:/two", func(t tree) { t.dir("one/prog", 0o755) }),
		two("first not executable", "/one:/two", func(t tree) { t.file("one/prog", nil, 0o644) }),
		two("first foreign", "/one:/two", func(t tree) { t.elf("one/prog", elfSpec{arch: "ppc64"}) }),
		two("first text", "/one:/two", func(t tree) { t.text("one/prog", "text") }),
		two("first script missing", "/one:/two", func(t tree) { t.text("one/prog", "#!/none\n") }),
		two("first loop", "/one:/two", func(t tree) { t.link("one/prog", "prog") }),
		two("first fifo", "/one:/two", func(t tree) { t.dir("one", 0o755); t.fifo("one/prog") }),
		two("first in a file", "/etc/passwd:/two", none),
		two("nowhere", "/one", none), two("empty", "", none), two("only colons", "::", none),
		two("relative", "two", none), two("relative dot", "./two", none), two("slashes", "//two//", none), two("trailing colon", "/one:", none),
		two("dotdot", "/one/../two", none), two("absolute name", "/one", none, "/two/prog"), two("slash name", "/one", none, "two/prog"),
		two("dot name", "/one", none, "./two/prog"), two("name dotdot", "/two", none, ".."), two("name dot", "/two", none, "."), two("empty name", "/two", none, ""),
		two("long name", "/two", none, strings.Repeat("a", 300)), two("long path", "/two", none, "/"+strings.Repeat("a/", 2100)+"x"), two("directory", "/", none, "/two"),
		two("slash only", "/two", none, "/"), two("trailing slash", "/two", none, "/two/prog/"), two("through file", "/two", none, "/two/prog/x"), two("name in middle", "/two", none, "/two/none/../prog"),
		two("device", "/one:/two", func(t tree) { t.device("one/prog") }), two("device itself", "/", func(t tree) { t.device("one/prog") }, "/one/prog"),
		{"PATH default", func(t tree) { t.elf("sbin/prog", elfSpec{}) }, run("prog")},
		{"PATH default order", func(t tree) { t.elf("bin/prog", elfSpec{}); t.elf("usr/local/sbin/prog", elfSpec{arch: "s390x"}) }, run("prog")},
		{"PATH last counts", func(t tree) { t.elf("two/prog", elfSpec{}) }, Command{Entrypoint: []string{"prog"}, Env: []string{"PATH=/two", "PATH=/one"}}},
		{"PATH last counts too", func(t tree) { t.elf("two/prog", elfSpec{}) }, Command{Entrypoint: []string{"prog"}, Env: []string{"PATH=/one", "PATH=/two"}}},
		{"PATH empty element in workdir", func(t tree) { t.elf("work/prog", elfSpec{}) }, Command{Entrypoint: []string{"prog"}, WorkingDir: "/work", Env: []string{"PATH=/one::/two"}}},
		{"PATH relative in workdir", func(t tree) { t.elf("work/bin/prog", elfSpec{}) }, Command{Entrypoint: []string{"prog"}, WorkingDir: "/work", Env: []string{"PATH=bin"}}},
		{"workdir relative name", func(t tree) { t.elf("work/prog", elfSpec{}) }, Command{Entrypoint: []string{"./prog"}, WorkingDir: "/work"}},
		{"workdir dotdot", func(t tree) { t.elf("prog", elfSpec{}); t.dir("work", 0o755) }, Command{Entrypoint: []string{"../../prog"}, WorkingDir: "/work"}},
		{"workdir link", func(t tree) {
			t.elf("real/prog", elfSpec{})
			t.elf("prog", elfSpec{arch: "ppc64"})
			t.link("work", "/real")
		}, Command{Entrypoint: []string{"./prog"}, WorkingDir: "/work"}},
		{"workdir link parent", func(t tree) { t.elf("a/prog", elfSpec{}); t.dir("a/b", 0o755); t.link("work", "/a/b") }, Command{Entrypoint: []string{"../prog"}, WorkingDir: "/work"}},
		{"workdir is a file", func(t tree) { t.elf("prog", elfSpec{}) }, Command{Entrypoint: []string{"/prog"}, WorkingDir: "/prog"}},
		{"workdir below a file", func(t tree) { t.elf("prog", elfSpec{}) }, Command{Entrypoint: []string{"/prog"}, WorkingDir: "/prog/x"}},
		{"workdir loop", func(t tree) { t.elf("prog", elfSpec{}); t.link("work", "work") }, Command{Entrypoint: []string{"/prog"}, WorkingDir: "/work"}},
		{"workdir closed", func(t tree) { t.elf("work/prog", elfSpec{}); t.dir("work", 0o700) }, Command{Entrypoint: []string{"./prog"}, WorkingDir: "/work", User: "app"}},
		{"workdir closed absolute", func(t tree) { t.elf("prog", elfSpec{}); t.dir("work", 0o700) }, Command{Entrypoint: []string{"/prog"}, WorkingDir: "/work", User: "app"}},
		{"workdir script relative", func(t tree) { t.elf("work/in", elfSpec{}); t.text("prog", "#!in\n") }, Command{Entrypoint: []string{"/prog"}, WorkingDir: "/work"}},
		{"args replace cmd", func(t tree) { t.elf("good", elfSpec{}) }, Command{Cmd: []string{"/bad"}, Args: []string{"/good"}}},
		{"entrypoint and args", func(t tree) { t.elf("good", elfSpec{}) }, Command{Entrypoint: []string{"/good"}, Cmd: []string{"/bad"}, Args: []string{"/bad"}}},
		{"cmd", func(t tree) { t.elf("good", elfSpec{}) }, Command{Cmd: []string{"/good", "x"}}},
	}
}

func userCases() []kcase {
	var cs []kcase
	for _, u := range []string{"", "root", "0", "0:0", "app", "1000", "other", "4321", "4321:2000", "app:tools", "app:1001", "0:1000"} {
		for _, f := range []struct {
			mode     uint32
			uid, gid int
		}{{0o755, 0, 0}, {0o700, 0, 0}, {0o644, 0, 0}, {0o100, 1000, 1000}, {0o655, 1000, 1000}, {0o010, 0, 2000}, {0o001, 1000, 2000}, {0o705, 0, 2000}, {0o050, 4321, 0}, {0o011, 4321, 0}, {0, 0, 0}, {0o4711, 0, 0}} {
			cs = append(cs, kcase{fmt.Sprintf("user %q mode %o of %d:%d", u, f.mode, f.uid, f.gid), func(t tree) {
				t.file("bin/prog", elfSpec{}.bytes(), f.mode, f.uid, f.gid)
			}, Command{Entrypoint: []string{"/bin/prog"}, User: u}})
		}
		for _, mode := range []uint32{0o755, 0o700, 0o701, 0o710, 0o744, 0} {
			dir := func(t tree) {
				t.elf("d/e/prog", elfSpec{})
				t.dir("d", mode, 0, 2000)
			}
			cs = append(cs, kcase{fmt.Sprintf("user %q directory %o", u, mode), dir, Command{Entrypoint: []string{"/d/e/prog"}, User: u}},
				kcase{fmt.Sprintf("user %q directory %o dotdot", u, mode), func(t tree) { dir(t); t.elf("x", elfSpec{}) }, Command{Entrypoint: []string{"/d/../x"}, User: u}})
		}
		cs = append(cs, kcase{fmt.Sprintf("user %q PATH not mine", u), func(t tree) {
			t.file("one/prog", elfSpec{}.bytes(), 0o700)
			t.elf("two/prog", elfSpec{})
		}, Command{Entrypoint: []string{"prog"}, User: u, Env: []string{"PATH=/one:/two"}}},
			kcase{fmt.Sprintf("user %q script of another", u), func(t tree) {
				t.elf("bin/prog", elfSpec{})
				t.file("run", []byte("#!/bin/prog\n"), 0o711)
			}, Command{Entrypoint: []string{"/run"}, User: u}},
			kcase{fmt.Sprintf("user %q interpreter of another", u), func(t tree) {
				t.file("bin/prog", elfSpec{}.bytes(), 0o700)
				t.text("run", "#!/bin/prog\n")
			}, Command{Entrypoint: []string{"/run"}, User: u}},
			kcase{fmt.Sprintf("user %q sticky link", u), func(t tree) {
				t.elf("bin/prog", elfSpec{})
				t.dir("tmp", 0o1777)
				t.link("tmp/l", "/bin/prog")
				must(lchown(t.at("tmp/l"), 1001))
			}, Command{Entrypoint: []string{"/tmp/l"}, User: u}},
			kcase{fmt.Sprintf("user %q emulator of another", u), func(t tree) {
				t.elf("bin/prog", elfSpec{arch: "arm64"})
				t.file("usr/bin/qemu-arm64-static", elfSpec{}.bytes(), 0o700)
			}, Command{Entrypoint: []string{"/bin/prog"}, User: u}})
	}
	return cs
}

func linkCases() []kcase {
	cs := []kcase{
		{"link absolute", func(t tree) { t.elf("real", elfSpec{}); t.link("bin/prog", "/real") }, run("prog")},
		{"link relative", func(t tree) { t.elf("real", elfSpec{}); t.link("bin/prog", "../real") }, run("prog")},
		{"link escapes", func(t tree) { t.elf("real", elfSpec{}); t.link("bin/prog", "../../../../../real") }, run("prog")},
		{"link to the host", func(t tree) { t.link("bin/prog", "/proc/self/exe") }, run("prog")},
		{"link to itself", func(t tree) { t.link("bin/prog", "prog") }, run("/bin/prog")},
		{"link dangling", func(t tree) { t.link("bin/prog", "/none") }, run("/bin/prog")},
		{"link directory", func(t tree) { t.elf("usr/bin/prog", elfSpec{}); t.link("bin", "usr/bin") }, run("/bin/prog")},
		{"link directory dotdot", func(t tree) { t.elf("usr/prog", elfSpec{}); t.dir("usr/bin", 0o755); t.link("bin", "usr/bin") }, run("/bin/../prog")},
		{"link with slash", func(t tree) { t.elf("real", elfSpec{}); t.link("bin/prog", "/real/") }, run("/bin/prog")},
		{"link with slash to directory", func(t tree) { t.elf("real/x", elfSpec{}); t.link("l", "real//") }, run("/l/x")},
		{"link then slash", func(t tree) { t.elf("real", elfSpec{}); t.link("prog", "real") }, run("/prog/")},
		{"link to directory", func(t tree) { t.dir("real", 0o755); t.link("prog", "real") }, run("/prog")},
		{"link through file", func(t tree) { t.elf("real", elfSpec{}); t.link("prog", "real/x") }, run("/prog")},
		{"link to dot", func(t tree) { t.elf("real", elfSpec{}); t.link("d", ".") }, run("/d/d/d/real")},
		{"link long target", func(t tree) { t.elf("real", elfSpec{}); t.link("prog", strings.Repeat("./", 2000)+"real") }, run("/prog")},
		{"link interpreter", func(t tree) { t.elf("real", elfSpec{}); t.link("in", "real"); t.text("prog", "#!/in\n") }, run("/prog")},
		{"busybox", func(t tree) { t.elf("bin/busybox", elfSpec{}); t.link("bin/sh", "/bin/busybox") }, run("sh", "-c", "x")},
		{"busybox foreign", func(t tree) { t.elf("bin/busybox", elfSpec{arch: "arm"}); t.link("bin/sh", "/bin/busybox") }, run("sh", "-c", "x")},
	}
	for _, n := range []int{39, 40, 41, 42} {
		chain := func(t tree) {
			t.elf("l0", elfSpec{})
			for i := 1; i <= n; i++ {
				t.link(fmt.Sprintf("l%d", i), fmt.Sprintf("l%d", i-1))
			}
		}
		cs = append(cs, kcase{fmt.Sprintf("%d links", n), chain, run(fmt.Sprintf("/l%d", n))},
			kcase{fmt.Sprintf("%d links of an interpreter", n), func(t tree) { chain(t); t.text("s", fmt.Sprintf("#!/l%d\n", n)) }, run("/s")},
			kcase{fmt.Sprintf("%d times the same link", n), func(t tree) { t.elf("x", elfSpec{}); t.link("d", ".") }, run("/" + strings.Repeat("d/", n) + "x")})
	}
	return cs
}

func handlerCases() []kcase {
	var cs []kcase
	for _, c := range "0123456789ABCDEFGHIJKLMNOP" {
		for _, u := range []string{"", "app"} {
			cs = append(cs, kcase{fmt.Sprintf("EMU%c as %q", c, u), func(t tree) {
				opt(t)
				t.text("prog", "EMU"+string(c))
			}, Command{Entrypoint: []string{"/prog"}, User: u}})
		}
		cs = append(cs, kcase{fmt.Sprintf("EMU%c alone", c), func(t tree) { t.text("prog", "EMU"+string(c)+" text") }, run("/prog")},
			kcase{fmt.Sprintf("EMU%c in workdir", c), func(t tree) { opt(t); t.text("prog", "EMU"+string(c)); t.elf("work/opt/runner", elfSpec{}) },
				Command{Entrypoint: []string{"/prog"}, WorkingDir: "/work"}},
			kcase{fmt.Sprintf("script to EMU%c", c), func(t tree) { opt(t); t.text("in", "EMU"+string(c)); t.text("prog", "#!/in\n") }, run("/prog")},
			kcase{fmt.Sprintf("EMU%c with loader", c), func(t tree) { opt(t); t.text("prog", "EMU"+string(c)); t.elf("lib/ld-emu.so", elfSpec{typ: 3}) }, run("/prog")})
	}
	ext := func(name string, data []byte, start string) kcase {
		return kcase{"extension " + name + " by " + start, func(t tree) {
			opt(t)
			t.elf("bin/prog", elfSpec{})
			t.file(name, data, 0o755)
			t.link("l", "/"+name)
			t.link("l.pyc", "/"+name)
		}, run(start)}
	}
	text, native := []byte("text"), elfSpec{}.bytes()
	cs = append(cs,
		ext("a.pyc", text, "/a.pyc"), ext("a.pyc", text, "/l"), ext("a", text, "/l.pyc"), ext("a.PYC", text, "/a.PYC"), ext("a.pyc", native, "/a.pyc"), ext(".pyc", text, "/.pyc"),
		ext("a.x.pyc", text, "/a.x.pyc"), ext("a.pyc.x", text, "/a.pyc.x"), ext("d.pyc/a", text, "/d.pyc/a"), ext("a.tar.gz", text, "/a.tar.gz"), ext("a.shx", []byte("#!/bin/prog\n"), "/a.shx"),
		ext("a.fx", native, "/a.fx"), ext("a.fx", elfSpec{arch: "arm64"}.bytes(), "/a.fx"), ext("bin/b.pyc", text, "b.pyc"), ext("a.pyc", nil, "/a.pyc"),
		kcase{"extension of an interpreter", func(t tree) { opt(t); t.text("in.pyc", "text"); t.text("prog", "#!/in.pyc x\n") }, run("/prog")},
		kcase{"extension not executable", func(t tree) { opt(t); t.file("a.pyc", text, 0o644) }, run("/a.pyc")},
		kcase{"native taken over", func(t tree) { opt(t); t.elf("prog", elfSpec{headMut: func(b []byte) { b[7] = 0x77 }}) }, run("/prog")},
		kcase{"native taken over by itself", func(t tree) { t.elf("opt/runner", elfSpec{headMut: func(b []byte) { b[7] = 0x77 }}) }, run("/opt/runner")},
		kcase{"foreign taken over", func(t tree) { opt(t); t.elf("prog", elfSpec{arch: "arm64", headMut: func(b []byte) { b[7] = 0x77 }}) }, run("/prog")},
		kcase{"offset", func(t tree) { opt(t); t.text("prog", strings.Repeat(" ", 64)+"OFFSET") }, run("/prog")},
		kcase{"offset cut", func(t tree) { opt(t); t.text("prog", strings.Repeat(" ", 64)+"OFFSE") }, run("/prog")},
		kcase{"masked", func(t tree) { opt(t); t.text("prog", "EMyL") }, run("/prog")},
		kcase{"masked differs", func(t tree) { opt(t); t.text("prog", "EmyL") }, run("/prog")},
		kcase{"edge", func(t tree) { opt(t); t.text("prog", strings.Repeat(" ", 253)+"END") }, run("/prog")},
		kcase{"emulator foreign", func(t tree) {
			t.elf("prog", elfSpec{arch: "arm64"})
			t.elf("usr/bin/qemu-arm64-static", elfSpec{arch: "s390x"})
		}, run("/prog")},
		kcase{"emulator itself", func(t tree) {
			t.elf("prog", elfSpec{arch: "arm64"})
			t.elf("usr/bin/qemu-arm64-static", elfSpec{arch: "arm64"})
		}, run("/prog")},
		kcase{"emulator script", func(t tree) {
			t.elf("prog", elfSpec{arch: "arm64"})
			t.elf("bin/sh", elfSpec{})
			t.text("usr/bin/qemu-arm64-static", "#!/bin/sh\n")
		}, run("/prog")},
		kcase{"emulator dynamic without loader", func(t tree) {
			t.elf("prog", elfSpec{arch: "arm64"})
			t.elf("usr/bin/qemu-arm64-static", elfSpec{interp: "/lib/ld.so"})
		}, run("/prog")},
		kcase{"emulator link", func(t tree) {
			t.elf("prog", elfSpec{arch: "arm64"})
			t.elf("q", elfSpec{})
			t.link("usr/bin/qemu-arm64-static", "/q")
		}, run("/prog")},
		kcase{"emulator 386", func(t tree) {
			t.elf("prog", elfSpec{arch: "arm64"})
			t.elf("usr/bin/qemu-arm64-static", elfSpec{arch: "386"})
		}, run("/prog")},
		kcase{"script to foreign", func(t tree) { t.elf("in", elfSpec{arch: "arm64"}); t.text("prog", "#!/in\n") }, run("/prog")},
		kcase{"foreign type object", func(t tree) { t.elf("prog", elfSpec{arch: "arm64", headMut: func(b []byte) { b[16] = 1 }}) }, run("/prog")},
	)
	for n := 16; n < 64; n += 4 {
		cs = append(cs, prog(fmt.Sprintf("arm64 cut to %d", n), elfSpec{arch: "arm64"}.bytes()[:n]))
	}
	return cs
}
