package host

import "strings"

// emulators maps an architecture to QEMU's name for it and to the part of
// Fedora's package names.
func emulators() map[string][2]string {
	return map[string][2]string{
		"amd64": {"x86_64", "x86"}, "386": {"i386", "x86"},
		"arm64": {"aarch64", "aarch64"}, "arm": {"arm", "arm"},
		"ppc64le": {"ppc64le", "ppc"}, "ppc64": {"ppc64", "ppc"}, "ppc": {"ppc", "ppc"},
		"s390x": {"s390x", "s390x"}, "riscv64": {"riscv64", "riscv"}, "riscv32": {"riscv32", "riscv"},
		"mips": {"mips", "mips"}, "mipsle": {"mipsel", "mips"}, "mips64": {"mips64", "mips"}, "mips64le": {"mips64el", "mips"},
		"mips64p32": {"mipsn32", "mips"}, "mips64p32le": {"mipsn32el", "mips"}, "sparc": {"sparc", "sparc"},
		"loong64": {"loongarch64", "loongarch64"},
		"sparc64": {"sparc64", "sparc"}, "alpha": {"alpha", "alpha"}, "m68k": {"m68k", "m68k"}, "sh4": {"sh4", "sh4"},
		"armbe": {"armeb", "arm"}, "arm64be": {"aarch64_be", "aarch64"},
	}
}

// EmulatorPackages names the packages of Debian and of Fedora that emulate an
// architecture; "" where there are none.
func EmulatorPackages(arch string) (debian, fedora string) {
	e, ok := emulators()[arch]
	if !ok {
		return "", ""
	}
	return "qemu-user-static, since Debian 13 qemu-user-binfmt", "qemu-user-static-" + e[1]
}

// EmulatorFor returns the file of an emulator that is installed, registered or
// not, for an architecture; "" where none is.
func (f Facts) EmulatorFor(arch string) string {
	e, ok := emulators()[arch]
	if !ok {
		return ""
	}
	for _, file := range f.Emulators {
		name := file[strings.LastIndexByte(file, '/')+1:]
		if name == "qemu-"+e[0]+"-static" || name == "qemu-"+e[0] {
			return file
		}
	}
	return ""
}
