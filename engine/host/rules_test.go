package host

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestReadLimits takes facts on the bounds and refuses those beyond.
func TestReadLimits(t *testing.T) {
	fill := func(open, one, end string, n int) string {
		return open + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + end
	}
	emulators := func(n int) string { return fill(`"emulators":[`, `"/e"`, `]`, n) }
	handlers := func(n int) string {
		return fill(`"binfmt":{"handlers":[`, `{"name":"a","interpreter":"/i","extension":"x"}`, `]}`, n)
	}
	const head, tail = `{"platform":{"os":"linux","architecture":"amd64"},`, `}`
	for fact, want := range map[string]bool{
		`"pageSize":0`: true, `"pageSize":1`: true, `"pageSize":1048576`: true, `"pageSize":2097152`: false,
		`"mmapRndBits":33`: true, `"mmapRndBits":34`: false, `"mmapRndCompatBits":33`: true, `"mmapRndCompatBits":34`: false, `"mmapRndBits":0`: true, `"mmapRndBits":-1`: false,
		emulators(maxEmulators): true, emulators(maxEmulators + 1): false, handlers(maxHandlers): true, handlers(maxHandlers + 1): false,
		`"kernel":"` + strings.Repeat("x", maxHostText) + `"`: true, `"kernel":"x` + strings.Repeat("x", maxHostText) + `"`: false,
		`"kernel":""` + strings.Repeat(" ", maxHostJSON-len(head)-len(tail)-len(`"kernel":""`)): true, `"kernel":""` + strings.Repeat(" ", maxHostJSON-len(head)-len(tail)-len(`"kernel":""`)+1): false,
		`"program":{"os":"linux","architecture":"arm"}`: true, `"program":{"os":"linux"}`: false,
	} {
		if _, err := Read(strings.NewReader(head + fact + tail)); (err == nil) != want {
			t.Errorf("%.60s: %v", fact, err)
		}
	}
}

func TestLevelsOf32Bits(t *testing.T) {
	arm64 := Facts{Platform: linux("arm64", "v8"), Compat: []Compat{CompatAArch32}}
	if !arm64.Native(linux("arm", "v8")) || arm64.Native(linux("arm", "v9")) {
		t.Error("an arm64 kernel runs 32-bit programs up to v8")
	}
}

func TestHandlerFlagsAndNames(t *testing.T) {
	for _, flag := range []byte("POCF") {
		if !(Handler{Flags: "POCF"}).Has(flag) || !(Handler{Flags: string(flag)}).Has(flag) || (Handler{Flags: strings.ReplaceAll("POCF", string(flag), "")}).Has(flag) {
			t.Errorf("flag %c", flag)
		}
	}
	b := Binfmt{Enabled: true, Handlers: []Handler{{Name: "x", Enabled: true, Interpreter: "/x", Extension: "jar"}}}
	for path, want := range map[string]bool{".jar": true, "a.jar": true, "jar": false, ".": false} {
		if _, got := b.Match(nil, path); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
}

// TestParseCPUInfo ends with the first processor. Old kernels write a line about
// all before it.
func TestParseCPUInfo(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1\nb: 2\n\na: 9\nc: 3\n":         "a=1 b=2",
		"Processor: x\n\na: 1\nb: 2\n\nc: 3": "Processor=x a=1 b=2",
		"a: 1\nno fact\nb: 2\nc: 3\n":        "a=1 b=2 c=3",
		"a\t: 1 \na: 2\n":                    "a=1",
		"\n\na: 1\n":                         "a=1",
	} {
		facts := parseCPUInfo(text)
		var got []string
		for _, key := range slices.Sorted(maps.Keys(facts)) {
			got = append(got, key+"="+facts[key])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q gives %s, not %s", text, got, want)
		}
	}
}

// TestShortHeads reads of a file what is there.
func TestShortHeads(t *testing.T) {
	head := elfHeads(linux("s390x", ""))[0]
	if p, ok := ELFPlatform(head[:20]); !ok || p.Architecture != "s390x" {
		t.Errorf("20 bytes: %v, %t", p, ok)
	}
	for n := range 20 {
		if p, ok := ELFPlatform(head[:n]); ok {
			t.Errorf("%d bytes are a program for %s", n, p)
		}
		if got := ELFOrder(head[:n]).String(); (got == "BigEndian") != (n > 5) {
			t.Errorf("%d bytes: %s", n, got)
		}
	}
}

