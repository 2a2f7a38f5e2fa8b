package platform

import "encoding/binary"

// ELFHeader holds the fields of an ELF file's header that a kernel looks at,
// read in one layout (class) and one byte order. A kernel reads them in its
// own, whatever e_ident says: a big-endian file has another e_machine there.
type ELFHeader struct {
	Class, Data, OSABI byte // e_ident as stored: class 1 is 32-bit, data 1 little-endian
	Type, Machine      uint16
	Entry, Phoff       uint64
	Flags              uint32
	Phentsize, Phnum   uint16
	Shoff              uint64
	Shentsize, Shnum   uint16
}

// ELF constants (elf.h) that decide whether a kernel takes a file.
const (
	ELFClass32 = 1
	ELFClass64 = 2

	ELFTypeExec = 2
	ELFTypeDyn  = 3

	machine386       = 3
	machineM68K      = 4
	machine486       = 6
	machineMIPS      = 8
	machineSPARC     = 2
	machinePPC       = 20
	machinePPC64     = 21
	machineS390      = 22
	machineARM       = 40
	machineSPARCV9   = 43
	machineX86_64    = 62
	machineAArch64   = 183
	machineRISCV     = 243
	machineLoong     = 258
	machineS390Old   = 0xa390
	elfOSABIARMFDPIC = 65

	efARMEABIMask = 0xff000000
	efARMSoft     = 0x200
	efARMHard     = 0x400
	efMIPSABI2    = 0x20
	efMIPSABI     = 0xf000
	efMIPSABIO32  = 0x1000
)

// DecodeELF reads the header of a file from its first bytes, in the given
// layout and byte order; missing bytes count as zeros, as in the kernel's
// buffer. It reports false when the magic number is missing.
func DecodeELF(head []byte, class64 bool, order binary.ByteOrder) (ELFHeader, bool) {
	var b [64]byte
	copy(b[:], head)
	if string(b[:4]) != "\x7fELF" {
		return ELFHeader{}, false
	}
	h := ELFHeader{Class: b[4], Data: b[5], OSABI: b[7], Type: order.Uint16(b[16:]), Machine: order.Uint16(b[18:])}
	if class64 {
		h.Entry, h.Phoff, h.Shoff = order.Uint64(b[24:]), order.Uint64(b[32:]), order.Uint64(b[40:])
		h.Flags, h.Phentsize, h.Phnum = order.Uint32(b[48:]), order.Uint16(b[54:]), order.Uint16(b[56:])
		h.Shentsize, h.Shnum = order.Uint16(b[58:]), order.Uint16(b[60:])
		return h, true
	}
	h.Entry, h.Phoff, h.Shoff = uint64(order.Uint32(b[24:])), uint64(order.Uint32(b[28:])), uint64(order.Uint32(b[32:]))
	h.Flags, h.Phentsize, h.Phnum = order.Uint32(b[36:]), order.Uint16(b[42:]), order.Uint16(b[44:])
	h.Shentsize, h.Shnum = order.Uint16(b[46:]), order.Uint16(b[48:])
	return h, true
}

// programHeaders finds where the program headers of a file end, and whether one
// is a PT_INTERP. whole is false for what is no ELF file, or has headers beyond
// head. The file's own byte order counts: it may be another machine's.
func programHeaders(head []byte) (end uint64, interp, whole bool) {
	order := orderOf(head)
	for _, class64 := range []bool{true, false} {
		h, ok := DecodeELF(head, class64, order)
		if !ok || (h.Class == ELFClass64) != class64 {
			continue
		}
		end = h.Phoff + uint64(h.Phentsize)*uint64(h.Phnum)
		if h.Phoff > uint64(len(head)) || end > uint64(len(head)) || h.Phentsize < 4 {
			return 0, false, false
		}
		for p := h.Phoff; p < end; p += uint64(h.Phentsize) {
			interp = interp || order.Uint32(head[p:]) == 3 // PT_INTERP
		}
		return end, interp, true
	}
	return 0, false, false
}

