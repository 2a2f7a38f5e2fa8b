package kernelcases

import (
	"encoding/binary"
	"maps"
	"slices"
)

// An ELF describes a small program that exits at once. The zero value is a
// static position-dependent program for amd64.
type ELF struct {
	Arch   string // one of Arches; "" is amd64
	Type   uint16 // e_type; 0 is ET_EXEC
	Interp string // content of PT_INTERP without its NUL; "" for none
	Raw    []byte // content of PT_INTERP as it is
	Notes  []byte // content of PT_GNU_PROPERTY
	BSS    uint64 // bytes in memory beyond those in the file
	NoLoad bool
	Pad    int // bytes appended to the file
	Vaddr  uint64
	Phnum  int // pad the program headers with PT_NULL up to this number
	Flags  uint32
	Edit   func(h []byte) // changes the finished file
}

// Constants of the ELF format.
const (
	PTLoad           = 1
	PTInterp         = 3
	PTGNUProperty    = 0x6474e553
	ntGNUProperty    = 5
	propX86ISANeeded = 0xc0008002
)

// segment is one program header.
type segment struct {
	typ, flags                            uint32
	offset, vaddr, filesz, memsz, aligned uint64
}

func roundUp(n, to uint64) uint64 { return (n + to - 1) &^ (to - 1) }

// Arches lists the architectures that ELF knows, sorted.
func Arches() []string { return slices.Sorted(maps.Keys(arches())) }

type arch struct {
	wide, big bool
	machine   uint16
	flags     uint32
	code      string
}

// Programs that exit at once: on arm64 mov x0, #0; mov x8, #93; svc #0.
const (
	exitAMD64 = "\x31\xff\xb8\x3c\x00\x00\x00\x0f\x05"
	exit386   = "\x31\xdb\xb8\x01\x00\x00\x00\xcd\x80"
	exitARM64 = "\x00\x00\x80\xd2\xa8\x0b\x80\xd2\x01\x00\x00\xd4"
	noProgram = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)

func arches() map[string]arch {
	return map[string]arch{
		"":         {true, false, 62, 0, exitAMD64},
		"amd64":    {true, false, 62, 0, exitAMD64},
		"386":      {false, false, 3, 0, exit386},
		"x32":      {false, false, 62, 0, exitAMD64},
		"arm64":    {true, false, 183, 0, exitARM64},
		"arm64be":  {true, true, 183, 0, exitARM64},
		"arm":      {false, false, 40, 0x05000200, noProgram},
		"armbe":    {false, true, 40, 0x05800200, noProgram},
		"armoabi":  {false, false, 40, 0, noProgram},
		"riscv64":  {true, false, 243, 5, noProgram},
		"s390x":    {true, true, 22, 0, noProgram},
		"ppc64le":  {true, false, 21, 2, noProgram},
		"ppc64":    {true, true, 21, 1, noProgram},
		"mips":     {false, true, 8, 0x70001005, noProgram},
		"mipsle":   {false, false, 8, 0x70001005, noProgram},
		"mips64":   {true, true, 8, 0x80000007, noProgram},
		"loong64":  {true, false, 258, 0x43, noProgram},
		"mips64le": {true, false, 8, 0x80000007, noProgram},
		"mipsn32":  {false, true, 8, 0x80000027, noProgram},
		"riscv32":  {false, false, 243, 5, noProgram},
		"loong32":  {false, false, 258, 0x43, noProgram},
		"s390":     {false, true, 22, 0, noProgram},
		"ppc":      {false, true, 20, 0, noProgram},
		"sparc64":  {true, true, 43, 0, noProgram},
		"alpha":    {true, false, 0x9026, 0, noProgram},
		"m68k":     {false, true, 4, 0, noProgram},
		"sh4":      {false, false, 42, 9, noProgram},
		"486":      {false, false, 6, 0, exit386},
		"armwide":  {true, false, 40, 0x05000400, noProgram},
		"ilp32":    {false, false, 183, 0, exitARM64},
		"ia64":     {true, false, 50, 0, noProgram},
		"none":     {true, false, 0, 0, noProgram},
		"wide386":  {true, false, 3, 0, exit386},
	}
}

