package preflight

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/integration/kernelcases"
	"github.com/mpull/mpull/integration/testenv"
)

// TestRunc compares with a real runtime. It ends with 1 for every failure, so
// the text of its error is compared.
func TestRunc(t *testing.T) {
	testenv.Root(t)
	testenv.Need(t, "runc")
	needContainers(t)
	machine := host.Local()
	if machine.Facts().Platform.Architecture != "amd64" {
		t.Skip("the programs of this test are for amd64")
	}
	tests := []struct {
		name  string
		build func(tree)
		cmd   Command
		text  string // in runc's error
	}{
		{"native", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, run("prog"), ""},
		{"foreign", func(r tree) { r.ELF("bin/prog", elfSpec{Arch: "ppc64"}) }, run("prog"), "exec format error"},
		{"text", func(r tree) { r.Text("bin/prog", "text") }, run("prog"), "exec format error"},
		{"empty", func(r tree) { r.Text("bin/prog", "") }, run("/bin/prog"), "exec format error"},
		{"script", func(r tree) { r.ELF("bin/prog", elfSpec{}); r.Text("run", "#!/bin/prog\n") }, run("/run"), ""},
		{"script CRLF", func(r tree) { r.ELF("bin/prog", elfSpec{}); r.Text("run", "#!/bin/prog\r\n") }, run("/run"), "no such file"},
		{"loader missing", func(r tree) { r.ELF("bin/prog", elfSpec{Interp: "/lib/ld.so"}) }, run("/bin/prog"), "no such file"},
		{"loader foreign", func(r tree) {
			r.ELF("bin/prog", elfSpec{Interp: "/lib/ld.so"})
			r.ELF("lib/ld.so", elfSpec{Arch: "arm64", Type: 3})
		}, run("/bin/prog"), "shared library"},
		{"not there", func(r tree) { r.Dir("bin", 0o755) }, run("prog"), "not found in $path"},
		{"not executable", func(r tree) { r.File("bin/prog", elfSpec{}.Bytes(), 0o644) }, run("/bin/prog"), "permission denied"},
		{"next in PATH", func(r tree) { r.File("usr/bin/prog", elfSpec{}.Bytes(), 0o644); r.ELF("bin/prog", elfSpec{}) }, run("prog"), ""},
		{"other user", func(r tree) { r.File("bin/prog", elfSpec{}.Bytes(), 0o744) }, Command{Entrypoint: []string{"/bin/prog"}, User: "1000"}, "permission denied"},
		{"closed directory", func(r tree) { r.ELF("d/prog", elfSpec{}); r.Dir("d", 0o700) }, Command{Entrypoint: []string{"/d/prog"}, User: "1000"}, "permission denied"},
		{"link escapes", func(r tree) { r.ELF("bin/real", elfSpec{}); r.Link("bin/prog", "../../../../bin/real") }, run("prog"), ""},
		{"loop", func(r tree) { r.Link("bin/prog", "prog") }, run("/bin/prog"), "too many levels"},
		{"workdir is made", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, Command{Entrypoint: []string{"prog"}, WorkingDir: "/new/dir"}, ""},
		{"above a made workdir", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, Command{Entrypoint: []string{"../bin/prog"}, WorkingDir: "/new"}, ""},
		{"through a made workdir", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, Command{Entrypoint: []string{"/new/../bin/prog"}, WorkingDir: "/new"}, ""},
		{"script from a made workdir", func(r tree) { r.ELF("bin/prog", elfSpec{}); r.Text("run", "#!../bin/prog\n") }, Command{Entrypoint: []string{"/run"}, WorkingDir: "/new/"}, ""},
		{"workdir as command", func(r tree) { r.Dir("bin", 0o755) }, Command{Entrypoint: []string{"/new"}, WorkingDir: "/new/dir"}, "permission denied"},
		{"workdir with dots behind what is missing", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, Command{Entrypoint: []string{"./prog"}, WorkingDir: "/missing/../bin"}, ""},
		{"workdir made below a link", func(r tree) { r.ELF("bin/prog", elfSpec{}); r.Link("l", "bin") }, Command{Entrypoint: []string{"../prog"}, WorkingDir: "/l/new"}, ""},
		{"workdir is a link to nothing", func(r tree) { r.ELF("bin/prog", elfSpec{}); r.Link("l", "nowhere") }, Command{Entrypoint: []string{"/bin/prog"}, WorkingDir: "/l"}, "file exists"},
		{"workdir through a link to nothing", func(r tree) { r.ELF("bin/prog", elfSpec{}); r.Link("l", "nowhere") }, Command{Entrypoint: []string{"/bin/prog"}, WorkingDir: "/l/new"}, "file exists"},
		{"workdir through a file", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, Command{Entrypoint: []string{"/bin/prog"}, WorkingDir: "/bin/prog/new"}, "not a directory"},
		{"workdir file", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, Command{Entrypoint: []string{"prog"}, WorkingDir: "/bin/prog"}, "not a directory"},
		{"empty entrypoint", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, Command{Entrypoint: []string{""}, Cmd: []string{"prog"}}, ""},
		{"variables without value", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, Command{Cmd: []string{"prog"}, Env: []string{"DEBUG", "", "PATH"}}, ""},
		{"variable without name", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, Command{Cmd: []string{"prog"}, Env: []string{"=x"}}, "env"},
		{"relative workdir", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, Command{Cmd: []string{"prog"}, WorkingDir: "bin"}, "cwd must be an absolute path"},
		{"below /dev", func(r tree) { r.ELF("dev/prog", elfSpec{}) }, run("/dev/prog"), "no such file"},
		{"below /proc", func(r tree) { r.ELF("proc/prog", elfSpec{}) }, run("/proc/prog"), "no such file"},
		{"below /sys", func(r tree) { r.ELF("sys/prog", elfSpec{}) }, run("/sys/prog"), "no such file"},
		{"a device", func(tree) {}, run("/dev/null"), "permission denied"},
		{"standard input", func(tree) {}, run("/dev/stdin"), "permission denied"},
		{"workdir in /dev", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, Command{Cmd: []string{"/bin/prog"}, WorkingDir: "/dev/shm/new"}, ""},
		{"workdir in /proc", func(r tree) { r.ELF("bin/prog", elfSpec{}) }, Command{Cmd: []string{"/bin/prog"}, WorkingDir: "/proc/new"}, "no such file"},
		{"closed workdir", func(r tree) { r.ELF("bin/prog", elfSpec{}); r.Dir("w", 0o700) }, Command{Entrypoint: []string{"/bin/prog"}, WorkingDir: "/w", User: "1000"}, ""},
	}
	right := 0
	for _, tt := range tests {
		dir := t.TempDir()
		tr := tree{Root: filepath.Join(dir, "rootfs")}
		for _, d := range []string{"proc", "dev", "sys"} {
			tr.Dir(d, 0o755)
		}
		tt.build(tr)
		root, err := OpenDir(tr.Root)
		if err != nil {
			t.Fatal(err)
		}
		r := Check(context.Background(), Mounted(root), tt.cmd, machine)
		_ = root.Close()
		out, err := runRunc(t, dir, tt.cmd)
		if (err == nil) != (r.ExitCode == 0) || !strings.Contains(strings.ToLower(out), tt.text) || (tt.text == "") != (err == nil) {
			t.Errorf("%s: predicted %s %d, runc says %v %s", tt.name, r.Verdict, r.ExitCode, err, out)
			continue
		}
		right++
	}
	t.Logf("runc: %d cases right / %d", right, len(tests))
}

