package preflight

import (
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
)

// TestVersions reads what is asked for and what is there, as linkers write it and
// where a table ends too early.
func TestVersions(t *testing.T) {
	list := []wanted{{"a.so", "A_1", false}, {"", "A_2", true}, {"b.so", "B_1", false}}
	for _, l := range layouts() {
		m := newMemory(l)
		tables := map[uint64]uint64{dtStrtab: textAt(), dtVerneed: m.wants(list...), dtVerdef: m.defines("own.so", "OWN_1"), dtVersym: 1}
		v := m.program().versions(tables)
		want := []version{{"a.so", "A_1", uint32(hashOf("A_1")), false}, {"a.so", "A_2", uint32(hashOf("A_2")), true}, {"b.so", "B_1", uint32(hashOf("B_1")), false}}
		if v.err != nil || !slices.Equal(v.asked, want) || v.bare || len(v.has) != 2 || v.has["OWN_1"] != uint32(hashOf("OWN_1")) || v.has["own.so"] != uint32(hashOf("own.so")) {
			t.Errorf("%s: %+v", l.name, v)
		}
		delete(tables, dtVerdef)
		delete(tables, dtVersym)
		if v := m.program().versions(tables); v.err != nil || v.has != nil || !v.bare || len(v.asked) != 3 {
			t.Errorf("%s, no definitions: %+v", l.name, v)
		}
		delete(tables, dtVerneed)
		if v := m.program().versions(tables); v.err != nil || v.asked != nil || !v.bare {
			t.Errorf("%s, nothing: %+v", l.name, v)
		}

		names := newMemory(l)
		lib, name, without := names.text("l.so"), names.text("V"), names.put([]byte("open"))-textAt()
		aux := func(name, next uint64) []byte { return names.words(1, 0, name, next) }
		need := func(file, next uint64) []byte {
			return slices.Concat(names.halves(1, 1), names.words(file, 16, next))
		}
		def := func(name, next uint64) []byte {
			return slices.Concat(names.halves(1, 0, 1, 1), names.words(9, 20, next, name))
		}
		far := uint64(1 << 30)
		for _, tt := range []struct {
			name       string
			need, def  []byte
			cut        int
			asked, has int
			says       string // of the error, "" for none
		}{
			{"one that ends with the file", slices.Concat(need(lib, 0), aux(name, 0)), nil, 0, 1, 0, ""},
			{"one that is cut short", slices.Concat(need(lib, 0), aux(name, 0)), nil, 1, 0, 0, "too early"},
			{"the library's is cut short", need(lib, 0), nil, 1, 0, 0, "too early"},
			{"none of a library", need(lib, 0), nil, 0, 0, 0, "outside"},
			{"the next is outside", slices.Concat(need(lib, far), aux(name, 0)), nil, 0, 1, 0, "outside"},
			{"the next of a library is outside", slices.Concat(need(lib, 0), aux(name, far)), nil, 0, 1, 0, "outside"},
			{"a library's name is outside", slices.Concat(need(far, 0), aux(name, 0)), nil, 0, 0, 0, "outside"},
			{"a version's name is outside", slices.Concat(need(lib, 0), aux(far, 0)), nil, 0, 1, 0, "outside"},
			{"a definition that ends with the file", nil, def(name, 0), 0, 0, 1, ""},
			{"a definition's name is cut short", nil, def(name, 0), 1, 0, 0, "too early"},
			{"a definition is cut short", nil, def(name, 0), 5, 0, 0, "too early"},
			{"a definition without a name", nil, def(name, 0), 4, 0, 0, "outside"},
			{"the next definition is outside", nil, def(name, far), 0, 0, 1, "outside"},
			{"a definition's name is elsewhere", nil, def(far, 0), 0, 0, 1, "outside"},
			{"definitions after what cannot be read", need(lib, 0), def(name, 0), 0, 0, 0, "outside"},
		} {
			m := newMemory(l)
			m.b = slices.Clone(names.b)
			tables := map[uint64]uint64{dtStrtab: textAt()}
			if tt.def != nil {
				tables[dtVerdef] = m.put(tt.def)
			}
			if tt.need != nil {
				tables[dtVerneed] = m.put(tt.need)
			}
			m.b = m.b[:len(m.b)-tt.cut]
			v := m.program().versions(tables)
			if (v.err == nil) != (tt.says == "") || v.err != nil && !strings.Contains(v.err.Error(), tt.says) || len(v.asked) != tt.asked || len(v.has) != tt.has {
				t.Errorf("%s, %s: %v %+v", l.name, tt.name, v.err, v)
			}
		}
		m = newMemory(l)
		m.b = append(slices.Clone(names.b), 0)
		tables = map[uint64]uint64{dtStrtab: textAt(), dtVerneed: m.put(slices.Concat(need(without, 0), aux(name, 0)))}
		if v := m.program().versions(tables); v.err != nil {
			t.Errorf("%s, a name that the next byte ends: %v", l.name, v.err)
		}
	}
}

