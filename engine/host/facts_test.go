package host

import (
	"encoding/binary"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/platform"
)

func linux(arch, variant string) platform.Platform {
	return platform.Platform{OS: "linux", Architecture: arch, Variant: variant}
}

func TestHostNative(t *testing.T) {
	hosts := map[string]Facts{
		"amd64 v1":      {Platform: linux("amd64", "v1")},
		"amd64 v3 ia32": {Platform: linux("amd64", "v3"), Compat: []Compat{CompatIA32}},
		"arm64":         {Platform: linux("arm64", "v8")},
		"arm64 aarch32": {Platform: linux("arm64", "v8"), Compat: []Compat{CompatAArch32}},
		"pi zero":       {Platform: linux("arm", "v6")},
		"armv7":         {Platform: linux("arm", "v7")},
		"riscv64":       {Platform: linux("riscv64", "")},
		"s390x":         {Platform: linux("s390x", "")},
		"mac":           {Platform: platform.Platform{OS: "darwin", Architecture: "arm64"}},
	}
	tests := []struct {
		host string
		p    platform.Platform
		want bool
	}{
		{"amd64 v1", linux("amd64", ""), true},
		{"amd64 v1", linux("amd64", "v1"), true},
		{"amd64 v1", linux("amd64", "v2"), false},
		{"amd64 v1", linux("386", ""), false},
		{"amd64 v3 ia32", linux("amd64", "v3"), true},
		{"amd64 v3 ia32", linux("amd64", "v4"), false},
		{"amd64 v3 ia32", linux("386", ""), true},
		{"amd64 v3 ia32", linux("arm64", ""), false},
		{"amd64 v3 ia32", platform.Platform{OS: "windows", Architecture: "amd64"}, false},
		{"arm64", linux("arm64", ""), true},
		{"arm64", linux("arm64", "v8"), true},
		{"arm64", linux("arm64", "v9"), false},
		{"arm64", linux("arm", "v7"), false},
		{"arm64 aarch32", linux("arm", "v7"), true},
		{"arm64 aarch32", linux("arm", ""), true},
		{"pi zero", linux("arm", "v6"), true},
		{"pi zero", linux("arm", "v5"), true},
		{"pi zero", linux("arm", "v7"), false},
		{"pi zero", linux("arm64", ""), false},
		{"armv7", linux("arm", "v7"), true},
		{"armv7", linux("arm", "v8"), false},
		{"riscv64", linux("riscv64", ""), true},
		{"s390x", linux("s390x", ""), true},
		{"s390x", linux("ppc64le", ""), false},
		{"mac", linux("arm64", ""), false},
		{"mac", platform.Platform{OS: "darwin", Architecture: "arm64"}, true},
	}
	for _, tt := range tests {
		if got := hosts[tt.host].Native(tt.p); got != tt.want {
			t.Errorf("%s runs %s: %v, want %v", tt.host, tt.p, got, tt.want)
		}
	}
}

// qemuArm is a handler as distributions register it.
func qemuArm(flags string) Handler {
	magic := make(HexBytes, 20)
	copy(magic, "\x7fELF\x01\x01\x01")
	magic[16], magic[18] = 2, 40
	mask := HexBytes(strings.Repeat("\xff", 20))
	mask[7], mask[16] = 0, 0xfe
	return Handler{Name: "qemu-arm", Enabled: true, Interpreter: "/usr/bin/qemu-arm-static", Flags: flags, Magic: magic, Mask: mask}
}