// Bytes builds the file.
func (s ELF) Bytes() []byte {
	a := arches()[s.Arch]
	var o binary.ByteOrder = binary.LittleEndian
	if a.big {
		o = binary.BigEndian
	}
	head, ph := 52, 32
	if a.wide {
		head, ph = 64, 56
	}
	interp := s.Raw
	if s.Interp != "" {
		interp = append([]byte(s.Interp), 0)
	}
	var segs []segment
	if interp != nil {
		segs = append(segs, segment{typ: PTInterp, flags: 4})
	}
	if !s.NoLoad {
		segs = append(segs, segment{typ: PTLoad, flags: 7, aligned: 4096})
	}
	if s.Notes != nil {
		segs = append(segs, segment{typ: PTGNUProperty, flags: 4, aligned: 8})
	}
	for len(segs) < s.Phnum {
		segs = append(segs, segment{})
	}
	base := s.Vaddr
	typ := s.Type
	if typ == 0 {
		typ = 2
	}
	if base == 0 && typ == 2 {
		base = 0x400000
	}
	code := uint64(head + ph*len(segs))
	code = roundUp(code, 8)
	interpAt := roundUp(code+uint64(len(a.code)), 8)
	notesAt := roundUp(interpAt+uint64(len(interp)), 8)
	size := notesAt + uint64(len(s.Notes)) + uint64(s.Pad)
	b := make([]byte, size)
	copy(b, []byte{0x7f, 'E', 'L', 'F', 1, 1, 1})
	if a.wide {
		b[4] = 2
	}
	if a.big {
		b[5] = 2
	}
	flags := a.flags
	if s.Flags != 0 {
		flags = s.Flags
	}
	o.PutUint16(b[16:], typ)
	o.PutUint16(b[18:], a.machine)
	o.PutUint32(b[20:], 1)
	if a.wide {
		o.PutUint64(b[24:], base+code)
		o.PutUint64(b[32:], uint64(head))
		o.PutUint32(b[48:], flags)
		o.PutUint16(b[52:], uint16(head))
		o.PutUint16(b[54:], uint16(ph))
		o.PutUint16(b[56:], uint16(len(segs)))
	} else {
		o.PutUint32(b[24:], uint32(base+code))
		o.PutUint32(b[28:], uint32(head))
		o.PutUint32(b[36:], flags)
		o.PutUint16(b[40:], uint16(head))
		o.PutUint16(b[42:], uint16(ph))
		o.PutUint16(b[44:], uint16(len(segs)))
	}
	for i, g := range segs {
		switch g.typ {
		case PTInterp:
			g.offset, g.filesz = interpAt, uint64(len(interp))
		case PTGNUProperty:
			g.offset, g.filesz = notesAt, uint64(len(s.Notes))
		case PTLoad:
			g.filesz = size
		}
		if g.typ != 0 {
			g.vaddr, g.memsz = base+g.offset, g.filesz
		}
		if g.typ == PTLoad {
			g.memsz += s.BSS
		}
		putSegment(b[head+i*ph:], o, a.wide, g)
	}
	copy(b[code:], a.code)
	copy(b[interpAt:], interp)
	copy(b[notesAt:], s.Notes)
	if s.Edit != nil {
		s.Edit(b)
	}
	return b
}

func putSegment(b []byte, o binary.ByteOrder, wide bool, g segment) {
	o.PutUint32(b, g.typ)
	if wide {
		o.PutUint32(b[4:], g.flags)
		for i, v := range []uint64{g.offset, g.vaddr, g.vaddr, g.filesz, g.memsz, g.aligned} {
			o.PutUint64(b[8+8*i:], v)
		}
		return
	}
	for i, v := range []uint64{g.offset, g.vaddr, g.vaddr, g.filesz, g.memsz, uint64(g.flags), g.aligned} {
		o.PutUint32(b[4+4*i:], uint32(v))
	}
}

// ISANote is a note with GNU_PROPERTY_X86_ISA_1_NEEDED.
func ISANote(bits uint32) []byte {
	o := binary.LittleEndian
	b := make([]byte, 32)
	o.PutUint32(b, 4)
	o.PutUint32(b[4:], 16)
	o.PutUint32(b[8:], ntGNUProperty)
	copy(b[12:], "GNU\x00")
	o.PutUint32(b[16:], propX86ISANeeded)
	o.PutUint32(b[20:], 4)
	o.PutUint32(b[24:], bits)
	return b
}
