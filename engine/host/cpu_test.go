package host

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/platform"
)

func TestArmLevel(t *testing.T) {
	const zero = "processor\t: 0\nmodel name\t: ARMv6-compatible processor rev 7 (v6l)\nBogoMIPS\t: 697.95\nFeatures\t: half thumb fastmult vfp edsp java tls\nCPU implementer\t: 0x41\nCPU architecture: 7\nCPU variant\t: 0x0\nCPU part\t: 0xb76\n\nHardware\t: BCM2835\n"
	tests := []struct{ name, cpuinfo, machine, want string }{
		{"Pi Zero", zero, "armv6l", "v6"},
		{"Pi Zero by its model alone", zero, "armv7l", "v6"},
		{"Pi Zero, old kernel", "Processor\t: ARMv6-compatible processor rev 7 (v6l)\nCPU architecture: 7\n", "armv6l", "v6"},
		{"Pi 2", "model name\t: ARMv7 Processor rev 5 (v7l)\nCPU architecture: 7\n", "armv7l", "v7"},
		{"Pi 3, 32-bit kernel", "model name\t: ARMv7 Processor rev 4 (v7l)\nCPU architecture: 7\n", "armv7l", "v7"},
		{"arm64 kernel", "processor\t: 0\nCPU architecture: 8\n", "armv8l", "v8"},
		{"old arm64 kernel", "Processor\t: AArch64 Processor rev 4\nCPU architecture: AArch64\n", "aarch64", "v8"},
		{"ARM926", "Processor\t: ARM926EJ-S rev 5 (v5l)\nCPU architecture: 5TEJ\n", "armv5tejl", "v5"},
		{"no cpuinfo", "", "armv7l", "v7"},
		{"nothing", "", "", ""},
		{"odd", "CPU architecture: ?(11)\n", "arm", ""},
	}
	for _, tt := range tests {
		if got := armLevel(parseCPUInfo(tt.cpuinfo), tt.machine); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestArm64Level(t *testing.T) {
	if got := arm64Level("fp asimd sve sve2 bti"); got != "v9" {
		t.Errorf("with SVE2: %s", got)
	}
	if got := arm64Level("fp asimd aes crc32"); got != "v8" {
		t.Errorf("without: %s", got)
	}
}

// TestLevelOfThisMachine compares with what glibc's loader says of this CPU.
func TestLevelOfThisMachine(t *testing.T) {
	const loader = "/lib64/ld-linux-x86-64.so.2"
	if _, err := os.Stat(loader); err != nil || runtime.GOARCH != "amd64" {
		t.Skip("needs glibc on amd64")
	}
	out, err := exec.Command(loader, "--help").Output()
	if err != nil || !strings.Contains(string(out), "x86-64-v2") {
		t.Skip("this glibc lists no levels")
	}
	want := "v1"
	for _, v := range []string{"v2", "v3", "v4"} {
		if strings.Contains(string(out), "x86-64-"+v+" (supported") {
			want = v
		}
	}
	if got := Local().Facts().Platform.Variant; got != want {
		t.Errorf("level %s, glibc finds %s", got, want)
	}
}

func BenchmarkLocalHost(b *testing.B) {
	for b.Loop() {
		Local()
	}
}

// TestProgramOn asks what a program wants on kernels of its own size and of another.
func TestProgramOn(t *testing.T) {
	amd64, arm64 := linux("amd64", "v3"), linux("arm64", "v8")
	for _, tt := range []struct {
		kernel          platform.Platform
		goarch, machine string
		cpu             cpuFacts
		want            string
	}{
		{amd64, "amd64", "x86_64", nil, "linux/amd64/v3"},
		{amd64, "386", "x86_64", nil, "linux/386"},
		{arm64, "arm64", "aarch64", nil, "linux/arm64/v8"},
		{arm64, "arm", "aarch64", cpuFacts{"CPU architecture": "8"}, "linux/arm/v8"},
		{arm64, "arm", "armv8l", cpuFacts{}, "linux/arm/v8"},
		{arm64, "arm", "aarch64", cpuFacts{}, "linux/arm"},
		{linux("arm", "v6"), "arm", "armv6l", nil, "linux/arm/v6"},
	} {
		if got := programOn(tt.kernel, tt.goarch, tt.machine, func() cpuFacts { return tt.cpu }); got.String() != tt.want {
			t.Errorf("a program for %s on %s (%s): %s, want %s", tt.goarch, tt.kernel, tt.machine, got, tt.want)
		}
	}
}