func TestEmulated(t *testing.T) {
	off := qemuArm("F")
	off.Enabled = false
	tests := []struct {
		name    string
		b       Binfmt
		p       platform.Platform
		handler string
		ok      bool
	}{
		{"no handler", Binfmt{Enabled: true}, linux("arm", "v7"), "", false},
		{"held", Binfmt{Enabled: true, Handlers: []Handler{qemuArm("POCF")}}, linux("arm", "v7"), "/usr/bin/qemu-arm-static", true},
		{"not held", Binfmt{Enabled: true, Handlers: []Handler{qemuArm("OC")}}, linux("arm", "v6"), "/usr/bin/qemu-arm-static", false},
		{"other architecture", Binfmt{Enabled: true, Handlers: []Handler{qemuArm("F")}}, linux("arm64", ""), "", false},
		{"other byte order", Binfmt{Enabled: true, Handlers: []Handler{qemuArm("F")}}, linux("armbe", ""), "", false},
		{"entry off", Binfmt{Enabled: true, Handlers: []Handler{off}}, linux("arm", ""), "", false},
		{"all off", Binfmt{Handlers: []Handler{qemuArm("F")}}, linux("arm", ""), "", false},
		{"asked first", Binfmt{Enabled: true, Handlers: []Handler{off, qemuArm("O"), qemuArm("F")}}, linux("arm", ""), "/usr/bin/qemu-arm-static", false},
		{"unknown architecture", Binfmt{Enabled: true, Handlers: []Handler{qemuArm("F")}}, linux("pdp11", ""), "", false},
		{"windows", Binfmt{Enabled: true, Handlers: []Handler{qemuArm("F")}}, platform.Platform{OS: "windows", Architecture: "arm"}, "", false},
	}
	for _, tt := range tests {
		h := Facts{Platform: linux("amd64", "v3"), Binfmt: tt.b}
		if e, _ := h.Handler(tt.p); e.Interpreter != tt.handler || e.InAnyImage() != tt.ok {
			t.Errorf("%s: %q %v, want %q %v", tt.name, e.Interpreter, e.InAnyImage(), tt.handler, tt.ok)
		}
	}
}

func TestMatchMask(t *testing.T) {
	h := Handler{Name: "m", Enabled: true, Interpreter: "/i", Offset: 2, Magic: HexBytes("ABC"), Mask: HexBytes{0xff, 0, 0xdf}}
	x := Handler{Name: "x", Enabled: true, Interpreter: "/x", Extension: "jar"}
	b := Binfmt{Enabled: true, Handlers: []Handler{h, x}}
	tests := []struct{ head, path, want string }{
		{"..ABC", "/a", "m"}, {"..AxC", "/a", "m"}, {"..AxC", "/a.jar", "m"}, {"..Axc", "/a", "m"}, {"..aBC", "/a", ""},
		{"..AB", "/a", ""}, {"", "/a.jar", "x"}, {"", "/a.jar.b", ""}, {"", "/d.jar/b", ""}, {"", "jar", ""}, {"", "", ""},
	}
	for _, tt := range tests {
		if got, _ := b.Match([]byte(tt.head), tt.path); got.Name != tt.want {
			t.Errorf("head %q path %q: handler %q, want %q", tt.head, tt.path, got.Name, tt.want)
		}
	}
}

