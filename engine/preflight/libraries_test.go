package preflight

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/integration/testenv"
)

// toolchain makes programs and libraries of one C library.
type toolchain struct {
	t        *testing.T
	cc       string
	dir      string
	loader   string
	libc     string // the file of the C library, "" when it is the loader
	sysPath  string // a directory of the system
	pathFile string
}

// build compiles a file that needs libraries, which are stubs for the linker.
func (c toolchain) build(shared bool, needs []string, flags ...string) []byte {
	c.t.Helper()
	dir := c.t.TempDir()
	out, src := filepath.Join(dir, "out"), filepath.Join(dir, "s.c")
	text := "int main(void) { return 0; }\n"
	args := []string{"-o", out, src, "-Wl,--no-as-needed", "-L" + dir}
	if shared {
		text = "int own(void) { return 0; }\n"
		args = append(args, "-shared", "-fPIC")
	}
	must(os.WriteFile(src, []byte(text), 0o644))
	empty := filepath.Join(dir, "empty.c")
	must(os.WriteFile(empty, nil, 0o644))
	for _, n := range needs {
		c.cmd("-shared", "-fPIC", "-Wl,-soname,"+n, "-o", filepath.Join(dir, n), empty)
		args = append(args, "-l:"+n)
	}
	c.cmd(append(args, flags...)...)
	data, err := os.ReadFile(out)
	must(err)
	return data
}

func (c toolchain) cmd(args ...string) {
	c.t.Helper()
	if text, err := exec.Command(c.cc, args...).CombinedOutput(); err != nil {
		c.t.Fatalf("%s %v: %v %s", c.cc, args, err, text)
	}
}

// versioned makes a library libone.so with a function own of a version, or of
// none, and a program that calls it.
func (c toolchain) versioned(version, declaration string) (lib, program []byte) {
	c.t.Helper()
	dir := c.t.TempDir()
	at := func(name, text string) string {
		must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		return filepath.Join(dir, name)
	}
	args := []string{"-shared", "-fPIC", "-Wl,-soname,libone.so", "-o", filepath.Join(dir, "libone.so"), at("one.c", "int own(void) { return 0; }\n")}
	if version != "" {
		args = append(args, "-Wl,--version-script,"+at("map", version+" { own; };\n"))
	}
	c.cmd(args...)
	c.cmd("-o", filepath.Join(dir, "p"), at("p.c", declaration+"int main(void) { return own ? own() : 0; }\n"), "-Wl,--no-as-needed", "-L"+dir, "-l:libone.so")
	lib, err := os.ReadFile(filepath.Join(dir, "libone.so"))
	must(err)
	program, err = os.ReadFile(filepath.Join(dir, "p"))
	must(err)
	return lib, program
}

// stubbed makes a program, or a library with that name, from C text, linked to a
// libone.so that has all of what stub declares.
func (c toolchain) stubbed(text, stub string, flags ...string) []byte {
	c.t.Helper()
	dir := c.t.TempDir()
	at := func(name, text string) string {
		must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		return filepath.Join(dir, name)
	}
	c.cmd("-shared", "-fPIC", "-Wl,-soname,libone.so", "-o", filepath.Join(dir, "libone.so"), at("one.c", stub))
	c.cmd(append([]string{"-o", filepath.Join(dir, "out"), at("p.c", text), "-Wl,--no-as-needed", "-L" + dir, "-l:libone.so"}, flags...)...)
	data, err := os.ReadFile(filepath.Join(dir, "out"))
	must(err)
	return data
}

// tooHigh makes a file ask for a CPU level that nothing has.
func tooHigh(file []byte) []byte {
	file = bytes.Clone(file)
	pattern := []byte("\x02\x80\x00\xc0\x04\x00\x00\x00")
	for i := bytes.Index(file, pattern); i >= 0; {
		binary.LittleEndian.PutUint32(file[i+8:], 0x80)
		n := bytes.Index(file[i+12:], pattern)
		if n < 0 {
			break
		}
		i += 12 + n
	}
	return file
}

