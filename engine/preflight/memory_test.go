package preflight

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"

	"github.com/mpull/mpull/engine/host"
)

// A layout is how the files of a machine have their tables.
type layout struct {
	name    string
	machine uint16
	wide    bool // 64 bits
	order   interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}
}

func layouts() []layout {
	return []layout{
		{"amd64", 62, true, binary.LittleEndian}, {"386", 3, false, binary.LittleEndian},
		{"s390x", 22, true, binary.BigEndian}, {"s390", 22, false, binary.BigEndian}, {"ppc64", 21, true, binary.BigEndian},
	}
}

// A memory is what a file has for its loader: texts and tables, one behind the other
// at addresses from textAt on.
type memory struct {
	layout
	b []byte
}

// textAt is where dynamicFile puts its text.
func textAt() uint64 { return uint64(len(elfSpec{Type: 3, Interp: "/ld", Phnum: 4}.Bytes())) }

func newMemory(l layout) *memory { return &memory{l, []byte{0}} }

// put adds a table, and tells its address.
func (m *memory) put(b []byte) uint64 {
	m.b = append(m.b, b...)
	return textAt() + uint64(len(m.b)-len(b))
}

// text adds a name, and tells its place in the table of them, which is all of memory.
func (m *memory) text(s string) uint64 {
	if s == "" {
		return 0
	}
	return m.put([]byte(s+"\x00")) - textAt()
}

func (m *memory) halves(n ...uint64) (b []byte) {
	for _, n := range n {
		b = m.order.AppendUint16(b, uint16(n))
	}
	return b
}

func (m *memory) words(n ...uint64) (b []byte) {
	for _, n := range n {
		b = m.order.AppendUint32(b, uint32(n))
	}
	return b
}

// addresses are numbers as wide as the machine's.
func (m *memory) addresses(n ...uint64) (b []byte) {
	for _, n := range n {
		if m.wide {
			b = m.order.AppendUint64(b, n)
		} else {
			b = m.order.AppendUint32(b, uint32(n))
		}
	}
	return b
}

// program is a file that maps this memory, at another place than its address, beside
// another segment; behind it the file goes on.
func (m *memory) program() *program {
	const at = 0x30
	file := slices.Concat(bytes.Repeat([]byte{'<'}, at), m.b, bytes.Repeat([]byte{'>'}, pathMax), []byte{0})
	p := &program{loader: host.Loader{Class64: m.wide}, order: m.order, loads: []segment{
		{typ: ptLoad, vaddr: 0x10, filesz: 0x20}, {typ: ptLoad, offset: at, vaddr: textAt(), filesz: uint64(len(m.b))},
	}}
	p.file, p.size = bytes.NewReader(file), int64(len(file))
	p.header.Machine = m.machine
	return p
}

// sparse is a file of zeros but for what lies at some places.
type sparse map[int64][]byte

func (s sparse) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	for at, part := range s {
		switch {
		case at >= off && at-off < int64(len(b)):
			copy(b[at-off:], part)
		case at < off && off-at < int64(len(part)):
			copy(b, part[off-at:])
		}
	}
	return len(b), nil
}

var _ io.ReaderAt = sparse{}

// symbol is one of a table.
type symbol struct {
	name string
	bind byte
	here bool // it is defined
}

// table adds symbols and tells the address of their table.
func (m *memory) table(list ...symbol) uint64 {
	var b []byte
	for _, s := range list {
		name, section := m.text(s.name), uint64(0)
		if s.here {
			section = 7
		}
		info, zero := []byte{s.bind<<4 | 2, 0}, m.addresses(0, 0)
		if m.wide {
			b = append(b, slices.Concat(m.words(name), info, m.halves(section), zero)...)
		} else {
			b = append(b, slices.Concat(m.words(name), zero, info, m.halves(section))...)
		}
	}
	return m.put(b)
}

// relocations name symbols by their places in the table.
func (m *memory) relocations(addend bool, of ...uint64) (b []byte) {
	for _, i := range of {
		if m.wide {
			b = append(b, m.addresses(0x999900, i<<32|6)...)
		} else {
			b = append(b, m.addresses(0x999900, i<<8|6)...)
		}
		if addend {
			b = append(b, m.addresses(0x5500)...)
		}
	}
	return b
}

// gnuHash lists symbols from first on, in chains of such lengths, behind as many
// words of the filter.
func (m *memory) gnuHash(first uint64, filter int, chains ...int) []byte {
	var starts, hashes []uint64
	for _, n := range chains {
		starts = append(starts, first+uint64(len(hashes)))
		for range n - 1 {
			hashes = append(hashes, 2)
		}
		hashes = append(hashes, 3)
	}
	slices.Reverse(starts)
	starts = append(starts, 0) // an empty one
	b := m.words(uint64(len(starts)), first, uint64(filter), 6)
	for range filter {
		b = append(b, m.addresses(1<<64-1)...)
	}
	return slices.Concat(b, m.words(starts...), m.words(hashes...))
}

