package preflight

import (
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
)

// asking is a memory whose tables name symbols in all ways, with the entries that point
// to them.
func asking(l layout, addend bool) (*memory, map[uint64]uint64) {
	m := newMemory(l)
	list := []symbol{
		{}, {"own", bindLocal, true}, {"data", bindGlobal, false}, {"call", bindGlobal, false}, {"weak", 2, false},
		{"both", bindGlobal, false}, {"unused", bindGlobal, false}, {"", bindGlobal, false}, {"rel", bindGlobal, false},
		{"one", bindGlobal, true}, {"two", 2, true}, {"asked", bindGlobal, false}, {"hidden", bindLocal, true}, {"", bindGlobal, true}, {"three", bindGlobal, true},
	}
	kind := uint64(dtRel)
	if addend {
		kind = dtRela
	}
	tables := map[uint64]uint64{dtStrtab: textAt(), dtSymtab: m.table(list...), dtPltrel: kind}
	add := func(addr, size uint64, b []byte) { tables[addr], tables[size] = m.put(b), uint64(len(b)) }
	add(dtRela, dtRelasz, m.relocations(true, 0, 2, 4, 5, 7))
	add(dtRel, dtRelsz, m.relocations(false, 0, 9, 8))
	add(dtJmprel, dtPltrelsz, m.relocations(addend, 5, 3))
	tables[dtHash] = m.put(m.sysvHash(len(list)))
	tables[dtGNUHash] = m.put(m.gnuHash(9, 3, 1, 1, 1, 3))
	tables[dtStrsz] = uint64(len(m.b))
	return m, tables
}

// TestSymbols: what is asked for before the start and at calls, and what others find.
func TestSymbols(t *testing.T) {
	eager, lazy, offers := []string{"data", "both", "rel"}, []string{"call"}, []string{"one", "two", "three"}
	now := []string{"data", "call", "both", "rel"}
	far := uint64(1 << 40)
	for _, tt := range []struct {
		name                string
		change              func(map[uint64]uint64)
		eager, lazy, offers []string
	}{
		{"as linkers write it", func(map[uint64]uint64) {}, eager, lazy, offers},
		{"the older hash table", func(m map[uint64]uint64) { delete(m, dtGNUHash) }, eager, lazy, offers},
		{"no hash table", func(m map[uint64]uint64) { delete(m, dtGNUHash); delete(m, dtHash) }, eager, lazy, nil},
		{"a hash table outside", func(m map[uint64]uint64) { m[dtGNUHash] = far }, eager, lazy, nil},
		{"an older one outside", func(m map[uint64]uint64) { delete(m, dtGNUHash); m[dtHash] = far }, eager, lazy, nil},
		{"DT_BIND_NOW", func(m map[uint64]uint64) { m[dtBindNow] = 0 }, now, nil, offers},
		{"DF_BIND_NOW", func(m map[uint64]uint64) { m[dtFlags] = dfBindNow }, now, nil, offers},
		{"other flags", func(m map[uint64]uint64) { m[dtFlags], m[dtFlags1] = ^uint64(dfBindNow), ^uint64(df1Now) }, eager, lazy, offers},
		{"DF_1_NOW", func(m map[uint64]uint64) { m[dtFlags1] = df1Now }, now, nil, offers},
		{"no calls", func(m map[uint64]uint64) { delete(m, dtJmprel) }, eager, nil, offers},
		{"a size without a table", func(m map[uint64]uint64) { m[dtJmprel] = 0 }, eager, nil, offers},
		{"a table of no size, anywhere", func(m map[uint64]uint64) { m[dtJmprel], m[dtPltrelsz] = far, 0 }, eager, nil, offers},
		{"relocations outside", func(m map[uint64]uint64) { m[dtRel] = far }, nil, nil, nil},
		{"calls outside", func(m map[uint64]uint64) { m[dtJmprel] = far }, nil, nil, nil},
		{"too many relocations", func(m map[uint64]uint64) { m[dtRelsz] = maxRelocations + 1 }, nil, nil, nil},
		{"no symbols", func(m map[uint64]uint64) { delete(m, dtSymtab) }, nil, nil, nil},
		{"symbols outside", func(m map[uint64]uint64) { m[dtSymtab] = far }, nil, nil, nil},
		{"names outside", func(m map[uint64]uint64) { m[dtStrtab] = far }, nil, nil, nil},
		{"no names", func(m map[uint64]uint64) { m[dtStrsz] = 0 }, nil, nil, nil},
	} {
		for _, l := range layouts() {
			for _, addend := range []bool{true, false} {
				m, tables := asking(l, addend)
				tt.change(tables)
				got := m.program().symbols(tables)
				if !slices.Equal(got.eager, tt.eager) || !slices.Equal(got.lazy, tt.lazy) || !slices.Equal(got.offers, tt.offers) {
					t.Errorf("%s on %s (addend %t): %+v", tt.name, l.name, addend, got)
				}
			}
		}
	}
}

