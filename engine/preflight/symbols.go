package preflight

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Entries of the dynamic section about symbols and relocations (elf.h).
const (
	dtHash     = 4
	dtSymtab   = 6
	dtRela     = 7
	dtRelasz   = 8
	dtStrsz    = 10
	dtRel      = 17
	dtRelsz    = 18
	dtPltrelsz = 2
	dtPltrel   = 20
	dtJmprel   = 23
	dtBindNow  = 24
	dtFlags    = 30
	dtGNUHash  = 0x6ffffef5

	dfBindNow = 8
	df1Now    = 1

	bindLocal, bindGlobal = 0, 1
)

// Bounds on what is read of the symbols of one file. The tables of a file that has
// more are not looked at.
const (
	maxNames       = 16 << 20 // bytes of names
	maxSymbols     = 1 << 20
	maxChain       = 1 << 12  // symbols with one remainder of their hashes
	maxRelocations = 32 << 20 // bytes
)

// symbols are the names that a file asks others for when it is loaded, and those
// that it has for others.
type symbols struct {
	eager  []string // looked up before the program starts
	lazy   []string // functions looked up when they are called, if the loader does that
	offers []string
}

var errManySymbols = errors.New("its tables of symbols are too long, or make no sense")

// symbolTable is the table of symbols of one file.
type symbolTable struct {
	*program
	at      uint64 // its address
	names   string
	size    uint64 // of an entry
	entries []byte // the first of them, read at once
}

// symbols reads what the relocations of a file name, and what its hash table
// lists. A file whose tables make no sense names nothing: whatever its loader
// makes of it is not foretold.
func (p *program) symbols(tables map[uint64]uint64) (s symbols) {
	text, err := p.mappedAt(tables[dtStrtab], min(tables[dtStrsz], maxNames))
	if err != nil || tables[dtSymtab] == 0 {
		return s
	}
	t := symbolTable{program: p, at: tables[dtSymtab], names: string(text), size: uint64(p.sized(16, 24))}
	_, now := tables[dtBindNow]
	eager := now || tables[dtFlags]&dfBindNow != 0 || tables[dtFlags1]&df1Now != 0
	addend := tables[dtPltrel] == dtRela
	asked := map[uint64]bool{} // index, and whether it is only for calls
	err = errors.Join(
		t.relocations(tables[dtJmprel], tables[dtPltrelsz], addend, func(i uint64) { asked[i] = !eager }),
		t.relocations(tables[dtRela], tables[dtRelasz], true, func(i uint64) { asked[i] = false }),
		t.relocations(tables[dtRel], tables[dtRelsz], false, func(i uint64) { asked[i] = false }))
	if err != nil {
		return symbols{}
	}
	first, last := t.listed(tables)
	if t.entries, err = t.mappedAt(t.at, last*t.size); err != nil {
		return symbols{}
	}
	for _, i := range slices.Sorted(maps.Keys(asked)) {
		call := asked[i]
		switch name, undefined, bind := t.symbol(i); {
		case name == "" || !undefined || bind != bindGlobal: // a weak one may be missing
		case call:
			s.lazy = append(s.lazy, name)
		default:
			s.eager = append(s.eager, name)
		}
	}
	for i := first; i < last; i++ {
		if name, undefined, bind := t.symbol(i); name != "" && !undefined && bind != bindLocal {
			s.offers = append(s.offers, name)
		}
	}
	return s
}

// relocations hands over the symbols of the relocations at an address.
func (t symbolTable) relocations(addr, size uint64, addend bool, each func(uint64)) error {
	if addr == 0 || size == 0 {
		return nil
	}
	if size > maxRelocations {
		return errManySymbols
	}
	b, err := t.mappedAt(addr, size)
	if err != nil {
		return err
	}
	word := t.sized(4, 8)
	whole := 2 * word
	if addend {
		whole += word
	}
	for ; len(b) >= whole; b = b[whole:] {
		if i := t.word(b[word:]) >> t.sized(8, 32); i != 0 {
			each(i)
		}
	}
	return nil
}

