package host

import (
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/platform"
)

// Local reads the facts of this machine, in about a millisecond. On amd64 it
// executes a program of its own, 96 bytes of 386 code, to see whether that runs.
// Facts that cannot be read are left out; Binfmt.Unread says when the handlers
// are not known.
func Local() *Machine {
	var u unix.Utsname
	_ = unix.Uname(&u)
	machine := unix.ByteSliceToString(u.Machine[:])
	f := Facts{
		Platform:          kernelPlatform(machine),
		PageSize:          os.Getpagesize(),
		Kernel:            unix.ByteSliceToString(u.Release[:]),
		ProtectedSymlinks: strings.TrimSpace(readHead("/proc/sys/fs/protected_symlinks", 16)) == "1",
		MmapMinAddr:       readNumber("/proc/sys/vm/mmap_min_addr"),
		MaxMapping:        maxMapping(),
		StackLimit:        stackLimit(),
		MmapRndBits:       int(readNumber("/proc/sys/vm/mmap_rnd_bits")),
		MmapRndCompatBits: int(readNumber("/proc/sys/vm/mmap_rnd_compat_bits")),
		Emulators:         localEmulators(),
		Binfmt:            ReadBinfmt(binfmtDir),
	}
	f.NoRandom, f.LegacyLayout = layout()
	if p := programOn(f.Platform, runtime.GOARCH, machine, localCPU); p != f.Platform {
		f.Program = p
	}
	switch f.Platform.Architecture {
	case "amd64":
		f.Compat, f.FiveLevels = x86Compat(f.Binfmt), hasWord(localCPU()["flags"], "la57")
	case "arm64":
		if hasAArch32() {
			f.Compat = []Compat{CompatAArch32}
		}
	}
	return &Machine{facts: f, hidden: hidden(f.Binfmt), nested: nested()}
}

// Wants reads what is wanted on this machine, Facts.Wants, without the time that
// the other facts take.
func Wants() platform.Platform {
	var u unix.Utsname
	_ = unix.Uname(&u)
	machine := unix.ByteSliceToString(u.Machine[:])
	return programOn(kernelPlatform(machine), runtime.GOARCH, machine, localCPU)
}

// kernelPlatform is the platform of a kernel that calls its machine so.
func kernelPlatform(machine string) platform.Platform {
	p := platform.Platform{OS: "linux", Architecture: runtime.GOARCH}
	switch {
	case machine == "x86_64":
		// A 386 build of this program asks the same kernel.
		p.Architecture, p.Variant = "amd64", amd64Level()
	case machine == "aarch64":
		p.Architecture, p.Variant = "arm64", arm64Level(localCPU()["Features"])
	case runtime.GOARCH == "arm":
		p.Variant = armLevel(localCPU(), machine)
	}
	return p
}

// localCPU reads what the kernel says of the first processor.
func localCPU() cpuFacts { return parseCPUInfo(readHead("/proc/cpuinfo", 4096)) }

// localEmulators lists the files of QEMU's emulators where packages put them.
func localEmulators() (files []string) {
	known := map[string]bool{}
	for _, e := range emulators() {
		known["qemu-"+e[0]] = true
	}
	entries, _ := os.ReadDir("/usr/bin")
	for _, e := range entries {
		if known[strings.TrimSuffix(e.Name(), "-static")] {
			files = append(files, "/usr/bin/"+e.Name())
		}
	}
	return files
}

// readNumber reads a sysctl that is a number; 0 when it cannot be read.
func readNumber(path string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSpace(readHead(path, 32)), 10, 64)
	return n
}

// maxMapping is the largest private writable mapping that the kernel grants:
// with vm.overcommit_memory=0 all memory and swap (__vm_enough_memory of
// mm/util.c), otherwise not known here.
func maxMapping() uint64 {
	var si unix.Sysinfo_t
	if readHead("/proc/sys/vm/overcommit_memory", 1) != "0" || unix.Sysinfo(&si) != nil {
		return 0
	}
	return (uint64(si.Totalram) + uint64(si.Totalswap)) * uint64(si.Unit) //nolint:unconvert // narrower on 32 bits
}

// stackLimit is the limit that a program which this process starts inherits.
func stackLimit() StackLimit {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_STACK, &l) != nil {
		return 0
	}
	return StackLimit(max(l.Cur, 1))
}

// layout reads two ways to lay out an address space that sysctls switch on for
// all programs, and personalities for those that inherit them.
func layout() (noRandom, legacy bool) {
	const query, noRandomize, compatLayout = 0xffffffff, 0x0040000, 0x0200000
	p, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, query, 0, 0)
	if errno != 0 {
		p = 0
	}
	noRandom = strings.TrimSpace(readHead("/proc/sys/kernel/randomize_va_space", 16)) == "0" || p&noRandomize != 0
	return noRandom, readNumber("/proc/sys/vm/legacy_va_layout") != 0 || p&compatLayout != 0
}

// readHead reads at most n bytes of a file of /proc, or "".
func readHead(path string, n int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, n))
	return string(data)
}

// hasAArch32 asks an arm64 kernel for the personality of 32-bit programs,
// which it refuses when the CPU has no 32-bit EL0, and then looks whether
// /proc/cpuinfo lists features for them, which it does with CONFIG_COMPAT.
// The personality belongs to the thread and is put back.
func hasAArch32() bool {
	const perLinux, perLinux32, query = 0x0, 0x8, 0xffffffff
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, query, 0, 0)
	if errno != 0 {
		return false
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, perLinux32, 0, 0); errno != 0 {
		return false
	}
	defer func() {
		if _, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, old, 0, 0); errno != 0 {
			_, _, _ = unix.RawSyscall(unix.SYS_PERSONALITY, perLinux, 0, 0)
		}
	}()
	return hasWord(localCPU()["Features"], "thumb")
}
