package preflight

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// armFile is an arm program with a section of attributes that names the value
// of Tag_CPU_arch.
func armFile(cpuArch byte) []byte {
	b := elfSpec{Arch: "arm"}.Bytes()
	o := binary.LittleEndian
	tags := []byte{tagCPUName, '7', '-', 'A', 0, tagCPUArch, cpuArch, 7, 'A', 8, 1}
	sub := append([]byte{tagFile, byte(5 + len(tags)), 0, 0, 0}, tags...)
	body := append([]byte("aeabi\x00"), sub...)
	attr := append([]byte{'A', byte(4 + len(body)), 0, 0, 0}, body...)
	at := len(b)
	b = append(b, attr...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	table := len(b)
	b = append(b, make([]byte, 80)...)
	o.PutUint32(b[table+40+4:], shtARMAttributes)
	o.PutUint32(b[table+40+16:], uint32(at))
	o.PutUint32(b[table+40+20:], uint32(len(attr)))
	o.PutUint32(b[32:], uint32(table))
	o.PutUint16(b[46:], 40)
	o.PutUint16(b[48:], 2)
	return b
}

// TestArchOfAttributes reads Tag_CPU_arch wherever it stands, and nothing beside it:
// by the ABI's addenda a tag has a number, or text if it is odd and above 32, or both
// if it is 32.
func TestArchOfAttributes(t *testing.T) {
	o := binary.LittleEndian
	part := func(kind byte, body []byte) []byte {
		return append(o.AppendUint32([]byte{kind}, uint32(5+len(body))), body...)
	}
	vendor := func(name string, body []byte) []byte {
		body = append([]byte(name+"\x00"), body...)
		return append(o.AppendUint32(nil, uint32(4+len(body))), body...)
	}
	section := func(parts ...[]byte) []byte { return slices.Concat(append([][]byte{{'A'}}, parts...)...) }
	arch := []byte{tagCPUArch, 10}
	tags := func(before ...byte) []byte { return section(vendor("aeabi", part(tagFile, append(before, arch...)))) }
	for _, tt := range []struct {
		name string
		b    []byte
		want int
	}{
		{"alone", tags(), 10},
		{"behind a number", tags(8, 1), 10},
		{"behind a long number", tags(8, 0x80, 0x80, 1), 10},
		{"behind a name", tags(tagCPUName, '7', 0), 10},
		{"behind a raw name", tags(tagCPURawName, 6, 6, 0), 10},
		{"behind no name", tags(tagCPUName, 0), 10},
		{"behind number and text", tags(tagCompatibility, 1, 'g', 'n', 'u', 0), 10},
		{"behind odd text", tags(65, 6, 99, 0), 10},
		{"behind odd text of a long tag", tags(0xc1, 1, 't', 0), 10},
		{"behind several", tags(tagCPUName, 'x', 0, 64, 1, 65, 'y', 0), 10},
		{"behind the least odd text", tags(33, 6, 99, 0), 10},
		{"behind the conformance", tags(tagConformance, '2', 0), 10},
		{"behind an odd number below 32", tags(31, 5), 10},
		{"behind an even number above 32", tags(34, 5), 10},
		{"text without an end", section(vendor("aeabi", part(tagFile, []byte{tagCPUName, 'x', 'y'}))), -1},
		{"odd text without an end", section(vendor("aeabi", part(tagFile, []byte{65, 'x', 'y'}))), -1},
		{"half a tag", section(vendor("aeabi", part(tagFile, []byte{0x81}))), -1},
		{"nothing", nil, -1},
		{"the letter alone", []byte("A"), -1},
		{"another letter", append([]byte("B"), tags()[1:]...), -1},
		{"another vendor first", section(vendor("gnu", []byte{1, 2}), vendor("aeabi", part(tagFile, arch))), 10},
		{"another vendor alone", section(vendor("gnu", part(tagFile, arch))), -1},
		{"a part about sections first", section(vendor("aeabi", slices.Concat(part(2, []byte{tagCPUArch, 3}), part(tagFile, arch)))), 10},
		{"an empty part first", section(vendor("aeabi", slices.Concat(part(2, nil), part(tagFile, arch)))), 10},
		{"no vendor's name", section(o.AppendUint32(nil, 4)), -1},
		{"a length of less than itself", section(o.AppendUint32(nil, 3), vendor("aeabi", part(tagFile, arch))), -1},
		{"a part of less than its head", section(vendor("aeabi", append(o.AppendUint32([]byte{2}, 4), part(tagFile, arch)...))), -1},
		{"a part of its head alone", section(vendor("aeabi", append(o.AppendUint32([]byte{2}, 5), part(tagFile, arch)...))), 10},
		{"longer than the section", slices.Concat([]byte{'A'}, o.AppendUint32(nil, 1000), []byte("aeabi\x00"), part(tagFile, arch)), 10},
		{"no tag of it", section(vendor("aeabi", part(tagFile, []byte{8, 1}))), -1},
		{"a tag without a value", section(vendor("aeabi", part(tagFile, []byte{tagCPUArch}))), -1},
		{"a number without an end before it", tags(8, 0x80), -1},
		{"a large value", section(vendor("aeabi", part(tagFile, []byte{tagCPUArch, 0xff, 0xff, 3}))), 1<<16 - 1},
		{"too large a value", section(vendor("aeabi", part(tagFile, []byte{tagCPUArch, 0x80, 0x80, 4}))), -1},
	} {
		if got := cpuArch(tt.b, o); got != tt.want {
			t.Errorf("%s: %d, not %d", tt.name, got, tt.want)
		}
	}
	if got := cpuArch([]byte("A"+strings.Repeat("\xff", 64)), o); got != -1 {
		t.Errorf("of nonsense: %d", got)
	}
}

// TestLevelOfArch is the table of Tag_CPU_arch.
func TestLevelOfArch(t *testing.T) {
	for arch, want := range map[int]int{-1: 0, 0: 5, 3: 5, 5: 5, 6: 6, 9: 6, 10: 7, 11: 6, 12: 6, 13: 7, 14: 8, 17: 8} {
		if got := archLevel(arch); got != want {
			t.Errorf("%d is level %d, not %d", arch, got, want)
		}
	}
	for level, file := range map[int][]byte{5: armFile(5), 7: armFile(10), 8: armFile(14), 0: elfSpec{Arch: "arm"}.Bytes()} {
		if got := armLevel(image{head: file[:min(len(file), 256)], file: strings.NewReader(string(file))}); got != level {
			t.Errorf("a file of level %d is of %d", level, got)
		}
	}
}