// needContainers skips the test where runc starts not even what must start: it
// wants a cgroup of its own, and namespaces.
func needContainers(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	tr := tree{Root: filepath.Join(dir, "rootfs")}
	for _, d := range []string{"proc", "dev", "sys"} {
		tr.Dir(d, 0o755)
	}
	tr.ELF("bin/prog", elfSpec{})
	if out, err := runRunc(t, dir, run("/bin/prog")); err != nil {
		testenv.Missing(t, "runc starts nothing here: "+lastLine(out))
	}
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// runRunc runs one bundle with the standard specification, without limits and
// with everything but the root filesystem left alone.
func runRunc(t *testing.T, dir string, cmd Command) (string, error) {
	t.Helper()
	spec := exec.Command("runc", "spec")
	spec.Dir = dir
	if out, err := spec.CombinedOutput(); err != nil {
		t.Fatalf("runc spec: %v %s", err, out)
	}
	name := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(name)
	must(err)
	var c map[string]any
	must(json.Unmarshal(data, &c))
	p := c["process"].(map[string]any)
	delete(p, "rlimits")
	p["terminal"], p["args"], p["env"], p["cwd"] = false, cmd.Argv(), cmd.Environ(), cmd.Dir()
	if cmd.User == "1000" {
		p["user"] = map[string]any{"uid": 1000, "gid": 0}
	}
	c["root"].(map[string]any)["readonly"] = false
	data, err = json.Marshal(c)
	must(err)
	must(os.WriteFile(name, data, 0o644))
	out, err := exec.Command("runc", "--root", filepath.Join(dir, "state"), "run", "--bundle", dir, "mpull-"+filepath.Base(dir)+"-"+filepath.Base(filepath.Dir(dir))).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("runc: %v", err)
	}
	return string(out), err
}