// symbol reads one entry; of what cannot be read the name is "".
func (t symbolTable) symbol(i uint64) (name string, undefined bool, bind byte) {
	if i >= maxSymbols {
		return "", false, 0
	}
	var b []byte
	if i*t.size+t.size <= uint64(len(t.entries)) {
		b = t.entries[i*t.size:]
	} else if b, _ = t.mappedAt(t.at+i*t.size, t.size); uint64(len(b)) < t.size {
		return "", false, 0
	}
	at, info, section := uint64(t.order.Uint32(b)), b[12], t.order.Uint16(b[14:])
	if t.loader.Class64 {
		info, section = b[4], t.order.Uint16(b[6:])
	}
	if at < uint64(len(t.names)) {
		name, _, _ = strings.Cut(t.names[at:], "\x00")
	}
	return name, section == 0, info >> 4
}

// listed is the range of entries in which others look symbols up: what the hash
// table has.
func (t symbolTable) listed(tables map[uint64]uint64) (first, last uint64) {
	if addr := tables[dtGNUHash]; addr != 0 {
		return t.gnuHash(addr)
	}
	width := uint64(4)
	if t.header.Machine == 22 && t.loader.Class64 {
		width = 8 // of s390x
	}
	b, err := t.mappedAt(tables[dtHash], 2*width)
	if err != nil || uint64(len(b)) < 2*width {
		return 0, 0
	}
	n := uint64(t.order.Uint32(b[width:]))
	if width == 8 {
		n = t.order.Uint64(b[width:])
	}
	return 0, min(n, maxSymbols)
}

// gnuHash finds the entries of a DT_GNU_HASH table: from its first to the end of
// the chain that begins last. One that makes no sense has none.
func (t symbolTable) gnuHash(addr uint64) (first, last uint64) {
	b, err := t.mappedAt(addr, 16)
	if err != nil || len(b) < 16 {
		return 0, 0
	}
	buckets, bloom := uint64(t.order.Uint32(b)), uint64(t.order.Uint32(b[8:]))
	first = uint64(t.order.Uint32(b[4:]))
	if buckets > maxSymbols || bloom > maxSymbols {
		return 0, 0
	}
	addr += 16 + bloom*uint64(t.sized(4, 8))
	if b, err = t.mappedAt(addr, buckets*4); err != nil || uint64(len(b)) < buckets*4 {
		return 0, 0
	}
	for ; len(b) > 0; b = b[4:] {
		last = max(last, uint64(t.order.Uint32(b)))
	}
	if last < first {
		return first, first // an empty one
	}
	b, _ = t.mappedAt(addr+buckets*4+(last-first)*4, maxChain*4)
	for ; len(b) >= 4; b = b[4:] {
		if last++; t.order.Uint32(b)&1 != 0 {
			return first, min(last, maxSymbols)
		}
	}
	return 0, 0
}

// compareSymbols looks for what the files of a program ask for: musl looks all
// of it up before the program starts, glibc what is not only called.
func (k *linking) compareSymbols() *fault {
	all := append(slices.Clone(k.order), k.own)
	missing := map[string]bool{}
	for _, o := range all {
		for _, name := range slices.Concat(o.dyn.eager, o.dyn.lazy) {
			missing[name] = true
		}
	}
	for _, o := range all {
		for _, name := range o.dyn.offers {
			delete(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	at, name, first := firstOf(all, missing, !k.loader.lazy || k.environ("LD_BIND_NOW") != "")
	switch {
	case first && k.preloads():
		return &fault{at: at, why: "needs the symbol " + quote(name) + ", which none of its libraries has; whether what LD_PRELOAD or /etc/ld.so.preload names has it is not looked at"}
	case first:
		return &fault{errno: errNoSymbol, at: at, why: "needs the symbol " + quote(name) + ", which none of its libraries has"}
	case k.out.odd == "" && !k.preloads():
		k.out.odd = "it ends when it calls " + quote(name) + ", which " + at + " needs and none of its libraries has"
	}
	return nil
}

// firstOf is the first symbol that is missing, and whether it is one that is
// looked up before the program starts; those that are come first.
func firstOf(all []*object, missing map[string]bool, atOnce bool) (at, name string, early bool) {
	for _, early := range []bool{true, false} {
		for _, o := range all {
			names := o.dyn.lazy
			if early {
				names = o.dyn.eager
			}
			for _, name := range names {
				if missing[name] {
					return o.path, name, early || atOnce
				}
			}
		}
	}
	return "", "", false
}

// preloads reports whether the loader is told to load more than is asked for.
func (k *linking) preloads() bool {
	return k.environ("LD_PRELOAD") != "" || k.loader.lazy && len(strings.TrimSpace(string(k.small("/etc/ld.so.preload", maxPathFile)))) > 0
}
