package preflight

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/integration/kernelcases"
)

func lin(arch, variant string) platform.Platform {
	return platform.Platform{OS: "linux", Architecture: arch, Variant: variant}
}

// checkIn builds a root in a temporary directory and checks cmd there.
func checkIn(t *testing.T, build func(tree), cmd Command, machine Host) Result {
	t.Helper()
	tr := tree{Root: t.TempDir()}
	build(tr)
	root, err := OpenDir(tr.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	return Check(context.Background(), root, cmd, machine)
}

// TestOtherHosts asks for machines that this one is not.
func TestOtherHosts(t *testing.T) {
	v := func(arch, variant string, c ...host.Compat) host.Facts {
		return host.Facts{Platform: lin(arch, variant), Compat: c, Binfmt: host.Binfmt{Enabled: true}}
	}
	elf := func(a string) []byte { return elfSpec{Arch: a}.Bytes() }
	isa := func(bits uint32) []byte { return elfSpec{Notes: kernelcases.ISANote(bits)}.Bytes() }
	tests := []struct {
		name    string
		host    host.Facts
		file    []byte
		want    Verdict
		code    int
		variant string // of the actual platform
	}{
		{"arm64 runs arm64", v("arm64", "v8"), elf("arm64"), Native, 0, "linux/arm64"},
		{"arm64 without AArch32", v("arm64", "v8"), elf("arm"), ExecFormatError, 126, "linux/arm"},
		{"arm64 with AArch32", v("arm64", "v8", host.CompatAArch32), elf("arm"), Native, 0, "linux/arm"},
		{"arm64 with AArch32, old ABI", v("arm64", "v8", host.CompatAArch32), elf("armoabi"), ExecFormatError, 126, "linux/arm"},
		{"arm64 big-endian file", v("arm64", "v8"), elf("arm64be"), ExecFormatError, 126, "linux/arm64be"},
		{"arm64 with amd64 file", v("arm64", "v8"), elf("amd64"), ExecFormatError, 126, "linux/amd64"},
		{"arm64 with ILP32", v("arm64", "v8", host.CompatAArch32), elf("ilp32"), ExecFormatError, 126, "linux/arm64ilp32"},
		{"arm64 with v7 file", v("arm64", "v8", host.CompatAArch32), armFile(10), Native, 0, "linux/arm/v7"},
		{"Pi Zero with v6 file", v("arm", "v6"), armFile(6), Native, 0, "linux/arm/v6"},
		{"Pi Zero with v5 file", v("arm", "v6"), armFile(4), Native, 0, "linux/arm/v5"},
		{"Pi Zero with v7 file", v("arm", "v6"), armFile(10), IllegalInstruction, 132, "linux/arm/v7"},
		{"Pi Zero with v8 file", v("arm", "v6"), armFile(14), IllegalInstruction, 132, "linux/arm/v8"},
		{"Pi Zero without attributes", v("arm", "v6"), elf("arm"), Native, 0, "linux/arm"},
		{"Pi Zero with arm64 file", v("arm", "v6"), elf("arm64"), ExecFormatError, 126, "linux/arm64"},
		{"v5 with v6 file", v("arm", "v5"), armFile(9), IllegalInstruction, 132, "linux/arm/v6"},
		{"v7 with v7 file", v("arm", "v7"), armFile(10), Native, 0, "linux/arm/v7"},
		{"v7 with v8 file", v("arm", "v7"), armFile(14), IllegalInstruction, 132, "linux/arm/v8"},
		{"arm of unknown level", v("arm", ""), armFile(10), Unknown, 125, "linux/arm/v7"},
		{"arm big-endian file", v("arm", "v7"), elf("armbe"), ExecFormatError, 126, "linux/armbe"},
		{"amd64 v1 baseline", v("amd64", "v1"), isa(1), Native, 0, "linux/amd64"},
		{"amd64 v1 with v2 file", v("amd64", "v1"), isa(3), Native, 0, "linux/amd64"}, // static: nobody reads the note
		{"amd64 v2 with v3 file", v("amd64", "v2"), isa(4), Native, 0, "linux/amd64"},
		{"amd64 v3 with v3 file", v("amd64", "v3"), isa(7), Native, 0, "linux/amd64"},
		{"amd64 v3 with v4 file", v("amd64", "v3"), isa(8), Native, 0, "linux/amd64"},
		{"amd64 v4 with v4 file", v("amd64", "v4"), isa(15), Native, 0, "linux/amd64"},
		{"amd64 of unknown level", v("amd64", ""), isa(2), Native, 0, "linux/amd64"},
		{"amd64 with 386", v("amd64", "v1"), elf("386"), ExecFormatError, 126, "linux/386"},
		{"amd64 with 386 and IA32", v("amd64", "v1", host.CompatIA32), elf("386"), Native, 0, "linux/386"},
		{"amd64 with x32", v("amd64", "v1", host.CompatIA32), elf("x32"), ExecFormatError, 126, "linux/amd64p32"},
		{"amd64 with x32 support", v("amd64", "v1", host.CompatX32), elf("x32"), Native, 0, "linux/amd64p32"},
		{"386 with amd64", v("386", ""), elf("amd64"), ExecFormatError, 126, "linux/amd64"},
		{"amd64 with ILP32", v("amd64", "v1"), elf("ilp32"), ExecFormatError, 126, "linux/arm64ilp32"},
		{"amd64 with riscv32", v("amd64", "v1"), elf("riscv32"), ExecFormatError, 126, "linux/riscv32"},
		{"amd64 with alpha", v("amd64", "v1"), elf("alpha"), ExecFormatError, 126, "linux/alpha"},
		{"386 with 386", v("386", ""), elf("386"), Native, 0, "linux/386"},
		{"riscv64 with riscv64", v("riscv64", ""), elf("riscv64"), Native, 0, "linux/riscv64"},
		{"riscv64 with arm64", v("riscv64", ""), elf("arm64"), ExecFormatError, 126, "linux/arm64"},
		{"s390x with s390x", v("s390x", ""), elf("s390x"), Native, 0, "linux/s390x"},
		{"s390x with amd64", v("s390x", ""), elf("amd64"), ExecFormatError, 126, "linux/amd64"},
		{"ppc64le with ppc64le", v("ppc64le", ""), elf("ppc64le"), Native, 0, "linux/ppc64le"},
		{"ppc64le with big-endian", v("ppc64le", ""), elf("ppc64"), ExecFormatError, 126, "linux/ppc64"},
		{"mipsle with mipsle", v("mipsle", ""), elf("mipsle"), Native, 0, "linux/mipsle"},
		{"an unknown kernel", v("sparc64", ""), elf("amd64"), Unknown, 125, "linux/amd64"},
		{"text everywhere", v("s390x", ""), []byte("text"), ExecFormatError, 126, ""},
	}
	for _, tt := range tests {
		r := checkIn(t, func(tr tree) { tr.File("p", tt.file, 0o755) }, run("/p"), tt.host)
		if r.Verdict != tt.want || r.ExitCode != tt.code || r.Platform.Actual != tt.variant {
			t.Errorf("%s: %s %d %q (%s), want %s %d %q", tt.name, r.Verdict, r.ExitCode, r.Platform.Actual, r.Reason, tt.want, tt.code, tt.variant)
		}
		if foreign := tt.want == ExecFormatError && tt.variant != ""; foreign && !strings.Contains(r.Reason, "is a program for "+tt.variant) {
			t.Errorf("%s: the reason does not say for what it is: %s", tt.name, r.Reason)
		}
	}
}

// TestUnsaidLevel checks the hint about a program that does not say which
// level it needs, in an image that claims more than the CPU has.
func TestUnsaidLevel(t *testing.T) {
	for _, tt := range []struct {
		claimed, host platform.Platform
		file          []byte
		hint          bool
	}{
		{lin("arm", "v7"), lin("arm", "v6"), elfSpec{Arch: "arm"}.Bytes(), true},
		{lin("arm", "v6"), lin("arm", "v6"), elfSpec{Arch: "arm"}.Bytes(), false},
		{lin("arm", "v7"), lin("arm", "v6"), armFile(6), false},
		{lin("arm", "v7"), lin("arm", ""), elfSpec{Arch: "arm"}.Bytes(), false},
		{lin("amd64", "v3"), lin("amd64", "v2"), elfSpec{}.Bytes(), true},
		{lin("amd64", "v3"), lin("amd64", "v2"), elfSpec{Notes: kernelcases.ISANote(1)}.Bytes(), false},
		{lin("amd64", "v3"), lin("amd64", "v4"), elfSpec{}.Bytes(), false},
		{lin("amd64", ""), lin("amd64", "v2"), elfSpec{Notes: kernelcases.ISANote(4)}.Bytes(), true},
		{lin("amd64", ""), lin("amd64", "v4"), elfSpec{Notes: kernelcases.ISANote(0x80)}.Bytes(), true},
	} {
		cmd := run("/p")
		cmd.Claimed = tt.claimed
		r := checkIn(t, func(tr tree) { tr.File("p", tt.file, 0o755) }, cmd, host.Facts{Platform: tt.host})
		if r.Verdict != Native || (r.Hint != "") != tt.hint {
			t.Errorf("%s on %s: %s, hint %q", tt.claimed, tt.host, r.Verdict, r.Hint)
		}
	}
}

// TestLoaderRefuses checks that glibc's own comparison of levels is foreseen.
func TestLoaderRefuses(t *testing.T) {
	machine := host.Facts{Platform: lin("amd64", "v2")}
	for _, tt := range []struct {
		name string
		pad  string
		main []byte
		ld   []byte
		want Verdict
		code int
	}{
		{"glibc", loaderRefusal, kernelcases.ISANote(4), nil, IllegalInstruction, 127},
		{"glibc, an unknown bit", loaderRefusal, kernelcases.ISANote(0x11), nil, IllegalInstruction, 127},
		{"musl", "", kernelcases.ISANote(4), nil, Native, 0},
		{"loader itself", "", nil, kernelcases.ISANote(4), Native, 0},
		{"glibc itself", loaderRefusal, kernelcases.ISANote(1), kernelcases.ISANote(4), Native, 0},
	} {
		r := checkIn(t, func(tr tree) {
			tr.ELF("p", elfSpec{Interp: "/ld", Notes: tt.main})
			tr.File("ld", append(elfSpec{Type: 3, Notes: tt.ld}.Bytes(), tt.pad...), 0o755)
		}, run("/p"), machine)
		if r.Verdict != tt.want || r.ExitCode != tt.code {
			t.Errorf("%s: %s %d %s", tt.name, r.Verdict, r.ExitCode, r.Reason)
		}
	}
}

// TestBeforeExec covers what ends before the kernel is asked.
func TestBeforeExec(t *testing.T) {
	machine := host.Facts{Platform: lin("amd64", "v1")}
	base := func(tr tree) {
		tr.ELF("p", elfSpec{})
		tr.ELF("bin/prog", elfSpec{})
		tr.File("etc/passwd", []byte(kernelcases.Passwd+"\nbroken\nhuge:x:99999999999:1::/:\nlone:x:77:88::/:\n"), 0o644)
		tr.File("etc/group", []byte(kernelcases.Group), 0o644)
	}
	tests := []struct {
		name string
		cmd  Command
		want Verdict
		code int
		text string // in the reason
	}{
		{"nothing", Command{}, Unknown, 125, "names no command"},
		{"args only", Command{Args: []string{"/p"}}, Native, 0, ""},
		{"NUL", run("/p", "a\x00b"), Unknown, 125, "NUL"},
		{"long argument", run("/p", strings.Repeat("x", 128<<10)), Unknown, 125, "128 KiB"},
		{"just not too long", run("/p", strings.Repeat("x", 128<<10-1)), Native, 0, ""},
		{"many arguments", run(append([]string{"/p"}, strings.Split(strings.Repeat("x,", 1<<18), ",")...)...), Unknown, 125, "2 MiB"},
		{"no such user", Command{Entrypoint: []string{"/p"}, User: "nobody"}, Unknown, 125, "nobody"},
		{"no such group", Command{Entrypoint: []string{"/p"}, User: "root:nogroup"}, Unknown, 125, "nogroup"},
		{"number out of range", Command{Entrypoint: []string{"/p"}, User: "4294967296"}, Unknown, 125, "user"},
		{"negative", Command{Entrypoint: []string{"/p"}, User: "-1"}, Unknown, 125, "user"},
		{"number without entry", Command{Entrypoint: []string{"/p"}, User: "4321:4321"}, Native, 0, ""},
		{"name", Command{Entrypoint: []string{"/p"}, User: "app:tools"}, Native, 0, ""},
		{"workdir is made", Command{Entrypoint: []string{"/p"}, WorkingDir: "/new/dir"}, Native, 0, ""},
		{"workdir is made and empty", Command{Entrypoint: []string{"./p"}, WorkingDir: "/new/dir"}, NotFound, 127, ""},
		{"workdir made, absolute PATH", Command{Entrypoint: []string{"prog"}, WorkingDir: "/new"}, Native, 0, ""},
		{"workdir relative", Command{Entrypoint: []string{"./prog"}, WorkingDir: "bin"}, Unknown, 125, "not an absolute path"},
		{"empty entrypoint", Command{Entrypoint: []string{""}, Cmd: []string{"/p"}}, Native, 0, ""},
		{"empty entrypoint alone", Command{Entrypoint: []string{""}}, Unknown, 125, "names no command"},
		{"empty entrypoint of two", Command{Entrypoint: []string{"", "/p"}}, NotFound, 127, ""},
		{"variable without value", Command{Entrypoint: []string{"/p"}, Env: []string{"DEBUG"}}, Native, 0, ""},
		{"PATH without value", Command{Entrypoint: []string{"prog"}, Env: []string{"PATH"}}, Native, 0, ""},
		{"variable without name", Command{Entrypoint: []string{"/p"}, Env: []string{"=x"}}, Unknown, 125, "without a name"},
		{"workdir file", Command{Entrypoint: []string{"/p"}, WorkingDir: "/p"}, NotFound, 126, "not a directory"},
		{"found but not executable", Command{Entrypoint: []string{"passwd"}, Env: []string{"PATH=/etc"}}, NotFound, 127, "not executable"},
	}
	for _, tt := range tests {
		r := checkIn(t, base, tt.cmd, machine)
		if r.Verdict != tt.want || r.ExitCode != tt.code || !strings.Contains(r.Reason, tt.text) {
			t.Errorf("%s: %s %d %q, want %s %d with %q", tt.name, r.Verdict, r.ExitCode, r.Reason, tt.want, tt.code, tt.text)
		}
	}
}

// TestWithoutAccounts checks that an image without /etc/passwd still has root
// and numeric users, and that odd account files do no harm.
func TestWithoutAccounts(t *testing.T) {
	machine := host.Facts{Platform: lin("amd64", "v1")}
	for _, build := range []func(tree){
		func(tree) {},
		func(tr tree) { tr.Dir("etc/passwd", 0o755) },
		func(tr tree) { tr.Dir("etc", 0o755); tr.Fifo("etc/passwd"); tr.Link("etc/group", "group") },
		func(tr tree) { tr.Text("etc/passwd", strings.Repeat("x:y\n", 10000)+"\x00\xff:::::::\n") },
	} {
		for user, want := range map[string]Verdict{"": Native, "0": Native, "7:8": Native, "app": Unknown, "root": Unknown} {
			r := checkIn(t, func(tr tree) { build(tr); tr.ELF("p", elfSpec{}) }, Command{Entrypoint: []string{"/p"}, User: user}, machine)
			if r.Verdict != want {
				t.Errorf("user %q: %s %s", user, r.Verdict, r.Reason)
			}
		}
	}
}

func TestResultJSON(t *testing.T) {
	cmd := run("/p", "x")
	cmd.Claimed = lin("arm", "v7")
	r := checkIn(t, func(tr tree) { tr.ELF("p", elfSpec{Arch: "arm64"}) }, cmd, host.Facts{Platform: lin("amd64", "v3")})
	r.Image, r.ID = "docker.io/library/alpine:3.15", "abc"
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"image":"docker.io/library/alpine:3.15"`, `"id":"abc"`, `"platform":{"claimed":"linux/arm/v7","actual":"linux/arm64"}`, `"host":"linux/amd64/v3"`,
		`"command":["/p","x"]`, `"file":"/p"`, `"verdict":"exec-format-error"`, `"exitCode":126`, `"reason":"`, `"hint":"`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is not in %s", want, data)
		}
	}
	if !r.Platform.Lie() {
		t.Error("the lie is not seen")
	}
	for _, p := range []Platforms{{"linux/amd64", "", "linux/amd64"}, {"linux/arm/v7", "", "linux/arm/v6"}, {"linux/arm/v7", "", "linux/arm"}, {"", "", "linux/arm"}, {"linux/arm64/v8", "", "linux/arm64"}, {"linux/amd64/v3", "", "linux/amd64"}, {"linux/arm64", "linux/arm64", ""}} {
		if p.Lie() {
			t.Errorf("%v is called a lie", p)
		}
	}
	for _, p := range []Platforms{{"linux/amd64", "", "linux/arm64"}, {"linux/arm/v6", "", "linux/arm/v7"}, {"linux/arm", "", "linux/arm64"}, {"linux/amd64", "linux/arm64", "linux/amd64"}} {
		if !p.Lie() {
			t.Errorf("%v is not called a lie", p)
		}
	}
}

func TestRemoteGuess(t *testing.T) {
	arm := host.Handler{Name: "a", Enabled: true, Interpreter: "/q", Flags: "F", Magic: elfSpec{Arch: "arm"}.Bytes()[:20]}
	arm.Mask = host.HexBytes(strings.Repeat("\xff", 20))
	arm.Mask[16] = 0xfe
	bare := arm
	bare.Flags = ""
	with := func(h ...host.Handler) host.Facts {
		return host.Facts{Platform: lin("amd64", "v2"), Binfmt: host.Binfmt{Enabled: true, Handlers: h}}
	}
	tests := []struct {
		name string
		p    platform.Platform
		h    host.Facts
		want Verdict
		sure Certainty
	}{
		{"native", lin("amd64", ""), with(), Native, Likely},
		{"foreign", lin("arm64", ""), with(arm), ExecFormatError, Likely},
		{"held", lin("arm", "v7"), with(arm), Emulated, Likely},
		{"not held", lin("arm", "v7"), with(bare), NotFound, Unsure},
		{"level", lin("amd64", "v3"), with(), IllegalInstruction, Unsure},
		{"nothing said", platform.Platform{}, with(), Unknown, Unsure},
		{"windows", platform.Platform{OS: "windows", Architecture: "amd64"}, with(), ExecFormatError, Likely},
		{"unread", lin("arm", ""), host.Facts{Platform: lin("amd64", "v2"), Binfmt: host.Binfmt{Unread: "denied"}}, Unknown, Unsure},
	}
	for _, tt := range tests {
		r := RemoteGuess(tt.p, tt.h)
		if r.Verdict != tt.want || r.Certainty != tt.sure || r.Reason == "" {
			t.Errorf("%s: %s %s %q", tt.name, r.Verdict, r.Certainty, r.Reason)
		}
	}
}

// TestUnreadHandlers checks that a foreign file is not judged when there may
// be a handler for it, and a native one is.
func TestUnreadHandlers(t *testing.T) {
	machine := host.Facts{Platform: lin("amd64", "v2"), Binfmt: host.Binfmt{Unread: "permission denied"}}
	for file, want := range map[string]Verdict{"amd64": Native, "arm64": Unknown} {
		r := checkIn(t, func(tr tree) { tr.ELF("p", elfSpec{Arch: file}) }, run("/p"), machine)
		if r.Verdict != want {
			t.Errorf("%s: %s %s", file, r.Verdict, r.Reason)
		}
	}
}

// TestEmulated checks the emulator named, and the hint about what it lacks.
func TestEmulated(t *testing.T) {
	q := host.Handler{Name: "q", Enabled: true, Interpreter: "/usr/bin/qemu", Flags: "F", Magic: elfSpec{Arch: "arm64"}.Bytes()[:16]}
	machine := host.Facts{Platform: lin("riscv64", ""), Binfmt: host.Binfmt{Enabled: true, Handlers: []host.Handler{q}}}
	for _, tt := range []struct {
		spec elfSpec
		with bool
		hint string
	}{
		{elfSpec{Arch: "arm64"}, false, ""},
		{elfSpec{Arch: "arm64", Interp: "/lib/ld.so"}, true, ""},
		{elfSpec{Arch: "arm64", Interp: "/lib/ld.so"}, false, "/lib/ld.so"},
	} {
		r := checkIn(t, func(tr tree) {
			tr.ELF("p", tt.spec)
			if tt.with {
				tr.ELF("lib/ld.so", elfSpec{Arch: "arm64"})
			}
		}, run("/p"), machine)
		if r.Verdict != Emulated || r.ExitCode != 0 || r.Emulator != "/usr/bin/qemu" || r.Platform.Actual != "linux/arm64" || !strings.Contains(r.Reason, "assumed") {
			t.Errorf("%+v", r)
		}
		if !strings.Contains(r.Hint, tt.hint) || (r.Hint == "") != (tt.hint == "") {
			t.Errorf("hint %q, want %q", r.Hint, tt.hint)
		}
	}
}

// TestDynamicEmulator checks the hint about an emulator that is held open, and
// looks for its loader in the image.
func TestDynamicEmulator(t *testing.T) {
	held := elfSpec{Arch: "amd64", Interp: "/lib/ld.so"}.Bytes()
	q := host.Handler{Name: "q", Enabled: true, Interpreter: "/usr/bin/qemu", Flags: "F", Magic: elfSpec{Arch: "arm64"}.Bytes()[:20],
		Opened: &host.OpenedFile{Size: int64(len(held)), Head: held[:min(len(held), 4096)]}}
	machine := host.Facts{Platform: lin("amd64", "v2"), Binfmt: host.Binfmt{Enabled: true, Handlers: []host.Handler{q}}}
	r := checkIn(t, func(tr tree) { tr.ELF("p", elfSpec{Arch: "arm64"}) }, run("/p"), machine)
	if r.Verdict != NotFound || !strings.Contains(r.Hint, "static") || strings.Contains(r.Hint, "flag F") {
		t.Errorf("%s %s, hint %q", r.Verdict, r.Reason, r.Hint)
	}
	if g := RemoteGuess(lin("arm64", ""), machine); g.Verdict != NotFound || !strings.Contains(g.Hint, "static") {
		t.Errorf("from afar: %s, hint %q", g.Verdict, g.Hint)
	}
}

// TestCancelled checks that an ended context gives no prediction.
func TestCancelled(t *testing.T) {
	tr := tree{Root: t.TempDir()}
	tr.ELF("p", elfSpec{})
	root, err := OpenDir(tr.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r := Check(ctx, root, run("/p"), host.Facts{Platform: lin("amd64", "")}); r.Verdict != Unknown {
		t.Errorf("%s %s", r.Verdict, r.Reason)
	}
}

func FuzzScript(f *testing.F) {
	for _, s := range []string{"#!/bin/sh\n", "#!", "#! \t\n", "#!/bin/sh -e\r\n", "#!" + strings.Repeat("x", 300)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		head := make([]byte, headSize)
		copy(head, data)
		name, ok := parseScript(head)
		if ok && (strings.ContainsAny(name, " \t\n\x00") || string(head[:2]) != "#!") {
			t.Errorf("%q gives %q", head, name)
		}
	})
}

// FuzzELF feeds programs to the whole check, on hosts of several kinds.
func FuzzELF(f *testing.F) {
	for _, a := range kernelcases.Arches() {
		f.Add(elfSpec{Arch: a, Interp: "/p", Notes: kernelcases.ISANote(3)}.Bytes())
	}
	f.Add(armFile(10))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, h := range []host.Facts{
			{Platform: lin("amd64", "v1"), Compat: []host.Compat{host.CompatIA32, host.CompatX32}, MmapMinAddr: 65536, MaxMapping: 1 << 33},
			{Platform: lin("arm", "v6")}, {Platform: lin("s390x", "")}, {Platform: lin("mips", "")},
		} {
			r := Check(context.Background(), memRoot{"/p": data}, run("/p"), h)
			if r.Verdict == "" || r.Reason == "" || (r.Verdict == Native) != (r.ExitCode == 0) {
				t.Errorf("%+v", r)
			}
		}
	})
}