// TestRealPrograms checks programs that a compiler and a distribution made.
func TestRealPrograms(t *testing.T) {
	testenv.Need(t, "gcc")
	machine := host.Local().Facts()
	if machine.Platform.Architecture != "amd64" {
		t.Skip("the flags of this test are for amd64")
	}
	dir := t.TempDir()
	src := filepath.Join(dir, "p.c")
	must(os.WriteFile(src, []byte("int main(void) { return 0; }\n"), 0o644))
	build := func(flags ...string) []byte {
		out := filepath.Join(dir, "p")
		if text, err := exec.Command("gcc", append(flags, "-o", out, src)...).CombinedOutput(); err != nil {
			t.Fatalf("gcc %v: %v %s", flags, err, text)
		}
		data, err := os.ReadFile(out)
		must(err)
		return data
	}
	const loader = "/lib64/ld-linux-x86-64.so.2"
	ld, err := os.ReadFile(loader)
	if err != nil {
		t.Skip("needs glibc")
	}
	const libc = "/lib/x86_64-linux-gnu/libc.so.6"
	lib, err := os.ReadFile(libc)
	if err != nil {
		t.Skip("needs Debian's place of glibc")
	}
	low := machine
	low.Platform.Variant = "v2"
	tests := []struct {
		name   string
		flags  []string
		loader bool
		host   host.Facts
		want   Verdict
		code   int
	}{
		{"dynamic", nil, true, machine, Native, 0},
		{"dynamic without loader", nil, false, machine, NotFound, 127},
		{"static", []string{"-static"}, false, machine, Native, 0},
		{"static pie", []string{"-static-pie"}, false, machine, Native, 0},
		{"no pie", []string{"-no-pie"}, true, machine, Native, 0},
		{"v3 on v2", []string{"-Wl,-z,x86-64-v3"}, true, low, IllegalInstruction, 127},
		{"v2 on v2", []string{"-Wl,-z,x86-64-v2"}, true, low, Native, 0},
		{"static v4 on v2", []string{"-static", "-Wl,-z,x86-64-v4"}, false, low, Native, 0},
		{"relocatable", []string{"-c"}, false, machine, ExecFormatError, 126},
	}
	for _, tt := range tests {
		program := build(tt.flags...)
		r := checkIn(t, func(tr tree) {
			tr.File("p", program, 0o755)
			if tt.loader {
				tr.File(loader, ld, 0o755)
				tr.File(libc, lib, 0o755)
			}
		}, run("/p"), tt.host)
		if r.Verdict != tt.want || r.ExitCode != tt.code {
			t.Errorf("%s: %s %d %s, want %s %d", tt.name, r.Verdict, r.ExitCode, r.Reason, tt.want, tt.code)
		}
	}
}

// BenchmarkCheck checks a shell script of a small distribution: links, a
// script, a program with a loader, 30 handlers.
func BenchmarkCheck(b *testing.B) {
	tr := tree{Root: b.TempDir()}
	tr.File("etc/passwd", []byte(kernelcases.Passwd), 0o644)
	tr.File("etc/group", []byte(kernelcases.Group), 0o644)
	tr.ELF("bin/busybox", elfSpec{Interp: "/lib/ld.so", Type: 3, Pad: 1 << 20})
	tr.ELF("lib/ld.so", elfSpec{Type: 3, Pad: 1 << 19})
	tr.Link("bin/sh", "/bin/busybox")
	tr.Text("usr/local/bin/start", "#!/bin/sh\n")
	machine := host.Facts{Platform: lin("amd64", "v3"), Binfmt: host.Binfmt{Enabled: true}}
	for range 30 {
		machine.Binfmt.Handlers = append(machine.Binfmt.Handlers, host.Handler{Name: "h", Enabled: true, Interpreter: "/q", Magic: elfSpec{Arch: "arm64"}.Bytes()[:20]})
	}
	for name, open := range map[string]func() (RootFS, func() error, error){
		"dir": func() (RootFS, func() error, error) { d, err := OpenDir(tr.Root); return d, d.Close, err },
		"layers": func() (RootFS, func() error, error) {
			l, err := OpenLayers([]string{tr.Root, b.TempDir(), b.TempDir(), b.TempDir()})
			return l, l.Close, err
		},
	} {
		b.Run(name, func(b *testing.B) {
			root, done, err := open()
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = done() }()
			for b.Loop() {
				if r := Check(context.Background(), root, run("start"), machine); r.Verdict != Native {
					b.Fatal(r.Reason)
				}
			}
		})
	}
}