// TestSymbolsAtTheEnd: a table may end where the file's memory does, and what is cut
// off is not there.
func TestSymbolsAtTheEnd(t *testing.T) {
	for _, l := range layouts() {
		for cut := range 3 {
			shorten := func(m *memory) *program { m.b = m.b[:len(m.b)-cut]; return m.program() }
			whole := map[bool]int{true: 1}[cut == 0]
			check := func(name string, got, want int) {
				t.Helper()
				if got != want {
					t.Errorf("%s, %s, less %d bytes: %d names, not %d", l.name, name, cut, got, want)
				}
			}

			m := newMemory(l)
			adds := m.put(m.relocations(true, 2, 1))
			tables := map[uint64]uint64{dtStrtab: textAt(), dtStrsz: 1 << 20, dtRela: adds, dtRelasz: 1 << 20, dtSymtab: m.table(symbol{}, symbol{"a", bindGlobal, false}, symbol{"b", bindGlobal, false})}
			tables[dtRelasz] = uint64(len(m.relocations(true, 2, 1)))
			check("symbols", len(shorten(m).symbols(tables).eager), 1+whole)

			m = newMemory(l)
			tables[dtSymtab] = m.table(symbol{}, symbol{"a", bindGlobal, false}, symbol{"b", bindGlobal, false})
			tables[dtRela], tables[dtRelasz] = m.put(m.relocations(true, 2, 1)), maxRelocations
			check("relocations", len(shorten(m).symbols(tables).eager), 1+whole)
			tables = map[uint64]uint64{dtStrtab: textAt(), dtStrsz: 1 << 20}

			m = newMemory(l)
			tables[dtSymtab] = m.table(symbol{}, symbol{"a", bindGlobal, true}, symbol{"b", bindGlobal, true})
			tables[dtGNUHash] = m.put(m.gnuHash(1, 1, 2))
			check("chains", len(shorten(m).symbols(tables).offers), 2*whole)

			m = newMemory(l)
			tables[dtSymtab] = m.table(symbol{}, symbol{"a", bindGlobal, true})
			head := m.gnuHash(1, 1)
			tables[dtGNUHash] = m.put(head)
			check("buckets, all empty", len(shorten(m).symbols(tables).offers), 0)

			m = newMemory(l)
			tables[dtSymtab] = m.table(symbol{}, symbol{"a", bindGlobal, true})
			tables[dtGNUHash] = m.put(head[:16])
			check("the head alone", len(shorten(m).symbols(tables).offers), 0)
			delete(tables, dtGNUHash)

			m = newMemory(l)
			tables[dtSymtab] = m.table(symbol{}, symbol{"a", bindGlobal, true})
			hash := m.sysvHash(2)
			tables[dtHash] = m.put(hash[:len(hash)/3*2])
			check("an older hash", len(shorten(m).symbols(tables).offers), whole)
			m.b = m.b[:len(m.b)-len(hash)/3]
			check("half an older hash", len(m.program().symbols(tables).offers), 0)

			m = newMemory(l)
			tables[dtHash] = m.put(m.sysvHash(1 << 20))
			tables[dtSymtab] = m.table(symbol{}, symbol{"a", bindGlobal, true}, symbol{"b", bindGlobal, true})
			if l.name == "amd64" { // it takes time
				check("a number that is too large", len(shorten(m).symbols(tables).offers), 1+whole)
			}
		}
	}
}