// orderOf is the byte order that a file's header claims.
func orderOf(head []byte) binary.ByteOrder {
	if len(head) > 5 && head[5] == 2 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// ELFPlatform names the platform of a file by the class and byte order that
// its header claims. It reports false for a file that is not ELF or has a
// machine without a GOARCH name.
func ELFPlatform(head []byte) (Platform, bool) {
	if len(head) < 20 || string(head[:4]) != "\x7fELF" {
		return Platform{}, false
	}
	h, _ := DecodeELF(head, head[4] == ELFClass64, orderOf(head))
	for _, a := range elfArches {
		if a.machine == h.Machine && a.data == h.Data && (a.class == h.Class) && h.Flags&a.flagMask == a.flags&a.flagMask {
			return Platform{OS: "linux", Architecture: a.arch}, true
		}
	}
	return Platform{}, false
}

// elfArch is how the programs of one architecture look.
type elfArch struct {
	arch        string
	class, data byte
	machine     uint16
	flags       uint32 // e_flags of the usual compiler
	flagMask    uint32 // which of them tell the architecture from another
}

// elfArches is searched from the top: the first entry of an architecture is
// what its compilers produce.
//
//nolint:gochecknoglobals // a constant table
var elfArches = []elfArch{
	{"386", 1, 1, machine386, 0, 0},
	{"386", 1, 1, machine486, 0, 0},
	{"amd64", 2, 1, machineX86_64, 0, 0},
	{"amd64p32", 1, 1, machineX86_64, 0, 0},
	{"arm", 1, 1, machineARM, 0x05000000, 0},
	{"armbe", 1, 2, machineARM, 0x05800000, 0},
	{"arm64", 2, 1, machineAArch64, 0, 0},
	{"arm64be", 2, 2, machineAArch64, 0, 0},
	{"loong64", 2, 1, machineLoong, 0x43, 0},
	{"mips", 1, 2, machineMIPS, 0x70001005, efMIPSABI2},
	{"mipsle", 1, 1, machineMIPS, 0x70001005, efMIPSABI2},
	{"mips64", 2, 2, machineMIPS, 0x80000007, efMIPSABI2},
	{"mips64le", 2, 1, machineMIPS, 0x80000007, efMIPSABI2},
	{"mips64p32", 1, 2, machineMIPS, 0x80000027, efMIPSABI2},
	{"mips64p32le", 1, 1, machineMIPS, 0x80000027, efMIPSABI2},
	{"ppc", 1, 2, machinePPC, 0, 0},
	{"ppc64", 2, 2, machinePPC64, 1, 0},
	{"ppc64le", 2, 1, machinePPC64, 2, 0},
	{"riscv", 1, 1, machineRISCV, 5, 0},
	{"riscv64", 2, 1, machineRISCV, 5, 0},
	{"s390", 1, 2, machineS390, 0, 0},
	{"s390x", 2, 2, machineS390, 0, 0},
	{"sparc", 1, 2, machineSPARC, 0, 0},
	{"sparc64", 2, 2, machineSPARCV9, 0, 0},
	{"m68k", 1, 2, machineM68K, 0, 0},
}

// elfHeads makes the first bytes of programs of platform p: position
// dependent, and position independent. It returns nil for an architecture
// that is not known.
func elfHeads(p Platform) [][]byte {
	for _, a := range elfArches {
		if a.arch == p.Architecture {
			return [][]byte{a.head(ELFTypeExec), a.head(ELFTypeDyn)}
		}
	}
	return nil
}

func (a elfArch) head(typ uint16) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	if a.data == 2 {
		order = binary.BigEndian
	}
	b := make([]byte, 64)
	copy(b, []byte{0x7f, 'E', 'L', 'F', a.class, a.data, 1})
	order.PutUint16(b[16:], typ)
	order.PutUint16(b[18:], a.machine)
	order.PutUint32(b[20:], 1)
	if a.class == ELFClass64 {
		order.PutUint32(b[48:], a.flags)
		order.PutUint16(b[52:], 64)
		order.PutUint16(b[54:], 56)
		return b
	}
	order.PutUint32(b[36:], a.flags)
	order.PutUint16(b[40:], 52)
	order.PutUint16(b[42:], 32)
	return b
}

