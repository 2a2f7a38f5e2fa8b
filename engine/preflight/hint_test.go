package preflight

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/integration/testenv"
)

// A hinted is something that does not start, what its hint says, and the test
// that does so.
type hinted struct {
	name   string
	build  func(tree)
	cmd    Command
	says   []string
	follow func(tree, *Command)
}

// sed does what a hint says, as it stands in the hint.
func sed(file string) func(tree, *Command) {
	return func(tr tree, c *Command) {
		root, err := OpenDir(tr.Root)
		must(err)
		defer root.Close()
		hint := Check(context.Background(), root, *c, host.Local()).Hint
		script, _, _ := strings.Cut(hint[strings.Index(hint, "sed -i '")+len("sed -i '"):], "'")
		if out, err := exec.Command("sed", "-i", script, tr.At(file)).CombinedOutput(); err != nil {
			panic(string(out))
		}
	}
}

func chmodded(file string) func(tree, *Command) {
	return func(tr tree, _ *Command) { must(os.Chmod(tr.At(file), 0o755)) }
}

func replaced(file string) func(tree, *Command) {
	return func(tr tree, _ *Command) { must(os.RemoveAll(tr.At(file))); tr.ELF(file, elfSpec{}) }
}

func entrypoint(argv ...string) func(tree, *Command) {
	return func(_ tree, c *Command) { c.Entrypoint, c.Cmd = argv, nil }
}