// TestManySymbols: tables up to the bounds are read, those beyond are not.
func TestManySymbols(t *testing.T) {
	l := layouts()[0]
	const at, size = 1 << 32, 24
	offered := symbol{"a", bindGlobal, true}
	chained := func(n int) func(*memory) []byte {
		return func(m *memory) []byte { return m.gnuHash(1, 1, 1, n) }
	}
	for _, tt := range []struct {
		name string
		hash func(*memory) []byte
		want int // symbols that are offered
	}{
		{"one of one", func(m *memory) []byte { return m.gnuHash(1, 1, 1) }, 1},
		{"without a filter", func(m *memory) []byte { return m.gnuHash(1, 0, 1) }, 1},
		{"a chain of 300", chained(300), 301},
		{"the longest chain", chained(maxChain), 1 + maxChain},
		{"a longer chain", chained(maxChain + 1), 0},
		{"the largest filter", func(m *memory) []byte { return m.gnuHash(1, maxSymbols, 1) }, 1},
		{"a larger filter", func(m *memory) []byte { return m.gnuHash(1, maxSymbols+1, 1) }, 0},
		{"the most chains", func(m *memory) []byte {
			return slices.Concat(m.words(maxSymbols, 1, 0, 6, 1), make([]byte, 4*(maxSymbols-1)), m.words(1))
		}, 1},
		{"more chains", func(m *memory) []byte {
			return slices.Concat(m.words(maxSymbols+1, 1, 0, 6, 1), make([]byte, 4*maxSymbols), m.words(1))
		}, 0},
	} {
		m := newMemory(l)
		list := append([]symbol{{}}, slices.Repeat([]symbol{offered}, maxChain+3)...)
		tables := map[uint64]uint64{dtStrtab: textAt(), dtStrsz: 1 << 20, dtSymtab: m.table(list...), dtGNUHash: m.put(tt.hash(m))}
		if got := m.program().symbols(tables); len(got.offers) != tt.want {
			t.Errorf("%s: %d are offered, not %d", tt.name, len(got.offers), tt.want)
		}
	}
	m := newMemory(l)
	adds := m.put(m.relocations(true, maxSymbols-1, maxSymbols))
	one := newMemory(l)
	one.table(symbol{"x", bindGlobal, false})
	m.text("x") // where the other has it, behind the relocations
	entry := m.words(uint64(len(m.b) - 2))
	p := m.program()
	entry = append(entry, bindGlobal<<4, 0, 0, 0)
	p.loads = append(p.loads, segment{typ: ptLoad, offset: at, vaddr: at, filesz: at})
	file := sparse{0x30: m.b, at + (maxSymbols-1)*size: entry, at + maxSymbols*size: entry}
	p.file = file
	if got := p.symbols(map[uint64]uint64{dtStrtab: textAt(), dtStrsz: uint64(len(m.b)), dtSymtab: at, dtRela: adds, dtRelasz: 48}); !slices.Equal(got.eager, []string{"x"}) {
		t.Errorf("the last symbol that is read: %+v", got)
	}
}

