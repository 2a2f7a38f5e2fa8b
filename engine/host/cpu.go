package host

import (
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/cpuid/v2"

	"github.com/mpull/mpull/engine/platform"
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

// hasWord reports whether word is one of a list with blanks between.
func hasWord(list, word string) bool { return slices.Contains(strings.Fields(list), word) }

// amd64Level names the x86-64 level of this CPU, v1 to v4. AVX counts only when
// the kernel saves its registers.
func amd64Level() string { return "v" + strconv.Itoa(max(cpuid.CPU.X64Level(), 1)) }

// programOn is the platform of a program for goarch on a kernel: the kernel's,
// unless the program is of 32 bits and the kernel of 64. As in podman (WantedPlatforms
// of containers/image), the CPU tells the level of arm then, not the build.
func programOn(kernel platform.Platform, goarch, machine string, cpu func() cpuFacts) platform.Platform {
	if kernel.Architecture == goarch {
		return kernel
	}
	p := platform.Platform{OS: kernel.OS, Architecture: goarch}
	if goarch == "arm" {
		p.Variant = armLevel(cpu(), machine)
	}
	return p
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
	if hasWord(features, "sve2") {
		return "v9"
	}
	return "v8"
}