func hints() []hinted {
	dynamic := func(loader string) []byte {
		return elfSpec{Interp: loader}.Bytes()
	}
	app := func(data string) func(tree) {
		return func(tr tree) { tr.ELF("bin/sh", elfSpec{}); tr.Text("app", data) }
	}
	whole := elfSpec{BSS: 5000, Pad: 1 << 16}
	return []hinted{
		{"CRLF", app("#!/bin/sh\r\ntrue\r\n"), run("/app"), []string{"line ends of Windows", "sed -i", "/app"}, sed("app")},
		{"CRLF with an argument", app("#!/bin/sh -e\r\ntrue\r\n"), run("/app"), []string{"line ends of Windows"}, sed("app")},
		{"byte order mark", app("\xef\xbb\xbf#!/bin/sh\ntrue\n"), run("/app"), []string{"byte order mark", "sed -i"}, sed("app")},
		{"UTF-16", app("\xff\xfe#\x00!\x00"), run("/app"), []string{"UTF-8"}, replaced("app")},
		{"no #!", app("echo hello\n"), run("/app"), []string{"#!/bin/sh", `--entrypoint '["/bin/sh","/app"]'`}, entrypoint("/bin/sh", "/app")},
		{"no #!, no shell", func(tr tree) { tr.Text("app", "echo hello\n") }, run("/app"), []string{"not even a shell"}, func(tr tree, _ *Command) { app("#!/bin/sh\n")(tr) }},
		{"empty line before #!", app("\n#!/bin/sh\n"), run("/app"), []string{"first two bytes"}, func(tr tree, _ *Command) { app("#!/bin/sh\n")(tr) }},
		{"no name in #!", app("#!\n"), run("/app"), []string{"#!/bin/sh"}, func(tr tree, _ *Command) { app("#!/bin/sh\n")(tr) }},
		{"bash missing", app("#!/bin/bash\n"), run("/app"), []string{"install bash", "#!/bin/sh"}, func(tr tree, _ *Command) { app("#!/bin/sh\n")(tr) }},
		{"interpreter elsewhere", func(tr tree) { tr.ELF("usr/bin/python3", elfSpec{}); tr.Text("app", "#!/usr/local/bin/python3\n") }, run("/app"), []string{"#!/usr/bin/python3"}, func(tr tree, _ *Command) { tr.Text("app", "#!/usr/bin/python3\n") }},
		{"git-lfs", app("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"), run("/app"), []string{"git lfs pull"}, replaced("app")},
		{"Windows", app("MZ\x90\x00\x03"), run("/app"), []string{"for Windows", "GOOS=linux"}, replaced("app")},
		{"macOS", app("\xcf\xfa\xed\xfe\x07\x00\x00\x01"), run("/app"), []string{"for macOS"}, replaced("app")},
		{"macOS, universal", app("\xca\xfe\xba\xbe\x00\x00\x00\x02"), run("/app"), []string{"for macOS"}, replaced("app")},
		{"Java", app("\xca\xfe\xba\xbe\x00\x00\x00\x41"), run("/app"), []string{"java"}, replaced("app")},
		{"WebAssembly", app("\x00asm\x01\x00\x00\x00"), run("/app"), []string{"WebAssembly", "wasmtime"}, replaced("app")},
		{"archive", app("\x1f\x8b\x08\x00"), run("/app"), []string{"unpack"}, replaced("app")},
		{"empty", app(""), run("/app"), []string{"copy the file again"}, replaced("app")},
		{"object file", func(tr tree) { tr.ELF("app", elfSpec{Type: 1}) }, run("/app"), []string{"object file"}, replaced("app")},
		{"glibc on musl", func(tr tree) {
			tr.File("app", dynamic("/lib64/ld-linux-x86-64.so.2"), 0o755)
			tr.ELF("lib/ld-musl-x86_64.so.1", elfSpec{Type: 3})
		}, run("/app"), []string{"linked to glibc", "has musl", "debian:stable-slim", "gcompat"}, func(tr tree, _ *Command) { tr.ELF("lib64/ld-linux-x86-64.so.2", elfSpec{Type: 3}) }},
		{"musl on glibc", func(tr tree) {
			tr.File("app", dynamic("/lib/ld-musl-x86_64.so.1"), 0o755)
			tr.ELF("lib64/ld-linux-x86-64.so.2", elfSpec{Type: 3})
		}, run("/app"), []string{"linked to musl", "apt-get install musl", "alpine"}, func(tr tree, _ *Command) { tr.ELF("lib/ld-musl-x86_64.so.1", elfSpec{Type: 3}) }},
		{"glibc on nothing", func(tr tree) { tr.File("app", dynamic("/lib64/ld-linux-x86-64.so.2"), 0o755) }, run("/app"), []string{"no C library", "CGO_ENABLED=0", "-static"}, replaced("app")},
		{"Nix", func(tr tree) { tr.File("app", dynamic("/nix/store/a-glibc/lib/ld-linux-x86-64.so.2"), 0o755) }, run("/app"), []string{"Nix", "patchelf"}, replaced("app")},
		{"foreign loader", func(tr tree) {
			tr.File("app", dynamic("/lib/ld.so"), 0o755)
			tr.ELF("lib/ld.so", elfSpec{Arch: "arm64", Type: 3})
		}, run("/app"), []string{"several platforms", "/lib/ld.so", "linux/amd64"}, func(tr tree, _ *Command) { tr.ELF("lib/ld.so", elfSpec{Type: 3}) }},
		{"cut short", func(tr tree) { tr.File("app", whole.Bytes()[:100], 0o755) }, run("/app"), []string{"cut short", "100 bytes"}, replaced("app")},
		{"cut short behind its headers", func(tr tree) { b := elfSpec{}.Bytes(); tr.File("app", b[:len(b)-4], 0o755) }, run("/app"), []string{"cut short"}, replaced("app")},
		{"shell form from scratch", func(tr tree) { tr.ELF("app", elfSpec{}) }, run("/bin/sh", "-c", "exec /app --flag"), []string{"no shell", `["/app","--flag"]`}, entrypoint("/app", "--flag")},
		{"shell form with a pipe", func(tr tree) { tr.ELF("app", elfSpec{}) }, run("/bin/sh", "-c", "/app | cat"), []string{"no shell", "base image with the shell"}, func(tr tree, _ *Command) { tr.ELF("bin/sh", elfSpec{}) }},
		{"another shell", func(tr tree) { tr.ELF("bin/sh", elfSpec{}) }, run("/bin/bash", "-c", "a | b"), []string{`SHELL ["/bin/sh","-c"]`}, entrypoint("/bin/sh", "-c", "a | b")},
		{"one string", func(tr tree) { tr.ELF("app", elfSpec{}) }, run("/app --flag"), []string{"one string", `["/app","--flag"]`}, entrypoint("/app", "--flag")},
		{"one string, in PATH", func(tr tree) { tr.ELF("bin/app", elfSpec{}) }, Command{Cmd: []string{"app --flag"}}, []string{"one string", `["app","--flag"]`}, entrypoint("app", "--flag")},
		{"not in PATH", func(tr tree) { tr.ELF("srv/app", elfSpec{}) }, Command{Cmd: []string{"app"}, WorkingDir: "/srv"}, []string{"not in PATH", "/srv/app"}, entrypoint("/srv/app")},
		{"no x bit", func(tr tree) { tr.File("app", elfSpec{}.Bytes(), 0o644) }, run("/app"), []string{"chmod +x /app", "COPY --chmod=755"}, chmodded("app")},
		{"no x bit, in PATH", func(tr tree) { tr.File("bin/app", elfSpec{}.Bytes(), 0o644) }, run("app"), []string{"chmod +x /bin/app"}, chmodded("bin/app")},
		{"no x bit, of the interpreter", func(tr tree) { tr.File("bin/sh", elfSpec{}.Bytes(), 0o644); tr.Text("app", "#!/bin/sh\n") }, run("/app"), []string{"chmod +x /bin/sh"}, chmodded("bin/sh")},
		{"not for others", func(tr tree) { tr.File("app", elfSpec{}.Bytes(), 0o700) }, Command{Cmd: []string{"/app"}, User: "1000"}, []string{"chmod a+rx /app", "--user 0"}, chmodded("app")},
		{"directory not for others", func(tr tree) { tr.ELF("root/app", elfSpec{}); must(os.Chmod(tr.At("root"), 0o700)) }, Command{Cmd: []string{"/root/app"}, User: "1000"}, []string{"chmod a+x /root", "--user 0"}, func(_ tree, c *Command) { c.User = "0" }},
		{"dangling link", func(tr tree) { tr.Link("app", "opt/current/app"); tr.Link("opt/current", "v1"); tr.Dir("opt", 0o755) }, run("/app"), []string{"/opt/current is a link to v1, which is not in the image"}, func(tr tree, _ *Command) { tr.ELF("opt/v1/app", elfSpec{}) }},
		{"dangling link in PATH", func(tr tree) { tr.Dir("bin", 0o755); tr.Link("bin/app", "/opt/app") }, Command{Cmd: []string{"app"}}, []string{"/bin/app is a link to /opt/app"}, func(tr tree, _ *Command) { tr.ELF("opt/app", elfSpec{}) }},
		{"dangling interpreter", func(tr tree) {
			tr.Dir("bin", 0o755)
			tr.Link("bin/bash", "/usr/bin/bash")
			tr.Text("app", "#!/bin/bash\n")
		}, run("/app"), []string{"/bin/bash is a link to /usr/bin/bash"}, func(tr tree, _ *Command) { tr.ELF("usr/bin/bash", elfSpec{}) }},
		{"directory in PATH", func(tr tree) { tr.ELF("bin/app/app", elfSpec{}) }, Command{Cmd: []string{"app"}}, []string{"/bin/app is a directory"}, entrypoint("/bin/app/app")},
		{"interpreter is a directory", func(tr tree) { tr.ELF("bin/lang/run", elfSpec{}); tr.Text("app", "#!/bin/lang\n") }, run("/app"), []string{"/bin/lang is a directory"}, func(tr tree, _ *Command) { tr.Text("app", "#!/bin/lang/run\n") }},
		{"slash at the end", func(tr tree) { tr.ELF("app", elfSpec{}) }, run("/app/"), []string{"a slash at the end", "--entrypoint /app"}, entrypoint("/app")},
		{"blank at the end", func(tr tree) { tr.ELF("app", elfSpec{}) }, run("/app\r"), []string{"line end", "--entrypoint /app"}, entrypoint("/app")},
		{"a variable", func(tr tree) { tr.ELF("bin/app", elfSpec{}) }, Command{Cmd: []string{"$APP"}, Env: []string{"APP=app"}}, []string{"only a shell", "--entrypoint app"}, entrypoint("app")},
		{"a variable in a path", func(tr tree) { tr.ELF("opt/app", elfSpec{}) }, Command{Cmd: []string{"${HOME_OF_APP}/app"}, Env: []string{"HOME_OF_APP=/opt"}}, []string{"--entrypoint /opt/app"}, entrypoint("/opt/app")},
		{"home", func(tr tree) { tr.ELF("root/app", elfSpec{}) }, run("~/app"), []string{"only a shell", "--entrypoint /root/app"}, entrypoint("/root/app")},
		{"a relative interpreter", app("#!sh\n"), run("/app"), []string{"write #!/bin/sh in"}, func(tr tree, _ *Command) { app("#!/bin/sh\n")(tr) }},
		{"Python", func(tr tree) { tr.ELF("usr/local/bin/python3", elfSpec{}); tr.Text("app.py", "import os\n") }, run("/app.py"), []string{"for python3", `--entrypoint '["/usr/local/bin/python3","/app.py"]'`}, entrypoint("/usr/local/bin/python3", "/app.py")},
		{"Python without x bit", func(tr tree) { tr.ELF("usr/bin/python3", elfSpec{}); tr.File("app.py", []byte("import os\n"), 0o644) }, run("/app.py"), []string{"make it executable", `'["/usr/bin/python3","/app.py"]'`}, entrypoint("/usr/bin/python3", "/app.py")},
		{"no Python", app("import os\n"), Command{Cmd: []string{"/app"}, WorkingDir: "/"}, []string{"#!/bin/sh"}, replaced("app")},
		{"JavaScript without node", func(tr tree) { tr.Text("app.js", "let x = 1;\n") }, run("/app.js"), []string{"for node, which the image does not have"}, func(tr tree, c *Command) { tr.ELF("bin/node", elfSpec{}); entrypoint("node", "/app.js")(tr, c) }},
		{"Java archive without x bit", func(tr tree) { tr.File("app.jar", []byte("PK\x03\x04abc"), 0o644) }, run("/app.jar"), []string{`["java", "-jar", "/app.jar"]`}, replaced("app.jar")},
		{"env without its program", func(tr tree) { tr.ELF("usr/bin/env", elfSpec{}); tr.Text("app", "#!/usr/bin/env -S node --flag\n") }, run("/app"), []string{"at once", "env looks for node"}, func(tr tree, _ *Command) { tr.ELF("bin/node", elfSpec{}) }},
		{"a list in single quotes", func(tr tree) { tr.ELF("bin/sh", elfSpec{}); tr.ELF("app", elfSpec{}) }, run("/bin/sh", "-c", "['/app', '-x']"), []string{"at once", "double quotes"}, entrypoint("/app", "-x")},
		{"shared library", func(tr tree) {
			tr.ELF("app", elfSpec{})
			tr.File("lib/app.so", func() []byte { b := elfSpec{Type: 3}.Bytes(); clear(b[24:32]); return b }(), 0o755)
		}, run("/lib/app.so"), []string{"at once", "shared libraries"}, entrypoint("/app")},
		{"memory dump", func(tr tree) { tr.ELF("app", elfSpec{Type: 4}) }, run("/app"), []string{"memory dump"}, replaced("app")},
		{"UTF-16 without a mark", app("#\x00!\x00/\x00b\x00i\x00n\x00"), run("/app"), []string{"UTF-16"}, replaced("app")},
		{"a.out", app("\x0b\x01\x64\x00\x00\x10\x00\x00"), run("/app"), []string{"a.out"}, replaced("app")},
		{"web page", app("<!DOCTYPE html>\n<html>"), run("/app"), []string{"web server", "--fail"}, replaced("app")},
		{"answer of an API", app("{\"message\": \"Not Found\"}"), run("/app"), []string{"web server"}, replaced("app")},
		{"a link as text", func(tr tree) { tr.ELF("opt/app", elfSpec{}); tr.Text("app", "opt/app") }, run("/app"), []string{"core.symlinks", "ln -sf opt/app /app"}, func(tr tree, _ *Command) { must(os.Remove(tr.At("app"))); tr.Link("app", "opt/app") }},
		{"script for Windows", func(tr tree) { tr.ELF("bin/sh", elfSpec{}); tr.Text("app.bat", "@echo off\r\n") }, run("/app.bat"), []string{"for Windows"}, replaced("app.bat")},
		{"directory", func(tr tree) { tr.ELF("app/app", elfSpec{}) }, run("/app"), []string{"directory"}, entrypoint("/app/app")},
	}
}

