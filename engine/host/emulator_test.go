package host

import (
	"testing"

	"github.com/mpull/mpull/engine/platform"
)

// TestEmulatedArchitectures: what can be emulated can be asked for, and its
// programs are known when they are seen.
func TestEmulatedArchitectures(t *testing.T) {
	for arch, names := range emulators() {
		if p, err := platform.ParsePattern(arch); err != nil || p.String() != arch {
			t.Errorf("--platform %s is %s, %v", arch, p, err)
		}
		heads := elfHeads(linux(arch, ""))
		if len(heads) == 0 {
			t.Errorf("no programs of %s are known", arch)
			continue
		}
		if p, _ := ELFPlatform(heads[0]); p.Architecture != arch {
			t.Errorf("a program of %s is taken for %s", arch, p)
		}
		f := Facts{Platform: linux("amd64", "v1"), Emulators: []string{"/usr/bin/qemu-none", "/usr/bin/qemu-" + names[0] + "-static"}}
		if got := f.EmulatorFor(arch); got != f.Emulators[1] {
			t.Errorf("the emulator of %s is %q", arch, got)
		}
		if debian, fedora := EmulatorPackages(arch); debian == "" || fedora == "" {
			t.Errorf("no package emulates %s", arch)
		}
	}
	if debian, _ := EmulatorPackages("arm64ilp32"); debian != "" || (Facts{Emulators: []string{"/usr/bin/qemu-"}}).EmulatorFor("arm64ilp32") != "" {
		t.Error("something emulates what nothing does")
	}
}