// sysvHash is a table of n symbols, in one chain.
func (m *memory) sysvHash(n int) []byte {
	if m.machine == 22 && m.wide {
		return m.addresses(1, uint64(n), 0)
	}
	return m.words(1, uint64(n), 0)
}

// wanted is a version of symbols that is asked of a library.
type wanted struct {
	file, name string
	weak       bool
}

func hashOf(name string) uint64 { return uint64(crc32.ChecksumIEEE([]byte(name))) }

// wants adds versions that are asked for, each of a library alone or, where the file is
// "", of the one before.
func (m *memory) wants(list ...wanted) uint64 {
	var b []byte
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].file == "" {
			n++
		}
		next := uint64(16 + 4 + 16*n)
		if n == len(list) {
			next = 0
		}
		b = slices.Concat(b, m.halves(1, uint64(n)), m.words(m.text(list[0].file), 20, next), []byte("gap."))
		for i, w := range list[:n] {
			flags, next := uint64(4), uint64(16)
			if w.weak {
				flags |= verFlagWeak
			}
			if i == n-1 {
				next = 0
			}
			b = append(b, slices.Concat(m.words(hashOf(w.name)), m.halves(flags, 2), m.words(m.text(w.name), next))...)
		}
		list = list[n:]
	}
	return m.put(b)
}

// defines adds versions that a library has.
func (m *memory) defines(names ...string) uint64 {
	var b []byte
	for i, name := range names {
		next := uint64(32)
		if i == len(names)-1 {
			next = 0
		}
		b = slices.Concat(b, m.halves(1, 0, uint64(i+1), 1), m.words(hashOf(name), 24, next), []byte("gap."), m.words(m.text(name), 0))
	}
	return m.put(b)
}

// A dso is a file of amd64 with a dynamic section: a program for /ld, or a library.
type dso struct {
	needs                  []string
	soname, rpath, runpath string
	asks, calls, offers    []string // symbols
	wants                  []wanted // versions
	has                    []string
	versym                 bool
	dyn                    []uint64 // more entries
}

func (d dso) bytes() []byte {
	m := newMemory(layouts()[0])
	dyn := d.dyn
	for _, n := range d.needs {
		dyn = append(dyn, dtNeeded, m.text(n))
	}
	for tag, s := range map[uint64]string{dtSoname: d.soname, dtRpath: d.rpath, dtRunpath: d.runpath} {
		if s != "" {
			dyn = append(dyn, tag, m.text(s))
		}
	}
	if len(d.wants) > 0 {
		dyn = append(dyn, dtVerneed, m.wants(d.wants...))
	}
	if d.has != nil {
		dyn = append(dyn, dtVerdef, m.defines(d.has...))
	}
	if d.versym {
		dyn = append(dyn, dtVersym, textAt())
	}
	list, asks, calls := []symbol{{}}, []uint64{}, []uint64{}
	for _, n := range d.asks {
		asks = append(asks, uint64(len(list)))
		list = append(list, symbol{n, bindGlobal, false})
	}
	for _, n := range d.calls {
		calls = append(calls, uint64(len(list)))
		list = append(list, symbol{n, bindGlobal, false})
	}
	first := uint64(len(list))
	var chains []int
	for _, n := range d.offers {
		list, chains = append(list, symbol{n, bindGlobal, true}), append(chains, 1)
	}
	dyn = append(dyn, dtSymtab, m.table(list...), dtGNUHash, m.put(m.gnuHash(first, 1, chains...)))
	if adds := m.relocations(true, asks...); len(adds) > 0 {
		dyn = append(dyn, dtRela, m.put(adds), dtRelasz, uint64(len(adds)))
	}
	if plt := m.relocations(true, calls...); len(plt) > 0 {
		dyn = append(dyn, dtJmprel, m.put(plt), dtPltrelsz, uint64(len(plt)), dtPltrel, dtRela)
	}
	return dynamicFile(string(m.b[1:]), append(dyn, dtStrsz, uint64(len(m.b)))...)
}

// The loaders of the two C libraries, as far as they can be told apart; the older glibc
// knows no directories for CPU levels.
const (
	likeOldGlibc = "glibc-ld.so.cache\x00/lib/\x00/usr/lib/\x00"
	likeGlibc    = likeOldGlibc + "glibc-hwcaps\x00" + loaderRefusal + "\x00"
	likeMusl     = "/etc/ld-musl-x86_64.path\x00"
	likeNone     = "a loader\x00"
)

// loaderLike is a loader with such text in it, that has these symbols.
func loaderLike(text string, offers ...string) []byte {
	return append(dso{soname: "ld.so", offers: offers}.bytes(), text...)
}