// ByteOrder is the order in which the host's kernel reads an ELF header.
func (h Host) ByteOrder() binary.ByteOrder {
	for _, a := range elfArches {
		if a.arch == h.Platform.Architecture && a.data == 2 {
			return binary.BigEndian
		}
	}
	return binary.LittleEndian
}

// A Loader is one ELF loader of a kernel: the native one or a compatible one.
type Loader struct {
	Class64 bool // layout in which it reads headers
	accepts func(ELFHeader) bool
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

// Accepts is elf_check_arch of the kernel's architecture, and elf_check_fdpic.
func (l Loader) Accepts(h ELFHeader) bool { return l.accepts(h) }

// Loaders lists the ELF loaders of the host's kernel in the order in which
// they are asked: binfmt_elf, then compat_binfmt_elf. It is empty for an
// architecture whose rules are not known here.
func (h Host) Loaders() []Loader {
	native := func(class64 bool, task uint64, f func(ELFHeader) bool) Loader {
		return Loader{Class64: class64, accepts: f, TaskSize: task}
	}
	machine := func(m uint16) func(ELFHeader) bool {
		return func(e ELFHeader) bool { return e.Machine == m }
	}
	switch h.Platform.Architecture {
	case "amd64": // arch/x86/include/asm/elf.h; the class is not looked at
		l := native(true, 1<<47-4096, machine(machineX86_64))
		l.DynBase, l.MaxRandom, l.StackRandom = l.TaskSize/3*2&^4095, h.random(h.MmapRndBits, 32), h.random(22, 0)
		return append([]Loader{l}, h.compatX86()...)
	case "386":
		l := native(false, 0xc0000000, is386)
		l.DynBase, l.MaxRandom, l.StackRandom = 0x400000, h.random(h.MmapRndBits, 16), h.random(11, 0)
		return []Loader{l}
	case "arm64": // arch/arm64/include/asm/elf.h
		ls := []Loader{native(true, 0, machine(machineAArch64))}
		if h.Has(CompatAArch32) {
			ls = append(ls, native(false, 0, func(e ELFHeader) bool {
				return e.Machine == machineARM && e.Flags&efARMEABIMask != 0
			}))
		}
		return ls
	case "arm":
		return []Loader{native(false, 0, isARM)}
	case "riscv64": // arch/riscv/include/asm/elf.h
		return []Loader{native(true, 0, withClass(ELFClass64, machineRISCV))}
	case "s390x": // arch/s390/include/asm/elf.h
		return []Loader{native(true, 0, withClass(ELFClass64, machineS390, machineS390Old))}
	case "ppc64", "ppc64le":
		return []Loader{native(true, 0, machine(machinePPC64)), native(false, 0, machine(machinePPC))}
	case "loong64":
		return []Loader{native(true, 0, machine(machineLoong))}
	case "mips64", "mips64le": // arch/mips/include/asm/elf.h and binfmt_elfn32, binfmt_elfo32
		return []Loader{native(true, 0, withClass(ELFClass64, machineMIPS)), native(false, 0, withClass(ELFClass32, machineMIPS))}
	case "mips", "mipsle":
		return []Loader{native(false, 0, isMIPSO32)}
	}
	return nil
}

// compatX86 is compat_elf_check_arch of arch/x86/include/asm/elf.h.
func (h Host) compatX86() []Loader {
	ia32, x32 := h.Has(CompatIA32), h.Has(CompatX32)
	if !ia32 && !x32 {
		return nil
	}
	l := Loader{TaskSize: 0xffffe000, DynBase: 0x55555000 + 0x1000000, MaxRandom: h.random(h.MmapRndCompatBits, 16), StackRandom: h.random(11, 0)}
	l.accepts = func(e ELFHeader) bool {
		return ia32 && is386(e) || x32 && e.Machine == machineX86_64
	}
	return []Loader{l}
}

// random is the offset in bytes below which so many random bits of a page's
// number stay; most where the bits are not known.
func (h Host) random(bits, most int) uint64 {
	switch {
	case h.NoRandom:
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
	return func(e ELFHeader) bool {
		for _, m := range machines {
			if e.Machine == m {
				return e.Class == class
			}
		}
		return false
	}
}
