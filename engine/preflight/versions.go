package preflight

import (
	"errors"
	"fmt"
)

// Entries of the dynamic section about versions of symbols (elf.h).
const (
	dtVersym  = 0x6ffffff0
	dtVerdef  = 0x6ffffffc
	dtVerneed = 0x6ffffffe

	verFlagWeak = 2 // VER_FLG_WEAK: nothing is said where it is missing
	maxVersions = 8192
)

// versions are those of symbols that a file asks of others, and has itself.
type versions struct {
	asked []version
	has   map[string]uint32 // with their hashes; nil of a file without any, which fits all
	bare  bool              // its symbols have no versions, nor the mark that they have none
	err   error             // why they cannot be read; not all loaders do
}

// version is one that a file asks of the library file.
type version struct {
	file, name string
	hash       uint32
	weak       bool
}

// versions reads the tables of versions that a dynamic section points to.
func (p *program) versions(tables map[uint64]uint64) (v versions) {
	strtab, left := tables[dtStrtab], maxVersions
	v.err = p.chain(tables[dtVerneed], 16, 12, &left, func(need []byte, at uint64) error {
		file, err := p.text(strtab + uint64(p.order.Uint32(need[4:])))
		if err != nil {
			return err
		}
		return p.chain(at+uint64(p.order.Uint32(need[8:])), 16, 12, &left, func(aux []byte, _ uint64) error {
			name, err := p.text(strtab + uint64(p.order.Uint32(aux[8:])))
			v.asked = append(v.asked, version{file, name, p.order.Uint32(aux), p.order.Uint16(aux[4:])&verFlagWeak != 0})
			return err
		})
	})
	v.bare = tables[dtVersym] == 0
	if v.err != nil || tables[dtVerdef] == 0 {
		return v
	}
	v.has = map[string]uint32{}
	v.err = p.chain(tables[dtVerdef], 20, 16, &left, func(def []byte, at uint64) error {
		aux, err := p.mappedAt(at+uint64(p.order.Uint32(def[12:])), 4)
		if err != nil || len(aux) < 4 {
			return errors.Join(err, errShort)
		}
		name, err := p.text(strtab + uint64(p.order.Uint32(aux)))
		v.has[name] = p.order.Uint32(def[8:])
		return err
	})
	return v
}

// chain goes through records of size bytes, each of which has at next the
// distance to the one behind it. 0 is no address, and no distance.
func (p *program) chain(addr, size, next uint64, left *int, each func(b []byte, at uint64) error) error {
	for addr != 0 {
		if *left--; *left < 0 {
			return fmt.Errorf("it has more than %d versions of symbols", maxVersions)
		}
		b, err := p.mappedAt(addr, size)
		if err != nil || uint64(len(b)) < size {
			return errors.Join(err, errShort)
		}
		if err := each(b, addr); err != nil {
			return err
		}
		step := uint64(p.order.Uint32(b[next:]))
		if step == 0 {
			return nil
		}
		addr += step
	}
	return nil
}

// compareVersions is _dl_check_all_versions of glibc's elf/dl-version.c: what a
// file asks for must be there, unless the library has no versions at all.
func (k *linking) compareVersions() *fault {
	for _, of := range k.order {
		if of.dyn.err != nil {
			return k.unread(of.path, of.dyn.err)
		}
		for _, v := range of.dyn.asked {
			if lib := k.names[v.file]; lib != nil && !v.weak {
				if f := k.compareVersion(of, lib, v); f != nil {
					return f
				}
			}
		}
	}
	return nil
}

func (k *linking) compareVersion(of, lib *object, v version) *fault {
	switch hash, ok := lib.dyn.has[v.name]; {
	case lib.dyn.err != nil:
		return k.unread(lib.path, lib.dyn.err)
	case lib.dyn.has == nil && lib.dyn.bare: // the loader aborts if a symbol is found there (check_match of elf/dl-lookup.c)
		return &fault{at: of.path, why: "asks for versions of symbols of " + quote(lib.path) + ", which has none: where its symbols are found decides"}
	case lib.dyn.has == nil, ok && hash == v.hash:
		return nil
	}
	return &fault{errno: errNoVersion, at: of.path, why: fmt.Sprintf("needs the version %s of %s, which %s does not have", quote(v.name), quote(v.file), quote(lib.path))}
}
