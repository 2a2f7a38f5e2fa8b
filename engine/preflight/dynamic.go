package preflight

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// Entries of the dynamic section (elf.h).
const (
	ptDynamic = 2

	dtNeeded  = 1
	dtStrtab  = 5
	dtSoname  = 14
	dtRpath   = 15
	dtRunpath = 29
	dtFlags1  = 0x6ffffffb

	df1NoDefLib = 0x800
)

// Bounds on what is read of a dynamic section.
const (
	maxDynamic = 64 << 10 // bytes of the section
	maxNeeded  = 512      // libraries that one file asks for
)

// dynamic is what a loader reads of a file to find its libraries.
type dynamic struct {
	needed         []string
	soname         string
	rpath, runpath string
	noDefault      bool // DF_1_NODEFLIB
	versions
	symbols
}

// dynamic reads the dynamic section; the zero value is of a file without.
func (p *program) dynamic() (d dynamic, err error) {
	raw, err := p.rawDynamic()
	if err != nil || len(raw) == 0 {
		return d, err
	}
	names := map[uint64]*string{dtSoname: &d.soname, dtRpath: &d.rpath, dtRunpath: &d.runpath}
	tables := map[uint64]uint64{}
	for _, e := range raw {
		tables[e.tag] = e.value
	}
	strtab := tables[dtStrtab]
	for _, e := range raw {
		var s string
		switch into, ok := names[e.tag]; {
		case ok:
			*into, err = p.text(strtab + e.value)
		case e.tag == dtNeeded:
			s, err = p.text(strtab + e.value)
			d.needed = append(d.needed, s)
		case e.tag == dtFlags1:
			d.noDefault = e.value&df1NoDefLib != 0
		}
		if err != nil {
			return d, err
		}
		if len(d.needed) > maxNeeded {
			return d, fmt.Errorf("it asks for more than %d libraries", maxNeeded)
		}
	}
	d.versions, d.symbols = p.versions(tables), p.symbols(tables)
	return d, nil
}

type dynEntry struct{ tag, value uint64 }

func (p *program) rawDynamic() ([]dynEntry, error) {
	s, ok := p.find(ptDynamic)
	switch {
	case !ok:
		return nil, nil
	case s.filesz > maxDynamic:
		return nil, fmt.Errorf("its dynamic section has %d bytes", s.filesz)
	}
	b, err := p.read(s.offset, int(s.filesz))
	return p.entries(b), err
}

// entries cuts a dynamic section up, as far as its end mark.
func (p *program) entries(b []byte) (list []dynEntry) {
	for size := p.sized(8, 16); len(b) >= size && p.word(b) != 0; b = b[size:] {
		list = append(list, dynEntry{p.word(b), p.word(b[size/2:])})
	}
	return list
}

// text reads a string at an address.
func (p *program) text(addr uint64) (string, error) {
	b, err := p.mappedAt(addr, pathMax)
	if err != nil {
		return "", err
	}
	if text, _, ok := cString(b); ok {
		return text, nil
	}
	return "", errors.New("a name in its dynamic section has no end")
}

// mappedAt reads up to n bytes of the file at an address, at least one.
func (p *program) mappedAt(addr, n uint64) ([]byte, error) {
	for _, s := range p.loads {
		if addr < s.vaddr || addr-s.vaddr >= s.filesz || s.offset > 1<<62 {
			continue
		}
		return readAt(p.file, int64(s.offset+addr-s.vaddr), int(min(n, s.filesz-(addr-s.vaddr))))
	}
	return nil, errors.New("what its dynamic section points to lies outside the file")
}

// searchPath cuts a list of directories up, at any of the separators, of which ":"
// is one, and puts in what stands for the directory of the file that has it. empty
// is what an empty element means, "" for nothing.
func searchPath(list, separators, empty, origin string) (dirs []string) {
	if list == "" {
		return nil
	}
	for _, s := range separators {
		list = strings.ReplaceAll(list, string(s), ":")
	}
	for d := range strings.SplitSeq(list, ":") {
		if d = cmp.Or(d, empty); d != "" {
			dirs = append(dirs, expand(d, origin))
		}
	}
	return dirs
}

// expand puts in the directory of a file for $ORIGIN.
func expand(name, origin string) string {
	return strings.NewReplacer("${ORIGIN}", origin, "$ORIGIN", origin).Replace(name)
}
