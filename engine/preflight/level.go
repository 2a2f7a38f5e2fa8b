package preflight

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// levelFault is a CPU that lacks what a program asks for.
type levelFault struct {
	reason  string
	exit    int
	unknown bool // the host does not say its level
}

// cpuLevel compares the level that the program asks for with the host's. It
// returns nil when the level suffices or nothing is asked for. The x86 note is
// read by glibc's loader alone, which asks all files but itself: the kernel,
// musl and static programs go ahead until an instruction is missing, if ever.
func (l *loading) cpuLevel(p, ld *program) *levelFault {
	need := p.level()
	if need == 0 {
		return nil
	}
	l.out.levelled = true
	if f := l.lacks(p, need); f == nil || !p.x86() || ld != nil && ld.refusesLevels() {
		return f
	}
	l.out.odd = fmt.Sprintf("its program asks for CPU level %s, more than is known of this CPU; nothing compares that, and it may meet an illegal instruction", levelName(need))
	return nil
}

// lacks says that the host does not have the level that a file of a program
// asks for.
func (l *loading) lacks(p *program, need int) *levelFault {
	have := l.hostLevel(p)
	asked := fmt.Sprintf("%s asks for CPU level %s", p.id.path, levelName(need))
	l.note("%s, the host has v%d", asked, have)
	switch {
	case have >= need:
		return nil
	case have == 0:
		return &levelFault{reason: asked + ", and the level of the host is not known", unknown: true}
	case p.x86():
		return &levelFault{reason: fmt.Sprintf("%s, the CPU has v%d: the loader ends with %q", asked, have, loaderRefusal), exit: exitNotFound}
	}
	return &levelFault{reason: fmt.Sprintf("%s, the CPU has v%d", asked, have), exit: exitIllegal}
}

// levelName is a level as people write it.
func levelName(n int) string {
	if n == unknownLevel {
		return "higher than v4"
	}
	return fmt.Sprintf("v%d", n)
}

// hostLevel is the host's level for programs of p's architecture, 0 when it is
// not known. A CPU that runs arm programs on arm64 is an ARMv8.
func (l *loading) hostLevel(p *program) int {
	if l.host.Platform.Architecture == "arm64" && !p.loader.Class64 {
		return 8
	}
	return l.host.Platform.Level()
}

// loaderRefusal is what glibc's loader prints before it exits with 127.
const loaderRefusal = "CPU ISA level is lower than required"

// refusesLevels reports whether the loader compares levels itself: glibc's
// does, since 2.33, and then carries the text.
func (p *program) refusesLevels() bool {
	const limit = 4 << 20
	b, err := readAt(p.file, 0, int(min(p.size, limit)))
	return err == nil && bytes.Contains(b, []byte(loaderRefusal))
}

// level is the CPU level that the file asks for, 0 for none.
func (p *program) level() int {
	switch {
	case p.x86():
		return p.x86Level()
	case p.header.Machine == 40:
		return armLevel(p.image)
	}
	return 0
}

func (p *program) x86() bool { return p.header.Machine == 62 || p.header.Machine == 3 }

// Notes (x86-64 psABI, "Program Property").
const (
	maxNote          = 64 << 10
	ntGNUProperty    = 5
	propX86ISANeeded = 0xc0008002
)

// x86Level reads GNU_PROPERTY_X86_ISA_1_NEEDED: bit 0 is the baseline, bits 1
// to 3 are v2 to v4.
func (p *program) x86Level() int {
	for _, typ := range []uint32{ptGNUProperty, ptNote} {
		for _, s := range p.segs {
			if s.typ != typ || s.filesz > maxNote {
				continue
			}
			b, err := p.read(s.offset, int(s.filesz))
			if err != nil {
				continue
			}
			if needed, ok := isaNeeded(b, p.sized(4, 8)); ok {
				return highest(needed)
			}
		}
	}
	return 0
}

// unknownLevel stands for bits without a meaning yet, which no loader finds in
// its CPU.
const unknownLevel = 9

// highest is the level of the highest bit that is set.
func highest(set uint32) int {
	if level := bits.Len32(set); level <= 4 {
		return level
	}
	return unknownLevel
}

// isaNeeded looks through a segment of notes for the property.
func isaNeeded(b []byte, align int) (uint32, bool) {
	o := binary.LittleEndian
	for len(b) >= 12 {
		name, desc, typ := uint64(o.Uint32(b)), uint64(o.Uint32(b[4:])), o.Uint32(b[8:])
		from := 12 + roundUp(name, 4)
		from = roundUp(from, uint64(align))
		end := from + roundUp(desc, uint64(align))
		if from+desc > uint64(len(b)) {
			return 0, false
		}
		if typ == ntGNUProperty && name == 4 && string(b[12:16]) == "GNU\x00" {
			return property(b[from:from+desc], align)
		}
		b = b[min(end, uint64(len(b))):]
	}
	return 0, false
}

// property looks through the properties of one note.
func property(b []byte, align int) (uint32, bool) {
	o := binary.LittleEndian
	for len(b) >= 8 {
		typ, size := o.Uint32(b), uint64(o.Uint32(b[4:]))
		if size > uint64(len(b)-8) {
			return 0, false
		}
		if typ == propX86ISANeeded && size == 4 {
			return o.Uint32(b[8:]), true
		}
		b = b[min(8+roundUp(size, uint64(align)), uint64(len(b))):]
	}
	return 0, false
}

func roundUp(n, to uint64) uint64 { return (n + to - 1) &^ (to - 1) }

// cString cuts a C string off b.
func cString(b []byte) (s string, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return "", nil, false
	}
	return string(b[:i]), b[i+1:], true
}
