package kernelcases

// A Layered case is an image of several layers.
type Layered struct {
	Case
	// Upper build the layers above. Entries are removed by the marks of layer
	// archives.
	Upper []func(Tree)
}

// Stacks are images of which an upper layer changes what a lower one has.
func Stacks() []Layered {
	var all []Layered
	add := func(name string, c Command, lower func(Tree), upper ...func(Tree)) {
		all = append(all, Layered{Case{"stack " + name, lower, c}, upper})
	}
	prog, app := Run("/bin/prog"), Command{Entrypoint: []string{"/bin/prog"}, User: "app"}
	base := func(t Tree) { t.ELF("bin/prog", ELF{}) }
	dynamic := func(t Tree) { t.ELF("bin/prog", ELF{Type: 3, Interp: "/lib/ld.so"}); t.ELF("lib/ld.so", ELF{Type: 3}) }
	remove := func(mark string) func(Tree) { return func(t Tree) { t.File(mark, nil, 0o644) } }

	add("unchanged", prog, base, func(t Tree) { t.Text("etc/motd", "x") })
	add("program removed", prog, base, remove("bin/.wh.prog"))
	add("program removed and made again", prog, base, remove("bin/.wh.prog"), base)
	add("program replaced by a foreign one", prog, base, func(t Tree) { t.ELF("bin/prog", ELF{Arch: "arm64"}) })
	add("foreign program replaced", prog, func(t Tree) { t.ELF("bin/prog", ELF{Arch: "arm64"}) }, base)
	add("program replaced by a directory", prog, base, func(t Tree) { t.Text("bin/prog/x", "") })
	add("directory replaced by the program", prog, func(t Tree) { t.Text("bin/prog/x", "") }, base)
	add("program replaced by a link", prog, base, func(t Tree) { t.Link("bin/prog", "/opt/real"); t.ELF("opt/real", ELF{}) })
	add("program replaced by a dangling link", prog, base, func(t Tree) { t.Link("bin/prog", "/opt/real") })
	add("link's target removed", prog, func(t Tree) { t.ELF("opt/real", ELF{}); t.Link("bin/prog", "/opt/real") }, remove("opt/.wh.real"))
	add("link's directory removed", prog, func(t Tree) { t.ELF("opt/d/real", ELF{}); t.Link("bin/prog", "/opt/d/real") }, remove(".wh.opt"))
	add("loader removed", prog, dynamic, remove("lib/.wh.ld.so"))
	add("loader's directory removed", prog, dynamic, remove(".wh.lib"))
	add("loader replaced by a foreign one", prog, dynamic, func(t Tree) { t.ELF("lib/ld.so", ELF{Arch: "386", Type: 3}) })
	add("loader in an upper layer", prog, func(t Tree) { t.ELF("bin/prog", ELF{Type: 3, Interp: "/lib/ld.so"}) }, func(t Tree) { t.ELF("lib/ld.so", ELF{Type: 3}) })
	add("shell removed under a script", Run("/run.sh"), func(t Tree) { t.ELF("bin/sh", ELF{}); t.Text("run.sh", "#!/bin/sh\n") }, remove("bin/.wh.sh"))
	add("opaque directory", prog, base, remove("bin/.wh..wh..opq"))
	add("opaque directory with the program", prog, func(t Tree) { t.ELF("bin/prog", ELF{Arch: "s390x"}) }, func(t Tree) {
		t.File("bin/.wh..wh..opq", nil, 0o644)
		t.ELF("bin/prog", ELF{})
	})
	add("opaque directory, program above", prog, base, remove("bin/.wh..wh..opq"), base)
	add("opaque directory above", Run("/opt/a/prog"), func(t Tree) { t.ELF("opt/a/prog", ELF{}) }, remove("opt/.wh..wh..opq"))
	add("opaque directory beside", prog, base, remove("opt/.wh..wh..opq"))
	add("directory removed and made again", prog, base, remove(".wh.bin"), func(t Tree) { t.ELF("bin/other", ELF{}) })
	add("whiteout of what is not there", prog, base, remove("bin/.wh.none"))
	add("x bit taken away", app, base, func(t Tree) { t.File("bin/prog", ELF{}.Bytes(), 0o644) })
	add("x bit given", app, func(t Tree) { t.File("bin/prog", ELF{}.Bytes(), 0o644) }, base)
	add("owner changed", app, func(t Tree) { t.File("bin/prog", ELF{}.Bytes(), 0o700) }, func(t Tree) { t.File("bin/prog", ELF{}.Bytes(), 0o700, 1000, 1000) })
	add("directory closed", app, base, func(t Tree) { t.Dir("bin", 0o700) })
	add("directory opened", app, func(t Tree) { t.ELF("bin/prog", ELF{}); t.Dir("bin", 0o700) }, func(t Tree) { t.Dir("bin", 0o755) })
	add("root directory closed", app, base, func(t Tree) { t.Text("etc/motd", "x"); t.Own("", 0o700) })
	add("root directory opened", app, func(t Tree) { t.ELF("bin/prog", ELF{}); t.Own("", 0o700) }, func(t Tree) { t.Text("etc/motd", "x") })
	add("linked directory becomes one", prog, func(t Tree) { t.ELF("usr/bin/prog", ELF{}); t.Link("bin", "usr/bin") }, func(t Tree) { t.ELF("bin/other", ELF{}) })
	add("directory becomes linked", prog, base, func(t Tree) { t.ELF("usr/bin/prog", ELF{Arch: "arm64"}); t.Link("bin", "usr/bin") })
	add("hard link survives", Run("/bin/sh"), func(t Tree) { t.ELF("bin/busybox", ELF{}); t.Hardlink("bin/sh", "bin/busybox") }, remove("bin/.wh.busybox"))
	add("hard link removed", Run("/bin/sh"), func(t Tree) { t.ELF("bin/busybox", ELF{}); t.Hardlink("bin/sh", "bin/busybox") }, remove("bin/.wh.sh"))
	add("first of PATH removed", Command{Entrypoint: []string{"prog"}, Env: []string{"PATH=/opt:/bin"}}, func(t Tree) { t.ELF("opt/prog", ELF{Arch: "s390x"}); base(t) }, remove("opt/.wh.prog"))
	add("first of PATH added", Command{Entrypoint: []string{"prog"}, Env: []string{"PATH=/opt:/bin"}}, base, func(t Tree) { t.ELF("opt/prog", ELF{Arch: "s390x"}) })
	add("user's groups changed", Command{Entrypoint: []string{"/bin/prog"}, User: "app:tools"}, func(t Tree) { t.File("bin/prog", ELF{}.Bytes(), 0o750, 0, 2000); t.File("etc/group", nil, 0o644) },
		func(t Tree) { t.File("etc/group", []byte(Group), 0o644) })
	add("emulator brought", Run("/prog"), func(t Tree) { t.ELF("prog", ELF{Arch: "arm64"}) }, func(t Tree) { t.ELF("usr/bin/qemu-arm64-static", ELF{}) })
	add("emulator removed", Run("/prog"), func(t Tree) { t.ELF("prog", ELF{Arch: "arm64"}); t.ELF("usr/bin/qemu-arm64-static", ELF{}) }, remove("usr/bin/.wh.qemu-arm64-static"))
	add("file over a file's directory", Run("/opt/a/prog"), func(t Tree) { t.ELF("opt/a/prog", ELF{}) }, func(t Tree) { t.Text("opt/a", "x") })
	var many []func(Tree)
	for range 20 {
		many = append(many, remove("bin/.wh.prog"), base)
	}
	add("forty layers", prog, base, many...)
	return all
}
