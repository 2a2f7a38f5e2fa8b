package preflight

import (
	"encoding/binary"

	"github.com/mpull/mpull/engine/host"
)

// Bounds on what is read for the attributes of an arm program.
const (
	maxSections   = 4096
	maxAttributes = 64 << 10

	shtARMAttributes = 0x70000003
)

// armLevel reads Tag_CPU_arch of the section .ARM.attributes of a 32-bit arm
// file (ABI for the Arm Architecture, "Build attributes"), as 5 to 8; 0 when
// the file does not say it.
func armLevel(i image) int {
	if i.file == nil || i.head[4] != host.ELFClass32 {
		return 0
	}
	o := host.ELFOrder(i.head)
	h, ok := host.DecodeELF(i.head, false, o)
	if !ok || h.Shentsize != 40 || h.Shnum == 0 || h.Shnum > maxSections {
		return 0
	}
	table, err := readAt(i.file, int64(h.Shoff), int(h.Shnum)*40)
	if err != nil {
		return 0
	}
	for ; len(table) >= 40; table = table[40:] {
		if o.Uint32(table[4:]) != shtARMAttributes {
			continue
		}
		size := min(o.Uint32(table[20:]), maxAttributes)
		b, err := readAt(i.file, int64(o.Uint32(table[16:])), int(size))
		if err != nil {
			return 0
		}
		return archLevel(cpuArch(b, o))
	}
	return 0
}

// archLevel maps the values of Tag_CPU_arch to levels of the platform
// specification. Everything before ARMv6 runs on v5.
func archLevel(arch int) int {
	switch {
	case arch < 0:
		return 0
	case arch <= 5:
		return 5
	case arch <= 9 || arch == 11 || arch == 12:
		return 6
	case arch == 10 || arch == 13:
		return 7
	}
	return 8
}

// Tags of the section (Addenda to the Arm ABI).
const (
	tagFile          = 1
	tagCPURawName    = 4
	tagCPUName       = 5
	tagCPUArch       = 6
	tagCompatibility = 32
	tagConformance   = 67
)

// cpuArch finds Tag_CPU_arch for the whole file in the public subsection
// "aeabi", or -1.
func cpuArch(b []byte, o binary.ByteOrder) int {
	if len(b) < 1 || b[0] != 'A' {
		return -1
	}
	for b = b[1:]; len(b) >= 4; {
		n := int(min(o.Uint32(b), uint32(len(b))))
		if n < 4 {
			return -1
		}
		vendor, body, ok := cString(b[4:n])
		if ok && vendor == "aeabi" {
			return fileArch(body, o)
		}
		b = b[n:]
	}
	return -1
}

// fileArch looks through the sub-subsections for the one about the file.
func fileArch(b []byte, o binary.ByteOrder) int {
	for len(b) >= 5 {
		n := int(min(o.Uint32(b[1:]), uint32(len(b))))
		if n < 5 {
			return -1
		}
		if b[0] == tagFile {
			return tagValue(b[5:n])
		}
		b = b[n:]
	}
	return -1
}

// tagValue walks tags and values. Values are ULEB128 numbers; some tags, and
// odd ones above 32, hold text.
func tagValue(b []byte) int {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return -1
		}
		b = b[n:]
		if tag == tagCPUArch {
			if v, n := binary.Uvarint(b); n > 0 && v < 1<<16 {
				return int(v)
			}
			return -1
		}
		if b = skipValue(tag, b); b == nil {
			return -1
		}
	}
	return -1
}

func skipValue(tag uint64, b []byte) []byte {
	text := tag == tagCPURawName || tag == tagCPUName || tag == tagConformance || tag > tagCompatibility && tag%2 == 1
	if tag == tagCompatibility || !text {
		_, n := binary.Uvarint(b)
		if n <= 0 {
			return nil
		}
		b = b[n:]
	}
	if text || tag == tagCompatibility {
		_, rest, ok := cString(b)
		if !ok {
			return nil
		}
		return rest
	}
	return b
}
