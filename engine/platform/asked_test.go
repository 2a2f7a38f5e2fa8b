package platform

import (
	"strings"
	"testing"
)

// TestMeant tries what people write for platforms: what is no name of one is
// refused with what to write, and what only is spelled in another way is taken.
func TestMeant(t *testing.T) {
	host := Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}
	for s, want := range map[string]string{
		"linux/armv8": "write linux/arm64, or linux/arm/v8", "armv8": "write linux/arm64", "linux/armv9": "write linux/arm64",
		"linux/armv8-a": "write linux/arm64", "linux/riscv": "write linux/riscv64", "riscv": "write linux/riscv64",
		"loongarch": "write linux/loong64", "linux/s390": "write linux/s390x", "linux/arm7": "write linux/arm/v7", "linux/arm-v6": "write linux/arm/v6",
		"win/amd64": "write windows/amd64", "win64": "write windows/amd64", "mac/arm64": "write darwin/arm64", "osx/arm64": "write darwin/arm64",
		"ubuntu/arm64": "write linux/arm64", "linux/amd64/linux": "write linux/amd64", "docker/linux/amd64": "write linux/amd64",
		"linux / arm64": "write linux/arm64", "linux//arm64": "write linux/arm64", "/linux/arm64": "write linux/arm64", "linux/arm64/": "write linux/arm64",
		"linux\\arm64": "write linux/arm64", "linux/arm64/v8/extra": "write linux/arm64/v8", "windows/amd64:10.0.17763": "write windows(10.0.17763)/amd64",
		"arm64/arm64": "write linux/arm64", "amd64/amd64/v3": "write linux/amd64/v3", "linux,arm64": "write linux/arm64", "Linux, aarch64": "write Linux/aarch64",
		"host": "write native", "all": "--all-platforms", "*": "--all-platforms", "": "is empty", "linux/arm64,": "is empty",
	} {
		if r, err := ParseList(s, host); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want an error with %q", s, r, err, want)
		}
	}
	for s, want := range map[string]string{
		"linux/arm64/armv8": "linux/arm64/v8", "linux/arm/armhf": "linux/arm/v7", "linux/arm/armv6": "linux/arm/v6",
		"aarch64_be": "linux/arm64be", "linux/armeb": "linux/armbe", "riscv64gc": "linux/riscv64", "linux/rv64": "linux/riscv64", "x86_32": "linux/386",
		"riscv32": "linux/riscv32", "linux/sparc64": "linux/sparc64", "native,arm64": "linux/amd64", "linux/arm64,linux/arm": "linux/arm64",
	} {
		if r, err := ParseList(s, host); err != nil || r[0].String() != want {
			t.Errorf("%q: %v, %v; want %s", s, r, err, want)
		}
	}
	if _, err := FromFlags("", "armv8", "", host); err == nil || !strings.Contains(err.Error(), "write linux/arm64") {
		t.Errorf("--arch armv8: %v", err)
	}
	if _, err := FromFlags("mac", "", "", host); err == nil || !strings.Contains(err.Error(), "write darwin") {
		t.Errorf("--os mac: %v", err)
	}
}
