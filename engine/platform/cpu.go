package platform

import (
	"strings"
)

// cpuFacts are the lines of the first processor in /proc/cpuinfo. Keys are
// trimmed; a key that comes twice keeps its first value.
type cpuFacts map[string]string

// parseCPUInfo reads /proc/cpuinfo up to the first blank line that follows a
// processor. On arm the line "Hardware" and others come after it, unneeded.
func parseCPUInfo(text string) cpuFacts {
	facts := cpuFacts{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			if strings.TrimSpace(line) == "" && len(facts) > 1 {
				break
			}
			continue
		}
		key = strings.TrimSpace(key)
		if _, seen := facts[key]; !seen {
			facts[key] = strings.TrimSpace(value)
		}
	}
	return facts
}

// hasAll reports whether the words of list hold every one of the wanted.
func hasAll(list string, wanted ...string) bool {
	words := map[string]bool{}
	for _, w := range strings.Fields(list) {
		words[w] = true
	}
	for _, w := range wanted {
		if !words[w] {
			return false
		}
	}
	return true
}

// cpuidFacts are the CPUID registers that tell the x86-64 level.
type cpuidFacts struct {
	ecx1   uint32 // leaf 1
	ebx7   uint32 // leaf 7, sub-leaf 0
	ecxExt uint32 // leaf 0x80000001
	xcr0   uint32 // register state that the kernel saves
}

// Bits of CPUID and XCR0 (Intel SDM volume 2A, AMD APM volume 3) that make up
// the levels of the x86-64 psABI.
const (
	bitOSXSAVE = 1 << 27

	v2Leaf1 = 1<<0 | 1<<9 | 1<<13 | 1<<19 | 1<<20 | 1<<23 // SSE3 SSSE3 CMPXCHG16B SSE4.1 SSE4.2 POPCNT
	v2Ext   = 1 << 0                                      // LAHF
	v3Leaf1 = 1<<12 | 1<<22 | bitOSXSAVE | 1<<28 | 1<<29  // FMA MOVBE OSXSAVE AVX F16C
	v3Leaf7 = 1<<3 | 1<<5 | 1<<8                          // BMI1 AVX2 BMI2
	v3Ext   = 1 << 5                                      // LZCNT
	v4Leaf7 = 1<<16 | 1<<17 | 1<<28 | 1<<30 | 1<<31       // AVX512 F DQ CD BW VL
	avxXCR0 = 1<<1 | 1<<2                                 // XMM YMM
	zmmXCR0 = avxXCR0 | 1<<5 | 1<<6 | 1<<7                // opmask, ZMM
)

// amd64Level names the x86-64 level of the psABI, v1 to v4. AVX counts only
// when the kernel saves its registers.
func (f cpuidFacts) amd64Level() string {
	has := func(reg, bits uint32) bool { return reg&bits == bits }
	switch {
	case !has(f.ecx1, v2Leaf1) || !has(f.ecxExt, v2Ext):
		return "v1"
	case !has(f.ecx1, v3Leaf1) || !has(f.ebx7, v3Leaf7) || !has(f.ecxExt, v3Ext) || !has(f.xcr0, avxXCR0):
		return "v2"
	case !has(f.ebx7, v4Leaf7) || !has(f.xcr0, zmmXCR0):
		return "v3"
	}
	return "v4"
}

// armLevel names the level of a 32-bit arm CPU, v5 to v8, or "" when nothing
// says it. The ARM1176 of the Raspberry Pi Zero and 1 reports "CPU
// architecture: 7" for its memory system and is an ARMv6: the model and the
// machine of uname are asked first.
func armLevel(facts cpuFacts, machine string) string {
	model := facts["model name"] + facts["Processor"]
	arch := facts["CPU architecture"]
	switch {
	case strings.Contains(model, "ARMv6") || strings.Contains(model, "(v6l)") || strings.HasPrefix(machine, "armv6"):
		return "v6"
	case arch == "AArch64" || strings.HasPrefix(machine, "armv8"):
		return "v8"
	case arch == "" && strings.HasPrefix(machine, "armv") && len(machine) > 4:
		arch = machine[4:5]
	}
	if arch == "" || arch[0] < '5' || arch[0] > '8' {
		return ""
	}
	return "v" + arch[:1]
}

// arm64Level is v9 for a CPU with SVE2, which ARMv9-A requires, else v8.
func arm64Level(features string) string {
	if hasAll(features, "sve2") {
		return "v9"
	}
	return "v8"
}
