package preflight

import "encoding/binary"

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