func TestParseHandler(t *testing.T) {
	good := "enabled\ninterpreter /usr/bin/qemu a\nflags: OCF\noffset 3\nmagic 7f45\nmask ff00\n"
	want := Handler{Name: "n", Enabled: true, Interpreter: "/usr/bin/qemu a", Flags: "OCF", Offset: 3, Magic: HexBytes{0x7f, 0x45}, Mask: HexBytes{0xff, 0}}
	if got, err := parseHandler("n", []byte(good)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	ext, err := parseHandler("n", []byte("disabled\ninterpreter /i\nflags: \nextension .tar.gz\n"))
	if err != nil || ext.Extension != "tar.gz" || ext.Enabled {
		t.Errorf("got %+v, %v", ext, err)
	}
	for _, bad := range []string{
		"", "enabled\n", "on\ninterpreter /i\nmagic 00\n", "enabled\ninterpreter /i\nflags: X\nmagic 00\n", "enabled\ninterpreter /i\nmagic 0\n",
		"enabled\ninterpreter /i\nmagic 00\nmask 0000\n", "enabled\ninterpreter /i\noffset 256\nmagic 00\n", "enabled\ninterpreter /i\noffset -1\nmagic 00\n",
		"enabled\ninterpreter /i\nnew 1\nmagic 00\n", "enabled\ninterpreter /i\nmagic 00\nextension .x\n", "enabled\ninterpreter /i\nmagic " + strings.Repeat("00", 257) + "\n",
	} {
		if e, err := parseHandler("n", []byte(bad)); err == nil {
			t.Errorf("%q gives %+v", bad, e)
		}
	}
}

func TestHostJSON(t *testing.T) {
	h := Facts{
		Platform: linux("arm64", "v8"), Compat: []Compat{CompatAArch32}, PageSize: 16384, Kernel: "6.1.0", ProtectedSymlinks: true, MmapMinAddr: 4096, MaxMapping: 1 << 30,
		StackLimit: UnlimitedStack, MmapRndBits: 28, MmapRndCompatBits: 8, NoRandom: true, LegacyLayout: true,
		Binfmt: Binfmt{Enabled: true, Handlers: []Handler{qemuArm("F"), {Name: "j", Interpreter: "/j", Extension: "jar", Opened: &OpenedFile{Size: 9, Head: []byte("#!/x\n")}}}},
	}
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{`"platform":{"os":"linux","architecture":"arm64","variant":"v8"}`, `"compat":["aarch32"]`, `"magic":"7f454c46010101`, `"enabled":true`, `"pageSize":16384`, `"stackLimit":"unlimited"`} {
		if !strings.Contains(string(data), name) {
			t.Errorf("%s is not in %s", name, data)
		}
	}
	got, err := Read(strings.NewReader(string(data)))
	if err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("read back %+v, %v", got, err)
	}
	p := `{"platform":{"os":"linux","architecture":"amd64"}`
	if h, err := Read(strings.NewReader(p + "}")); err != nil || h.Stack() != 8<<20 {
		t.Errorf("the platform alone: %v, a stack of %d bytes", err, h.Stack())
	}
	if h, err := Read(strings.NewReader(p + `,"stackLimit":1048576}`)); err != nil || h.Stack() != 1<<20 {
		t.Errorf("a limit of 1 MiB: %v, a stack of %d bytes", err, h.Stack())
	}
	for _, bad := range []string{
		"", "null", "[]", `{"platform":{"os":"linux"}}`, p, p + "}{}", p + `,"new":1}`, p + `,"compat":["z80"]}`, p + `,"pageSize":3}`, p + `,"pageSize":-1}`, p + `,"stackLimit":-1}`, p + `,"stackLimit":"8M"}`, p + `,"stackLimit":1e99}`, p + `,"mmapRndBits":64}`, p + `,"mmapRndCompatBits":-1}`, p + `,"pageSize":1e400}`,
		p + `,"binfmt":{"handlers":[{"name":"a"}]}}`, p + `,"binfmt":{"handlers":[{"name":"a","interpreter":"/i","magic":"zz"}]}}`, p + `,"kernel":"` + strings.Repeat("x", 300) + `"}`,
		p + `,"binfmt":{"handlers":[` + strings.Repeat(`{"name":"a","interpreter":"/i","extension":"x"},`, 600) + `{"name":"a","interpreter":"/i","extension":"x"}]}}`,
		p + strings.Repeat(" ", 1<<20) + "}",
	} {
		if h, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%.60q gives %+v", bad, h)
		}
	}
}