// TestLibraries compares what is predicted of a program's libraries with what
// its loader does in a chroot.
func TestLibraries(t *testing.T) {
	testenv.Root(t)
	testenv.Need(t, "gcc", "chroot", "ldconfig")
	testenv.Unshares(t, "--mount")
	if machine := host.Local(); machine.Facts().Platform.Architecture != "amd64" {
		t.Skip("the programs of this test are for amd64")
	}
	t.Run("glibc", func(t *testing.T) {
		compareLibraries(t, toolchain{t, "gcc", t.TempDir(), "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu", ""})
	})
	t.Run("musl", func(t *testing.T) {
		testenv.Need(t, "musl-gcc")
		compareLibraries(t, toolchain{t, "musl-gcc", t.TempDir(), "/lib/ld-musl-x86_64.so.1", "", "/usr/local/lib", "etc/ld-musl-x86_64.path"})
	})
}

func compareLibraries(t *testing.T, c toolchain) {
	machine := host.Local()
	plain := c.build(false, nil)
	needs := c.build(false, []string{"libone.so"})
	runpath := c.build(false, []string{"libone.so"}, "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../own")
	rpath := c.build(false, []string{"libone.so"}, "-Wl,--disable-new-dtags,-rpath,${ORIGIN}/../own")
	one := c.build(true, nil, "-Wl,-soname,libone.so")
	two := c.build(true, []string{"libtwo.so"}, "-Wl,-soname,libone.so")
	noted := tooHigh(c.build(true, nil, "-Wl,-z,x86-64-v3"))
	slash := c.build(false, []string{"libone.so"})
	lib1, asks1 := c.versioned("OWN_1", "extern int own(void);\n")
	lib2, asks2 := c.versioned("OWN_2", "extern int own(void);\n")
	_, asksWeakly := c.versioned("OWN_2", "extern int own(void) __attribute__((weak));\n")
	libNone, asksNone := c.versioned("", "extern int own(void);\n")
	newer := bytes.ReplaceAll(plain, []byte("GLIBC_2.34\x00"), []byte("GLIBC_9.99\x00"))
	i386 := elfSpec{Arch: "386", Type: 3}.Bytes()
	const mayCall, both = "int own(void), gone(void); int main(int n, char **v) { return n > 9 ? gone() : own(); }\n", "int own(void) { return 0; } int gone(void) { return 0; }\n"
	calls := c.stubbed(mayCall, both, "-Wl,-z,lazy")
	callsOld := c.stubbed(mayCall, both, "-Wl,-z,lazy,--hash-style=sysv")
	callsNow := c.stubbed(mayCall, both, "-Wl,-z,now")
	points := c.stubbed("int gone(void); int (*p)(void) = gone; int main(void) { return p == 0; }\n", both, "-fPIC")
	weakly := c.stubbed("int gone(void) __attribute__((weak)); int (*p)(void) = gone; int main(void) { return 0; }\n", both)
	libAsks := c.stubbed("int gone(void); int (*p)(void) = gone; int own(void) { return 0; }\n", both, "-shared", "-fPIC", "-Wl,-soname,libone.so")
	onBoth := c.build(true, nil, "-Wl,-soname,libone.so", "-Wl,--defsym,gone=own")
	onBothOld := c.build(true, nil, "-Wl,-soname,libone.so", "-Wl,--defsym,gone=own,--hash-style=sysv")
	provides := c.stubbed("int own(void); int gone(void) { return 1; } int main(void) { return own(); }\n", both, "-rdynamic")
	sys := func(name string) string { return filepath.Join(c.sysPath, name) }
	tests := []struct {
		name  string
		prog  []byte
		files map[string][]byte
		cmd   Command
	}{
		{"nothing needed", plain, nil, run("/bin/p")},
		{"too high itself", tooHigh(c.build(false, nil, "-Wl,-z,x86-64-v3")), nil, run("/bin/p")},
		{"missing", needs, nil, run("/bin/p")},
		{"in a directory of the system", needs, map[string][]byte{sys("libone.so"): one}, run("/bin/p")},
		{"in /lib", needs, map[string][]byte{"lib/libone.so": one}, run("/bin/p")},
		{"in /usr/local/lib", needs, map[string][]byte{"usr/local/lib/libone.so": one}, run("/bin/p")},
		{"in /lib64", needs, map[string][]byte{"lib64/libone.so": one}, run("/bin/p")},
		{"too high", needs, map[string][]byte{"lib/libone.so": noted}, run("/bin/p")},
		{"higher variants", needs, map[string][]byte{"lib/libone.so": one, "lib/glibc-hwcaps/x86-64-v2/libone.so": noted}, run("/bin/p")},
		{"variant alone", needs, map[string][]byte{"lib/glibc-hwcaps/x86-64-v2/libone.so": one}, run("/bin/p")},
		{"not a library", needs, map[string][]byte{"lib/libone.so": []byte("INPUT(one)\n")}, run("/bin/p")},
		{"empty", needs, map[string][]byte{"lib/libone.so": nil}, run("/bin/p")},
		{"of another machine, then of this", needs, map[string][]byte{"lib/libone.so": i386, "usr/lib/libone.so": one}, run("/bin/p")},
		{"of another machine", needs, map[string][]byte{"lib/libone.so": i386}, run("/bin/p")},
		{"its own is missing", needs, map[string][]byte{"lib/libone.so": two}, run("/bin/p")},
		{"its own is there", needs, map[string][]byte{"lib/libone.so": two, "lib/libtwo.so": one}, run("/bin/p")},
		{"runpath", runpath, map[string][]byte{"own/libone.so": one}, run("/bin/p")},
		{"runpath is not for others", runpath, map[string][]byte{"own/libone.so": two, "own/libtwo.so": one}, run("/bin/p")},
		{"rpath", rpath, map[string][]byte{"own/libone.so": one}, run("/bin/p")},
		{"rpath is for others", rpath, map[string][]byte{"own/libone.so": two, "own/libtwo.so": one}, run("/bin/p")},
		{"LD_LIBRARY_PATH", needs, map[string][]byte{"opt/libone.so": one}, Command{Cmd: []string{"/bin/p"}, Env: []string{"LD_LIBRARY_PATH=/none:/opt"}}},
		{"LD_LIBRARY_PATH with semicolon", needs, map[string][]byte{"opt/libone.so": one}, Command{Cmd: []string{"/bin/p"}, Env: []string{"LD_LIBRARY_PATH=/none;/opt"}}},
		{"LD_LIBRARY_PATH with an empty end", needs, map[string][]byte{"libone.so": one}, Command{Cmd: []string{"/bin/p"}, Env: []string{"LD_LIBRARY_PATH=/none:"}}},
		{"a directory of that name first", needs, map[string][]byte{"opt/libone.so/x": nil, "lib/libone.so": one}, Command{Cmd: []string{"/bin/p"}, Env: []string{"LD_LIBRARY_PATH=/opt"}}},
		{"LD_LIBRARY_PATH before its empty end", needs, map[string][]byte{"opt/libone.so": noted, "libone.so": one}, Command{Cmd: []string{"/bin/p"}, Env: []string{"LD_LIBRARY_PATH=/opt:"}}},
		{"LD_LIBRARY_PATH before the system", needs, map[string][]byte{"opt/libone.so": noted, "lib/libone.so": one}, Command{Cmd: []string{"/bin/p"}, Env: []string{"LD_LIBRARY_PATH=/opt"}}},
		{"relative name", bytes.ReplaceAll(slash, []byte("libone.so\x00"), []byte("opt/x.so \x00")[:10]), map[string][]byte{"lib/libone.so": one}, run("/bin/p")},
		{"path file", needs, map[string][]byte{"opt/libone.so": one, c.pathFileOr("etc/none"): []byte("/lib\n/opt\n")}, run("/bin/p")},
		{"in the loader's list", needs, map[string][]byte{"opt/libone.so": one, "etc/ld.so.conf": []byte("/opt\n")}, run("/bin/p")},
		{"variant in the loader's list", needs, map[string][]byte{"opt/libone.so": one, "opt/glibc-hwcaps/x86-64-v2/libone.so": noted, "etc/ld.so.conf": []byte("/opt\n")}, run("/bin/p")},
		{"a list that lies", needs, map[string][]byte{"lib/libone.so": one, "etc/ld.so.cache": []byte(cacheMagic + strings.Repeat("\xff", 100))}, run("/bin/p")},
		{"a name of the C library", c.build(false, []string{"libm.so.9", "libpthread.so.0"}), nil, run("/bin/p")},
		{"version", asks2, map[string][]byte{"lib/libone.so": lib2}, run("/bin/p")},
		{"version that is missing", asks2, map[string][]byte{"lib/libone.so": lib1}, run("/bin/p")},
		{"version that may be missing", asksWeakly, map[string][]byte{"lib/libone.so": lib1}, run("/bin/p")},
		{"library without versions", asks1, map[string][]byte{"lib/libone.so": libNone}, run("/bin/p")},
		{"no version asked for", asksNone, map[string][]byte{"lib/libone.so": lib1}, run("/bin/p")},
		{"of a newer C library", newer, nil, run("/bin/p")},
		{"table of versions that is damaged", bytes.ReplaceAll(asks2, []byte("OWN_2\x00"), []byte("OWN_1\x00")), map[string][]byte{"lib/libone.so": lib1}, run("/bin/p")},
		{"symbol", points, map[string][]byte{"lib/libone.so": onBoth}, run("/bin/p")},
		{"symbol in an older hash table", callsOld, map[string][]byte{"lib/libone.so": onBothOld}, run("/bin/p")},
		{"symbol that is missing", points, map[string][]byte{"lib/libone.so": one}, run("/bin/p")},
		{"symbol of a call that is missing", calls, map[string][]byte{"lib/libone.so": one}, run("/bin/p")},
		{"the same, at once", callsNow, map[string][]byte{"lib/libone.so": one}, run("/bin/p")},
		{"the same, by LD_BIND_NOW", calls, map[string][]byte{"lib/libone.so": one}, Command{Cmd: []string{"/bin/p"}, Env: []string{"LD_BIND_NOW=1"}}},
		{"symbol that may be missing", weakly, map[string][]byte{"lib/libone.so": one}, run("/bin/p")},
		{"symbol that a library needs", needs, map[string][]byte{"lib/libone.so": libAsks}, run("/bin/p")},
		{"symbol that a library needs and the program has", provides, map[string][]byte{"lib/libone.so": libAsks}, run("/bin/p")},
		{"symbol that may be preloaded", points, map[string][]byte{"lib/libone.so": one, "opt/more.so": onBoth}, Command{Cmd: []string{"/bin/p"}, Env: []string{"LD_PRELOAD=/opt/more.so"}}},
		{"by a script", needs, map[string][]byte{"run": []byte("#!/bin/p\n")}, run("/run")},
	}
	for _, tt := range tests {
		tr := tree{Root: t.TempDir()}
		tr.Dir("proc", 0o755)
		tr.File("bin/p", tt.prog, 0o755)
		for _, f := range []string{c.loader, c.libc} {
			if f != "" {
				data, err := os.ReadFile(f)
				must(err)
				tr.File(strings.TrimPrefix(f, "/"), data, 0o755)
			}
		}
		for name, data := range tt.files {
			tr.File(strings.TrimPrefix(name, "/"), data, 0o755)
		}
		if _, ok := tt.files["etc/ld.so.conf"]; ok {
			if out, err := exec.Command("ldconfig", "-r", tr.Root).CombinedOutput(); err != nil {
				t.Fatalf("ldconfig: %v %s", err, out)
			}
		}
		want, said := inChroot(t, tr.Root, tt.cmd)
		root, err := OpenDir(tr.Root)
		must(err)
		r := Check(t.Context(), root, tt.cmd, machine)
		_ = root.Close()
		if r.ExitCode != want && (r.Verdict != Unknown || tt.name != "library without versions" && tt.name != "symbol that may be preloaded") {
			t.Errorf("%s: predicted %s %d: %s; it ended with %d: %s", tt.name, r.Verdict, r.ExitCode, r.Reason, want, said)
		}
	}
}

func (c toolchain) pathFileOr(other string) string {
	if c.pathFile != "" {
		return c.pathFile
	}
	return other
}

// inChroot starts a command in a root with a /proc of its own, in a mount
// namespace of its own.
func inChroot(t *testing.T, root string, c Command) (code int, said string) {
	t.Helper()
	const script = `mount -t proc proc "$1/proc" && shift && exec "$@"`
	args := append([]string{"-m", "sh", "-c", script, "sh", root, "env", "-i"}, c.Environ()...)
	cmd := exec.Command("unshare", append(append(args, "chroot", "--userspec="+cmp.Or(c.User, "0"), root), c.Argv()...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}