// TestHints follows each hint, and asks the kernel then.
func TestHints(t *testing.T) {
	testenv.Root(t)
	testenv.Need(t, "chroot", "sed")
	testenv.Unshares(t, "--mount")
	machine := host.Local()
	if machine.Facts().Platform.Architecture != "amd64" {
		t.Skip("the programs of this test are for amd64")
	}
	for _, h := range hints() {
		tr := tree{Root: t.TempDir()}
		must(os.Chmod(tr.Root, 0o755))
		tr.Dir("proc", 0o755)
		h.build(tr)
		root, err := OpenDir(tr.Root)
		must(err)
		r := Check(t.Context(), root, h.cmd, machine)
		if r.ExitCode == 0 && !strings.Contains(r.Hint, "at once") {
			t.Errorf("%s: it starts already", h.name)
		}
		for _, text := range h.says {
			if !strings.Contains(r.Hint, text) {
				t.Errorf("%s: %s: %s: the hint %q does not say %q", h.name, r.Verdict, r.Reason, r.Hint, text)
			}
		}
		cmd := h.cmd
		h.follow(tr, &cmd)
		_ = root.Close()
		root, err = OpenDir(tr.Root)
		must(err)
		r = Check(t.Context(), root, cmd, machine)
		_ = root.Close()
		if code, said := inChroot(t, tr.Root, cmd); r.ExitCode != 0 || code != 0 || r.Hint != "" {
			t.Errorf("%s, followed: %s: %s, hint %q; it ended with %d: %s", h.name, r.Verdict, r.Reason, r.Hint, code, said)
		}
	}
}

