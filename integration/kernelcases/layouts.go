package kernelcases

import (
	"os"
	"strings"
)

const (
	glibcLoader = "/lib64/ld-linux-x86-64.so.2"
	muslLoader  = "/lib/ld-musl-x86_64.so.1"
)

// Hardlink gives a file one more name.
func (t Tree) Hardlink(name, target string) {
	must(os.Link(t.At(target), t.At(name)))
}

// Layouts are root filesystems that distributions and build tools make, and
// some that they should not.
func Layouts() []Case {
	var all []Case
	for _, f := range []func() []Case{distributionLayouts, programLayouts, scriptLayouts, closedLayouts, namedLayouts} {
		all = append(all, f()...)
	}
	return all
}

// distributionLayouts have their links and loaders where distributions have
// them, or where they are missing.
func distributionLayouts() []Case {
	glibc := ELF{Type: 3, Interp: glibcLoader}
	return []Case{
		{"layout merged usr", func(t Tree) {
			t.Dir("usr/bin", 0o755)
			t.Dir("usr/lib64", 0o755)
			t.Link("bin", "usr/bin")
			t.Link("lib64", "usr/lib64")
			t.ELF("usr/bin/prog", glibc)
			t.ELF("usr/lib64/ld-linux-x86-64.so.2", ELF{Type: 3})
		}, Run("/bin/prog")},
		{"layout absolute lib64", func(t Tree) {
			t.Link("lib64", "/usr/lib64")
			t.ELF("bin/prog", glibc)
			t.ELF("usr/lib64/ld-linux-x86-64.so.2", ELF{Type: 3})
		}, Run("prog")},
		{"layout loader by links", func(t Tree) {
			t.ELF("bin/prog", glibc)
			t.Link("lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld.so")
			t.Link("lib/x86_64-linux-gnu/ld.so", "../../../../opt/ld")
			t.ELF("opt/ld", ELF{Type: 3})
		}, Run("/bin/prog")},
		{"layout loader only on the host", func(t Tree) {
			t.ELF("bin/prog", glibc)
			t.Link("lib64/ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
		}, Run("/bin/prog")},
		{"layout glibc program on musl", func(t Tree) { t.ELF("bin/prog", glibc); t.ELF(muslLoader, ELF{Type: 3}) }, Run("/bin/prog")},
		{"layout musl program on glibc", func(t Tree) {
			t.ELF("bin/prog", ELF{Type: 3, Interp: muslLoader})
			t.ELF(glibcLoader, ELF{Type: 3})
		}, Run("/bin/prog")},
		{"layout musl loader is libc", func(t Tree) {
			t.ELF("bin/prog", ELF{Type: 3, Interp: muslLoader})
			t.Link(muslLoader, "libc.musl-x86_64.so.1")
			t.ELF("lib/libc.musl-x86_64.so.1", ELF{Type: 3})
		}, Run("/bin/prog")},
		{"layout loader without its directory", func(t Tree) { t.ELF("bin/prog", glibc); t.Link("lib64", "usr/lib64") }, Run("/bin/prog")},
		{"layout lib64 is a file", func(t Tree) { t.ELF("bin/prog", glibc); t.Text("lib64", "") }, Run("/bin/prog")},
		{"layout busybox", func(t Tree) {
			t.ELF("bin/busybox", ELF{})
			t.Hardlink("bin/sh", "bin/busybox")
			t.Hardlink("bin/ls", "bin/busybox")
		}, Command{Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{"ls"}}},
		{"layout shell form without a shell", func(t Tree) { t.ELF("app", ELF{}) }, Command{Cmd: []string{"/bin/sh", "-c", "/app"}}},
		{"layout shell form, program missing", func(t Tree) { t.ELF("bin/sh", ELF{}) }, Command{Cmd: []string{"/bin/sh", "-c", "/app"}}},
		{"layout shell form of another machine", func(t Tree) { t.ELF("bin/sh", ELF{Arch: "arm64"}); t.ELF("app", ELF{}) }, Command{Cmd: []string{"/bin/sh", "-c", "/app"}}},
		{"layout scratch", func(t Tree) { t.ELF("app", ELF{}) }, Command{Entrypoint: []string{"/app"}, User: "4321:2000", WorkingDir: "/"}},
		{"layout sbin is bin", func(t Tree) {
			t.Dir("usr/bin", 0o755)
			t.Link("bin", "usr/bin")
			t.Link("sbin", "usr/bin")
			t.Link("usr/sbin", "bin")
			t.ELF("usr/bin/init", ELF{})
		}, Run("/usr/sbin/init")},
		{"layout alternatives", func(t Tree) {
			t.Link("usr/bin/java", "/etc/alternatives/java")
			t.Link("etc/alternatives/java", "/opt/jdk/bin/java")
			t.Link("opt/jdk", "jdk-21")
			t.ELF("opt/jdk-21/bin/java", ELF{})
		}, Run("java", "-jar", "/app.jar")},
		{"layout nix", func(t Tree) {
			t.Link("bin", "/nix/store/profile/bin")
			t.Link("nix/store/profile/bin/prog", "/nix/store/aaa-prog/bin/prog")
			t.ELF("nix/store/aaa-prog/bin/prog", ELF{Interp: "/nix/store/bbb-glibc/lib/ld.so", Type: 3})
			t.ELF("nix/store/bbb-glibc/lib/ld.so", ELF{Type: 3})
		}, Run("/bin/prog")},
		{"layout nix without glibc", func(t Tree) {
			t.Link("bin", "/nix/store/profile/bin")
			t.ELF("nix/store/profile/bin/prog", ELF{Interp: "/nix/store/bbb-glibc/lib/ld.so", Type: 3})
		}, Run("/bin/prog")},
	}
}

// programLayouts are programs that linkers make.
func programLayouts() []Case {
	osabi := func(n byte) func([]byte) { return func(b []byte) { b[7] = n } }
	cs := []Case{
		prog("layout static pie", ELF{Type: 3, Phnum: 6}.Bytes()),
		prog("layout go", ELF{Phnum: 7, Pad: 4096}.Bytes()),
		prog("layout pie without a loader in the image", ELF{Type: 3, Interp: glibcLoader}.Bytes()),
		prog("layout OSABI gnu", ELF{Edit: osabi(3)}.Bytes()),
		prog("layout OSABI freebsd", ELF{Edit: osabi(9)}.Bytes()),
		prog("layout arm64 OSABI gnu", ELF{Arch: "arm64", Edit: osabi(3)}.Bytes()),
		prog("layout arm64 OSABI standalone", ELF{Arch: "arm64", Edit: osabi(255)}.Bytes()),
		prog("layout arm64 pie", ELF{Arch: "arm64", Type: 3, Interp: "/lib/ld-linux-aarch64.so.1"}.Bytes()),
		prog("layout armv4 soft float", ELF{Arch: "arm", Flags: 0x04000002}.Bytes()),
		prog("layout arm soft float", ELF{Arch: "arm", Flags: 0x05000200, Interp: "/lib/ld-linux.so.3"}.Bytes()),
		prog("layout arm hard float", ELF{Arch: "arm", Flags: 0x05000400, Interp: "/lib/ld-linux-armhf.so.3"}.Bytes()),
		prog("layout riscv64 soft float", ELF{Arch: "riscv64", Flags: 1}.Bytes()),
		prog("layout ppc64 without ABI", ELF{Arch: "ppc64le", Flags: 1 << 31}.Bytes()),
		prog("layout x86-64-v4", ELF{Notes: ISANote(1)}.Bytes()),
		prog("layout static archive", []byte("!<arch>\nlibc.a/         0           0     0     644     8         `\n")),
		prog("layout gzip", []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00")),
		prog("layout jar", []byte("PK\x03\x04\x14\x00")),
		prog("layout python without a line", []byte("import sys\nsys.exit(0)\n")),
		prog("layout pyc", []byte("\xa7\x0d\x0d\x0a\x00\x00\x00\x00")),
		prog("layout git lfs pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")),
		prog("layout header only", ELF{}.Bytes()[:64]),
		prog("layout arm64 header only", ELF{Arch: "arm64"}.Bytes()[:64]),
	}
	for _, mode := range []uint32{0o4755, 0o2755, 0o6711, 0o4644, 0o1777, 0o001, 0o010, 0o111} {
		for _, user := range []string{"", "app"} {
			cs = append(cs, Case{"layout mode " + string(rune('0'+mode>>9)) + " of " + user, func(t Tree) {
				t.File("bin/prog", ELF{}.Bytes(), mode)
			}, Command{Entrypoint: []string{"/bin/prog"}, User: user}})
		}
	}
	return cs
}

// scriptLayouts are start scripts.
func scriptLayouts() []Case {
	entry := func(name, text string, build func(Tree)) Case {
		return Case{"layout script " + name, func(t Tree) { build(t); t.Text("entrypoint.sh", text) }, Run("/entrypoint.sh")}
	}
	env := func(t Tree) { t.ELF("usr/bin/env", ELF{}) }
	none := func(Tree) {}
	return []Case{
		entry("env -S", "#!/usr/bin/env -S prog -x --y\n", env),
		entry("env of CRLF", "#!/usr/bin/env sh\r\nexec app\r\n", env),
		entry("env missing", "#!/usr/bin/env sh\n", none),
		entry("python missing", "#!/usr/bin/python3\n", none),
		entry("bash missing", "#!/bin/bash -e\n", func(t Tree) { t.ELF("bin/sh", ELF{}) }),
		entry("tini", "#!/sbin/tini /bin/sh\n", func(t Tree) { t.ELF("sbin/tini", ELF{}) }),
		entry("shell of another machine", "#!/bin/sh\n", func(t Tree) { t.ELF("bin/sh", ELF{Arch: "s390x"}) }),
		entry("shell without loader", "#!/bin/sh\n", func(t Tree) { t.ELF("bin/sh", ELF{Type: 3, Interp: muslLoader}) }),
		entry("shell not executable", "#!/bin/sh\n", func(t Tree) { t.File("bin/sh", ELF{}.Bytes(), 0o644) }),
		entry("shell by links", "#!/bin/sh\n", func(t Tree) {
			t.Link("bin", "usr/bin")
			t.Link("usr/bin/sh", "/etc/alternatives/sh")
			t.Link("etc/alternatives/sh", "/bin/dash")
			t.ELF("usr/bin/dash", ELF{})
		}),
		entry("shell is a script by a link", "#!/bin/sh\n", func(t Tree) {
			t.Link("bin/sh", "/opt/wrapper")
			t.Text("opt/wrapper", "#!/opt/real -c\n")
			t.ELF("opt/real", ELF{})
		}),
		entry("shell is a loop", "#!/bin/sh\n", func(t Tree) { t.Link("bin/sh", "../bin/sh") }),
		entry("shell is empty", "#!/bin/sh\n", func(t Tree) { t.Text("bin/sh", "") }),
		entry("UTF-16", "#\x00!\x00/\x00b\x00i\x00n\x00", env),
		entry("blank line first", "\n#!/usr/bin/env sh\n", env),
		entry("old Mac line ends", "#!/usr/bin/env sh\rexit\r", env),
		entry("long path", "#!/"+strings.Repeat("d/", 130)+"sh\n", env),
		entry("shell in closed directory", "#!/root/sh\n", func(t Tree) { t.ELF("root/sh", ELF{}); t.Dir("root", 0o700) }),
	}
}

// closedLayouts keep a user from what it needs.
func closedLayouts() []Case {
	as := func(name string, c Command, build func(Tree)) Case {
		c.User = "app"
		return Case{"layout closed " + name, build, c}
	}
	return []Case{
		as("root directory", Run("/bin/prog"), func(t Tree) { t.ELF("bin/prog", ELF{}); t.Own("", 0o700) }),
		as("root directory to others", Run("/bin/prog"), func(t Tree) { t.ELF("bin/prog", ELF{}); t.Own("", 0o711) }),
		as("directory of the loader", Run("/bin/prog"), func(t Tree) {
			t.ELF("bin/prog", ELF{Type: 3, Interp: "/lib/ld.so"})
			t.ELF("lib/ld.so", ELF{Type: 3})
			t.Dir("lib", 0o744)
		}),
		as("directory of the interpreter", Run("/run.sh"), func(t Tree) {
			t.ELF("opt/sh", ELF{})
			t.Dir("opt", 0o700)
			t.Text("run.sh", "#!/opt/sh\n")
		}),
		as("directory behind a link", Run("/bin/prog"), func(t Tree) {
			t.ELF("root/prog", ELF{})
			t.Dir("root", 0o700)
			t.Link("bin/prog", "/root/prog")
		}),
		as("directory of a link", Run("/opt/prog"), func(t Tree) {
			t.ELF("bin/prog", ELF{})
			t.Link("opt/prog", "/bin/prog")
			t.Dir("opt", 0o700)
		}),
		as("directory of PATH", Command{Entrypoint: []string{"prog"}, Env: []string{"PATH=/root/bin:/bin"}}, func(t Tree) {
			t.ELF("root/bin/prog", ELF{Arch: "s390x"})
			t.Dir("root", 0o700)
			t.ELF("bin/prog", ELF{})
		}),
		as("by group", Run("/bin/prog"), func(t Tree) { t.File("bin/prog", ELF{}.Bytes(), 0o750, 0, 2000) }),
		as("to the owner's group", Run("/bin/prog"), func(t Tree) { t.File("bin/prog", ELF{}.Bytes(), 0o705, 1000, 1000) }),
	}
}

// namedLayouts have odd names and commands.
func namedLayouts() []Case {
	at := func(name, file string, c Command) Case {
		return Case{"layout name " + name, func(t Tree) { t.ELF(file, ELF{}) }, c}
	}
	long := strings.Repeat("n", 255)
	return []Case{
		at("of 255 bytes", "bin/"+long, Run(long)),
		at("of 256 bytes", "bin/"+long, Run("/bin/"+long+"n")),
		at("with a newline", "bin/a\nb", Run("a\nb")),
		at("with spaces", "bin/a b", Run("a b")),
		at("of a shell line", "bin/echo", Run("echo hello")),
		at("beginning with a dash", "bin/-x", Run("-x")),
		at("not UTF-8", "bin/caf\u00e9", Run("caf\u00e9")),
		at("upper case", "bin/Prog", Run("prog")),
		at("of a whiteout's middle", "bin/x.wh.y", Run("x.wh.y")),
		at("with a colon", "bin/a:b", Run("a:b")),
		at("with dots", "bin/...", Run("...")),
		at("empty, PATH is a program", "bin/prog", Command{Entrypoint: []string{"", "x"}, Env: []string{"PATH=/bin/prog"}}),
		at("dot, PATH is a program", "bin/prog", Command{Entrypoint: []string{"."}, Env: []string{"PATH=/bin/prog"}}),
		at("PATH entry is a program", "bin/prog", Command{Entrypoint: []string{"prog"}, Env: []string{"PATH=/bin/prog:/bin"}}),
		at("PATH with a tilde", "bin/prog", Command{Entrypoint: []string{"prog"}, Env: []string{"PATH=~/bin:$HOME/bin"}}),
		at("PATH with a trailing slash", "bin/prog", Command{Entrypoint: []string{"prog"}, Env: []string{"PATH=/bin/"}}),
		at("Path is not PATH", "opt/prog", Command{Entrypoint: []string{"prog"}, Env: []string{"Path=/opt"}}),
		at("work dir with dots", "opt/app/prog", Command{Entrypoint: []string{"./prog"}, WorkingDir: "/opt/app/../app/."}),
		{"layout work dir behind a link and dots", func(t Tree) {
			t.Dir("srv/a", 0o755)
			t.Link("opt/link", "/srv/a")
			t.ELF("srv/app/prog", ELF{})
			t.ELF("opt/app/prog", ELF{Arch: "s390x"})
		}, Command{Entrypoint: []string{"./prog"}, WorkingDir: "/opt/link/../app"}},
		at("work dir with slashes", "opt/app/prog", Command{Entrypoint: []string{"app/prog"}, WorkingDir: "//opt//"}),
		at("double slash", "bin/prog", Run("//bin//prog")),
		at("dots above the root", "bin/prog", Run("/../../bin/./prog")),
	}
}
