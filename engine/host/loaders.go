package host

import (
	"encoding/binary"
	"slices"
)

// ByteOrder is the order in which the host's kernel reads an ELF header.
func (f Facts) ByteOrder() binary.ByteOrder {
	if slices.ContainsFunc(elfArches, func(a elfArch) bool { return a.arch == f.Platform.Architecture && a.data == 2 }) {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// A Loader is one ELF loader of a kernel: the native one or a compatible one.
type Loader struct {
	Class64 bool // layout in which it reads headers
	// Accepts is elf_check_arch of the kernel's architecture, and elf_check_fdpic.
	Accepts func(ELFHeader) bool
	// TaskSize bounds the addresses of its programs, in bytes; 0 means that
	// it is not known.
	TaskSize uint64
	// DynBase is ELF_ET_DYN_BASE, where position independent programs with a
	// loader are mapped, but for a random offset; 0 means that it is not known.
	DynBase uint64
	// MaxRandom is the largest random offset of mappings, in bytes: as the host
	// says, or the most that a kernel can be set to; 0 where DynBase is.
	MaxRandom uint64
	// StackRandom is the largest random offset of the stack, in bytes; 0 where
	// DynBase is.
	StackRandom uint64
}

// Loaders lists the ELF loaders of the host's kernel in the order in which
// they are asked: binfmt_elf, then compat_binfmt_elf. It is empty for an
// architecture whose rules are not known here.
func (f Facts) Loaders() []Loader {
	machine := func(m uint16) func(ELFHeader) bool {
		return func(e ELFHeader) bool { return e.Machine == m }
	}
	switch f.Platform.Architecture {
	case "amd64": // arch/x86/include/asm/elf.h; the class is not looked at
		const task = 1<<47 - 4096
		return append([]Loader{{
			Class64: true, Accepts: machine(machineX86_64), TaskSize: task, DynBase: task / 3 * 2 &^ 4095,
			MaxRandom: f.random(f.MmapRndBits, 32), StackRandom: f.random(22, 0),
		}}, f.compatX86()...)
	case "386":
		return []Loader{{Accepts: is386, TaskSize: 0xc0000000, DynBase: 0x400000, MaxRandom: f.random(f.MmapRndBits, 16), StackRandom: f.random(11, 0)}}
	case "arm64": // arch/arm64/include/asm/elf.h
		ls := []Loader{{Class64: true, Accepts: machine(machineAArch64)}}
		if f.Has(CompatAArch32) {
			ls = append(ls, Loader{Accepts: func(e ELFHeader) bool { return e.Machine == machineARM && e.Flags&efARMEABIMask != 0 }})
		}
		return ls
	case "arm":
		return []Loader{{Accepts: isARM}}
	case "riscv64": // arch/riscv/include/asm/elf.h
		return []Loader{{Class64: true, Accepts: withClass(ELFClass64, machineRISCV)}}
	case "s390x": // arch/s390/include/asm/elf.h
		return []Loader{{Class64: true, Accepts: withClass(ELFClass64, machineS390, machineS390Old)}}
	case "ppc64", "ppc64le":
		return []Loader{{Class64: true, Accepts: machine(machinePPC64)}, {Accepts: machine(machinePPC)}}
	case "loong64":
		return []Loader{{Class64: true, Accepts: machine(machineLoong)}}
	case "mips64", "mips64le": // arch/mips/include/asm/elf.h and binfmt_elfn32, binfmt_elfo32
		return []Loader{{Class64: true, Accepts: withClass(ELFClass64, machineMIPS)}, {Accepts: withClass(ELFClass32, machineMIPS)}}
	case "mips", "mipsle":
		return []Loader{{Accepts: isMIPSO32}}
	}
	return nil
}

// compatX86 is compat_elf_check_arch of arch/x86/include/asm/elf.h.
func (f Facts) compatX86() []Loader {
	ia32, x32 := f.Has(CompatIA32), f.Has(CompatX32)
	if !ia32 && !x32 {
		return nil
	}
	return []Loader{{
		Accepts:  func(e ELFHeader) bool { return ia32 && is386(e) || x32 && e.Machine == machineX86_64 },
		TaskSize: 0xffffe000, DynBase: 0x55555000 + 0x1000000, MaxRandom: f.random(f.MmapRndCompatBits, 16), StackRandom: f.random(11, 0),
	}}
}

// random is the offset in bytes below which so many random bits of a page's
// number stay; most where the bits are not known.
func (f Facts) random(bits, most int) uint64 {
	switch {
	case f.NoRandom:
		return 0
	case bits == 0:
		bits = most
	}
	return 4096 << bits
}

func is386(e ELFHeader) bool { return e.Machine == machine386 || e.Machine == machine486 }

// isARM is elf_check_arch of arch/arm/kernel/elf.c on a CPU with Thumb, and
// elf_check_fdpic.
func isARM(e ELFHeader) bool {
	thumb, aligned := e.Entry&1 != 0, e.Entry&3 == 0
	oldHardFloat := e.Flags&efARMEABIMask == 0 && e.Flags&(efARMSoft|efARMHard) == efARMHard
	return e.Machine == machineARM && (thumb || aligned) && !oldHardFloat && e.OSABI != elfOSABIARMFDPIC
}

// isMIPSO32 is elf_check_arch of 32-bit MIPS kernels.
func isMIPSO32(e ELFHeader) bool {
	abi := e.Flags & efMIPSABI
	return e.Machine == machineMIPS && e.Class == ELFClass32 && e.Flags&efMIPSABI2 == 0 && (abi == 0 || abi == efMIPSABIO32)
}

// withClass accepts the machines when EI_CLASS agrees.
func withClass(class byte, machines ...uint16) func(ELFHeader) bool {
	return func(e ELFHeader) bool { return e.Class == class && slices.Contains(machines, e.Machine) }
}