func TestLoadersOfHosts(t *testing.T) {
	head := func(arch string) []byte { return elfHeads(linux(arch, ""))[0] }
	hosts := map[string]Facts{
		"amd64": {Platform: linux("amd64", "v1")}, "amd64+ia32": {Platform: linux("amd64", "v1"), Compat: []Compat{CompatIA32}},
		"amd64+x32": {Platform: linux("amd64", "v1"), Compat: []Compat{CompatX32}}, "386": {Platform: linux("386", "")}, "arm64": {Platform: linux("arm64", "v8")},
		"arm64+aarch32": {Platform: linux("arm64", "v8"), Compat: []Compat{CompatAArch32}}, "arm": {Platform: linux("arm", "v6")}, "riscv64": {Platform: linux("riscv64", "")},
		"s390x": {Platform: linux("s390x", "")}, "ppc64le": {Platform: linux("ppc64le", "")}, "mipsle": {Platform: linux("mipsle", "")}, "loong64": {Platform: linux("loong64", "")},
		"mips64le": {Platform: linux("mips64le", "")},
	}
	want := map[string]string{
		"amd64": "amd64", "amd64+ia32": "amd64 386", "amd64+x32": "amd64 amd64p32", "386": "386", "arm64": "arm64", "arm64+aarch32": "arm64 arm", "arm": "arm",
		"riscv64": "riscv64", "s390x": "s390x", "ppc64le": "ppc64le", "mipsle": "mipsle", "loong64": "loong64", "mips64le": "mips64le mipsle mips64p32le",
	}
	all := []string{"amd64", "386", "amd64p32", "arm64", "arm64be", "arm64ilp32", "arm", "armbe", "riscv64", "riscv32", "s390x", "s390", "ppc64le", "ppc64", "mips64le", "mipsle", "mips", "mips64p32le", "loong64", "sparc64"}
	for name, h := range hosts {
		var got []string
		for _, a := range all {
			for _, l := range h.Loaders() {
				e, ok := DecodeELF(head(a), l.Class64, h.ByteOrder())
				size := uint16(32)
				if l.Class64 {
					size = 56
				}
				if ok && l.Accepts(e) && e.Phentsize == size {
					got = append(got, a)
				}
			}
		}
		if strings.Join(got, " ") != want[name] {
			t.Errorf("%s loads %q, want %q", name, got, want[name])
		}
	}
}

func TestELFPlatform(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range elfArches {
		if seen[a.arch] {
			continue
		}
		seen[a.arch] = true
		p, ok := ELFPlatform(a.head(ELFTypeExec))
		if !ok || p.Architecture != a.arch {
			t.Errorf("header of %s is taken for %v", a.arch, p)
		}
	}
	for _, bad := range []string{"", "\x7fELF", "#!/bin/sh\n", strings.Repeat("\x00", 64), "\x7fELF\x02\x01\x01" + strings.Repeat("\xff", 57)} {
		if p, ok := ELFPlatform([]byte(bad)); ok {
			t.Errorf("%q is taken for %v", bad, p)
		}
	}
}

func FuzzParseHandler(f *testing.F) {
	f.Add("enabled\ninterpreter /i\nflags: OCF\noffset 0\nmagic 7f45\nmask ffff\n")
	f.Add("disabled\ninterpreter /i\nflags: \nextension .x\n")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseHandler("n", []byte(text))
		if err != nil {
			return
		}
		if e.validate() != nil {
			t.Errorf("%q is accepted and not valid", text)
		}
		Binfmt{Enabled: true, Handlers: []Handler{e}}.Match([]byte(text), text)
	})
}

func FuzzRead(f *testing.F) {
	data, _ := json.Marshal(Facts{Platform: linux("amd64", "v2"), Binfmt: Binfmt{Handlers: []Handler{qemuArm("F")}}})
	f.Add(string(data))
	f.Fuzz(func(t *testing.T, text string) {
		h, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		out, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Read(strings.NewReader(string(out))); err != nil {
			t.Errorf("%q is read, but not what it is written as: %v", text, err)
		}
	})
}

func FuzzELFHeader(f *testing.F) {
	for _, a := range elfArches {
		f.Add(a.head(ELFTypeDyn))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		p, ok := ELFPlatform(head)
		if ok && elfHeads(p) == nil {
			t.Errorf("%v has no headers of its own", p)
		}
		for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			if h, ok := DecodeELF(head, true, o); ok {
				for _, l := range (Facts{Platform: p}).Loaders() {
					l.Accepts(h)
				}
			}
		}
	})
}