// TestManyVersions: as many as the bound, in all lists together.
func TestManyVersions(t *testing.T) {
	for n, want := range map[int]bool{maxVersions - 2: true, maxVersions - 1: false} {
		m := newMemory(layouts()[0])
		list := slices.Repeat([]wanted{{"", "V", false}}, n)
		list[0].file = "a.so"
		tables := map[uint64]uint64{dtStrtab: textAt(), dtVerneed: m.wants(list...), dtVerdef: m.defines("W")}
		if v := m.program().versions(tables); (v.err == nil) != want || v.err != nil && !strings.Contains(v.err.Error(), "more than 8192") {
			t.Errorf("%d records: %v", n+2, v.err)
		}
	}
}

// TestMissingVersions is _dl_check_all_versions.
func TestMissingVersions(t *testing.T) {
	ask := func(w ...wanted) []byte { return dso{needs: []string{"a.so"}, wants: w}.bytes() }
	one, two := wanted{"a.so", "V_1", false}, wanted{"a.so", "V_2", false}
	lib := dso{has: []string{"a.so", "V_1"}, versym: true}
	other := lib.bytes()
	at := strings.Index(string(other), string(newMemory(layouts()[0]).words(hashOf("V_1"))))
	other[at]++
	for _, tt := range []struct {
		name   string
		p, lib []byte
		loader string
		want   Verdict
		says   string
	}{
		{"there", ask(one), lib.bytes(), likeGlibc, Native, ""},
		{"not there", ask(two), lib.bytes(), likeGlibc, NotFound, `/p: needs the version "V_2" of "a.so", which "/lib/a.so" does not have`},
		{"the second is not there", ask(one, wanted{"", "V_2", false}), lib.bytes(), likeGlibc, NotFound, `the version "V_2"`},
		{"not there, musl", ask(two), lib.bytes(), likeMusl, Native, ""},
		{"not there, an unknown loader", ask(two), lib.bytes(), likeNone, Native, ""},
		{"not there, but weak", ask(wanted{"a.so", "V_2", true}), lib.bytes(), likeGlibc, Native, ""},
		{"of a file that is not loaded", ask(wanted{"b.so", "V_2", false}), lib.bytes(), likeGlibc, Native, ""},
		{"of another hash", ask(one), other, likeGlibc, NotFound, `the version "V_1"`},
		{"a library without versions, which it says", ask(one), dso{versym: true}.bytes(), likeGlibc, Native, ""},
		{"a library without versions", ask(one), dso{}.bytes(), likeGlibc, Unknown, `asks for versions of symbols of "/lib/a.so", which has none`},
		{"the library's cannot be read", ask(one), dso{dyn: []uint64{dtVerdef, 1 << 40}}.bytes(), likeGlibc, Unknown, `/lib/a.so: which libraries it needs cannot be read`},
		{"the library's are not asked for", ask(), dso{dyn: []uint64{dtVerdef, 1 << 40}}.bytes(), likeGlibc, Unknown, `/lib/a.so: which libraries it needs cannot be read`},
		{"the program's cannot be read", dso{needs: []string{"a.so"}, dyn: []uint64{dtVerneed, 1 << 40}}.bytes(), lib.bytes(), likeGlibc, Unknown, `/p: which libraries it needs cannot be read`},
		{"the program's cannot be read, musl", dso{needs: []string{"a.so"}, dyn: []uint64{dtVerneed, 1 << 40}}.bytes(), lib.bytes(), likeMusl, Native, ""},
	} {
		r := Check(t.Context(), memRoot{"/p": tt.p, "/ld": loaderLike(tt.loader), "/lib/a.so": tt.lib}, run("/p"), host.Facts{Platform: lin("amd64", "v3")})
		if r.Verdict != tt.want || !strings.Contains(r.Reason, tt.says) || r.Verdict == NotFound && r.ExitCode != 1 {
			t.Errorf("%s: %s %d %s", tt.name, r.Verdict, r.ExitCode, r.Reason)
		}
	}
}