// TestEmulatorHints checks the packages named, and that what is there is used.
func TestEmulatorHints(t *testing.T) {
	handler := host.Handler{Name: "qemu-aarch64", Interpreter: "/usr/bin/q", Flags: "F", Magic: elfSpec{Arch: "arm64"}.Bytes()[:20]}
	machine := host.Facts{Platform: lin("amd64", "v1"), Binfmt: host.Binfmt{Enabled: true}}
	with := func(change func(*host.Facts)) host.Facts { h := machine; change(&h); return h }
	for _, tt := range []struct {
		arch string
		host host.Facts
		says string
	}{
		{"arm64", machine, "Debian, Ubuntu: qemu-user-static, since Debian 13 qemu-user-binfmt; Fedora: qemu-user-static-aarch64)"},
		{"riscv64", machine, "qemu-user-static-riscv)"}, {"mips64le", machine, "qemu-user-static-mips)"}, {"ppc64le", machine, "qemu-user-static-ppc)"},
		{"386", machine, "qemu-user-static-x86)"}, {"loong64", machine, "qemu-user-static-loongarch64)"}, {"s390x", machine, "qemu-user-static-s390x)"}, {"arm", machine, "qemu-user-static-arm)"},
		{"arm64", with(func(h *host.Facts) { h.Emulators = []string{"/usr/bin/qemu-arm", "/usr/bin/qemu-aarch64-static"} }), "register the emulator that is installed, /usr/bin/qemu-aarch64-static: systemctl restart systemd-binfmt (Debian, Ubuntu: or update-binfmts --enable qemu-aarch64)"},
		{"arm64", with(func(h *host.Facts) { h.Binfmt.Handlers = []host.Handler{handler} }), "echo 1 > /proc/sys/fs/binfmt_misc/qemu-aarch64"},
		{"arm64", with(func(h *host.Facts) { h.Binfmt.Enabled, h.Binfmt.Handlers = false, []host.Handler{handler} }), "echo 1 > /proc/sys/fs/binfmt_misc/status"},
	} {
		r := checkIn(t, func(tr tree) { tr.ELF("p", elfSpec{Arch: tt.arch}) }, run("/p"), tt.host)
		if r.Verdict != ExecFormatError || !strings.Contains(r.Hint, tt.says) {
			t.Errorf("%s: %s, hint %q, want %q", tt.arch, r.Verdict, r.Hint, tt.says)
		}
	}
}
