package host

import (
	"encoding/binary"

	"github.com/mpull/mpull/engine/platform"
)

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
	machineAlpha     = 0x9026
	machineSH        = 42
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
	order := ELFOrder(head)
	h, ok := DecodeELF(head, len(head) > 4 && head[4] == ELFClass64, order)
	end = h.Phoff + uint64(h.Phentsize)*uint64(h.Phnum)
	if !ok || h.Phoff > uint64(len(head)) || end > uint64(len(head)) || h.Phentsize < 4 {
		return 0, false, false
	}
	for p := h.Phoff; p < end; p += uint64(h.Phentsize) {
		interp = interp || order.Uint32(head[p:]) == 3 // PT_INTERP
	}
	return end, interp, true
}

// ELFOrder is the byte order that a file's header claims.
func ELFOrder(head []byte) binary.ByteOrder {
	if len(head) > 5 && head[5] == 2 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// ELFPlatform names the platform of a file by the class and byte order that
// its header claims. It reports false for a file that is not ELF or has a
// machine without a GOARCH name.
func ELFPlatform(head []byte) (platform.Platform, bool) {
	if len(head) < 20 || string(head[:4]) != "\x7fELF" {
		return platform.Platform{}, false
	}
	h, _ := DecodeELF(head, head[4] == ELFClass64, ELFOrder(head))
	for _, a := range elfArches {
		if a.machine == h.Machine && a.data == h.Data && (a.class == h.Class) && h.Flags&a.flagMask == a.flags&a.flagMask {
			return platform.Platform{OS: "linux", Architecture: a.arch}, true
		}
	}
	return platform.Platform{}, false
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
// what its compilers produce. Names are those of GOARCH, also of what Go only
// reserves; where it has none, of Debian and QEMU.
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
	{"arm64ilp32", 1, 1, machineAArch64, 0, 0},
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
	{"riscv32", 1, 1, machineRISCV, 5, 0},
	{"riscv64", 2, 1, machineRISCV, 5, 0},
	{"s390", 1, 2, machineS390, 0, 0},
	{"s390x", 2, 2, machineS390, 0, 0},
	{"sparc", 1, 2, machineSPARC, 0, 0},
	{"sparc64", 2, 2, machineSPARCV9, 0, 0},
	{"m68k", 1, 2, machineM68K, 0, 0},
	{"alpha", 2, 1, machineAlpha, 0, 0},
	{"sh4", 1, 1, machineSH, 0, 0},
}

// elfHeads makes the first bytes of programs of platform p: position
// dependent, and position independent. It returns nil for an architecture
// that is not known.
func elfHeads(p platform.Platform) [][]byte {
	for _, a := range elfArches {
		if a.arch == p.Architecture {
			return [][]byte{a.head(ELFTypeExec), a.head(ELFTypeDyn)}
		}
	}
	return nil
}

func (a elfArch) head(typ uint16) []byte {
	b := make([]byte, 64)
	copy(b, []byte{0x7f, 'E', 'L', 'F', a.class, a.data, 1})
	order := ELFOrder(b)
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