// TestAddresses are those of the kernel's headers.
func TestAddresses(t *testing.T) {
	facts := Facts{Platform: linux("amd64", "v1"), Compat: []Compat{CompatIA32}}
	l := facts.Loaders()
	if l[0].DynBase != 0x555555554000 || l[0].MaxRandom != 4096<<32 || l[0].StackRandom != 4096<<22 || l[0].TaskSize != 0x7ffffffff000 {
		t.Errorf("amd64: %+v", l[0])
	}
	if l[1].DynBase != 0x56555000 || l[1].MaxRandom != 4096<<16 || l[1].StackRandom != 4096<<11 || l[1].TaskSize != 0xffffe000 {
		t.Errorf("ia32: %+v", l[1])
	}
	facts.MmapRndBits, facts.MmapRndCompatBits = 28, 8
	if l := facts.Loaders(); l[0].MaxRandom != 4096<<28 || l[1].MaxRandom != 4096<<8 {
		t.Errorf("bits as read: %+v", l)
	}
	facts.NoRandom = true
	if l := facts.Loaders(); l[0].MaxRandom != 0 || l[0].StackRandom != 0 || l[1].MaxRandom != 0 {
		t.Errorf("nothing at random: %+v", l)
	}
}

// TestLoadersByFlags follows elf_check_arch of the kernels that look at e_flags and
// at the entry.
func TestLoadersByFlags(t *testing.T) {
	arm, mips := Facts{Platform: linux("arm", "v7")}.Loaders()[0], Facts{Platform: linux("mips", "")}.Loaders()[0]
	aarch32 := Facts{Platform: linux("arm64", "v8"), Compat: []Compat{CompatAArch32}}.Loaders()[1]
	const eabi5 = 0x05000000
	for _, tt := range []struct {
		name   string
		loader Loader
		header ELFHeader
		want   bool
	}{
		{"arm", arm, ELFHeader{Machine: machineARM, Flags: eabi5}, true},
		{"Thumb", arm, ELFHeader{Machine: machineARM, Flags: eabi5, Entry: 0x8001}, true},
		{"an odd entry", arm, ELFHeader{Machine: machineARM, Flags: eabi5, Entry: 0x8003}, true},
		{"neither Thumb nor aligned", arm, ELFHeader{Machine: machineARM, Flags: eabi5, Entry: 0x8002}, false},
		{"hard float", arm, ELFHeader{Machine: machineARM, Flags: eabi5 | efARMHard}, true},
		{"hard float of the old ABI", arm, ELFHeader{Machine: machineARM, Flags: efARMHard}, false},
		{"soft float of the old ABI", arm, ELFHeader{Machine: machineARM, Flags: efARMSoft}, true},
		{"both of the old ABI", arm, ELFHeader{Machine: machineARM, Flags: efARMSoft | efARMHard}, true},
		{"the old ABI", arm, ELFHeader{Machine: machineARM}, true},
		{"the old ABI on arm64", aarch32, ELFHeader{Machine: machineARM}, false},
		{"the new one on arm64", aarch32, ELFHeader{Machine: machineARM, Flags: eabi5}, true},
		{"FDPIC", arm, ELFHeader{Machine: machineARM, Flags: eabi5, OSABI: elfOSABIARMFDPIC}, false},
		{"another machine", arm, ELFHeader{Machine: machine386}, false},
		{"o32 said", mips, ELFHeader{Machine: machineMIPS, Class: ELFClass32, Flags: efMIPSABIO32}, true},
		{"o32 not said", mips, ELFHeader{Machine: machineMIPS, Class: ELFClass32}, true},
		{"o64", mips, ELFHeader{Machine: machineMIPS, Class: ELFClass32, Flags: 0x2000}, false},
		{"n32", mips, ELFHeader{Machine: machineMIPS, Class: ELFClass32, Flags: efMIPSABI2}, false},
		{"64 bits", mips, ELFHeader{Machine: machineMIPS, Class: ELFClass64}, false},
	} {
		if got := tt.loader.Accepts(tt.header); got != tt.want {
			t.Errorf("%s: taken = %t", tt.name, got)
		}
	}
}