// TestMissingSymbols: who must have what is asked for, and when it counts.
func TestMissingSymbols(t *testing.T) {
	lib := dso{soname: "a.so", offers: []string{"one"}}
	with := func(asks, calls, offers []string, dyn ...uint64) []byte {
		return dso{needs: []string{"a.so"}, asks: asks, calls: calls, offers: offers, dyn: dyn}.bytes()
	}
	list := func(s ...string) []string { return s }
	bindNow, preload := Command{Entrypoint: list("/p"), Env: list("LD_BIND_NOW=1")}, Command{Entrypoint: list("/p"), Env: list("LD_PRELOAD=/b.so")}
	points, calls := with(list("gone"), nil, nil), with(nil, list("gone"), nil)
	for _, tt := range []struct {
		name   string
		p      []byte
		lib    dso
		loader string
		more   memRoot
		cmd    Command
		want   Verdict
		says   string // reason or hint
	}{
		{"nothing asked", with(nil, nil, nil), lib, likeGlibc, nil, run("/p"), Native, ""},
		{"the library has it", with(list("one"), nil, nil), lib, likeGlibc, nil, run("/p"), Native, ""},
		{"the program has it", with(list("two"), nil, list("two")), lib, likeGlibc, nil, run("/p"), Native, ""},
		{"the loader has it", with(list("of_ld"), nil, nil), lib, likeGlibc, nil, run("/p"), Native, ""},
		{"nobody has it", points, lib, likeGlibc, nil, run("/p"), NotFound, `/p: needs the symbol "gone", which none of its libraries has`},
		{"nobody has it, musl", points, lib, likeMusl, nil, run("/p"), NotFound, `needs the symbol "gone"`},
		{"a call", calls, lib, likeGlibc, nil, run("/p"), Native, `it ends when it calls "gone", which /p needs and none of its libraries has`},
		{"a call, musl", calls, lib, likeMusl, nil, run("/p"), NotFound, `needs the symbol "gone"`},
		{"a call, LD_BIND_NOW", calls, lib, likeGlibc, nil, bindNow, NotFound, `needs the symbol "gone"`},
		{"a call, DF_1_NOW", with(nil, list("gone"), nil, dtFlags1, df1Now), lib, likeGlibc, nil, run("/p"), NotFound, `needs the symbol "gone"`},
		{"data before a call", with(list("data"), list("call"), nil), lib, likeGlibc, nil, run("/p"), NotFound, `needs the symbol "data"`},
		{"a library's data before a call", with(nil, list("call"), nil), dso{asks: list("data")}, likeGlibc, nil, run("/p"), NotFound, `/lib/a.so: needs the symbol "data"`},
		{"the first that is missing", with(list("one", "gone", "more"), nil, nil), lib, likeGlibc, nil, run("/p"), NotFound, `needs the symbol "gone"`},
		{"preloaded, perhaps", points, lib, likeGlibc, nil, preload, Unknown, "whether what LD_PRELOAD or /etc/ld.so.preload names has it"},
		{"preloaded by a file, perhaps", points, lib, likeGlibc, memRoot{"/etc/ld.so.preload": []byte("/b.so\n")}, run("/p"), Unknown, "whether what LD_PRELOAD"},
		{"nothing in that file", points, lib, likeGlibc, memRoot{"/etc/ld.so.preload": []byte(" \n")}, run("/p"), NotFound, `needs the symbol "gone"`},
		{"musl reads no such file", points, lib, likeMusl, memRoot{"/etc/ld.so.preload": []byte("/b.so\n")}, run("/p"), NotFound, `needs the symbol "gone"`},
		{"an unknown loader", points, lib, likeNone, nil, run("/p"), Native, ""},
	} {
		root := memRoot{"/p": tt.p, "/ld": loaderLike(tt.loader, "of_ld"), "/lib/a.so": tt.lib.bytes()}
		for name, b := range tt.more {
			root[name] = b
		}
		r := Check(t.Context(), root, tt.cmd, host.Facts{Platform: lin("amd64", "v3")})
		if r.Verdict != tt.want || !strings.Contains(r.Reason+r.Hint, tt.says) || r.Verdict == NotFound && r.ExitCode != 127 {
			t.Errorf("%s: %s %d %s (%s)", tt.name, r.Verdict, r.ExitCode, r.Reason, r.Hint)
		}
	}
	root := memRoot{"/p": calls, "/ld": loaderLike(likeGlibc), "/lib/a.so": lib.bytes()}
	if r := Check(t.Context(), root, preload, host.Facts{Platform: lin("amd64", "v3")}); r.Verdict != Native || r.Hint != "" {
		t.Errorf("a call that may be preloaded: %s, %s", r.Verdict, r.Hint)
	}
}
