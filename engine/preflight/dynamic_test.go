package preflight

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
)

// TestDynamic reads the section of each layout, as far as its end mark or its end.
func TestDynamic(t *testing.T) {
	for _, l := range layouts() {
		m := newMemory(l)
		a, b, c := m.text("a.so"), m.text("b.so"), m.text("/dir")
		section := m.addresses(dtNeeded, a, dtSoname, b, dtRpath, c, dtRunpath, c, dtStrtab, textAt(), dtNeeded, b)
		for _, tt := range []struct {
			name  string
			after []byte
			needs []string
		}{
			{"without an end mark", nil, []string{"a.so", "b.so"}},
			{"an end mark", m.addresses(0, 0, dtNeeded, a), []string{"a.so", "b.so"}},
			{"half an entry", m.addresses(dtNeeded), []string{"a.so", "b.so"}},
			{"flags", m.addresses(dtFlags1, df1Now, dtNeeded, a), []string{"a.so", "b.so", "a.so"}},
			{"no default", m.addresses(dtFlags1, df1NoDefLib|1), []string{"a.so", "b.so"}},
		} {
			n := newMemory(l)
			n.b = slices.Clone(m.b)
			raw := slices.Concat(section, tt.after)
			at := n.put(raw) - textAt()
			p := n.program()
			p.segs = append(slices.Clone(p.loads), segment{typ: ptDynamic, offset: 0x30 + at, filesz: uint64(len(raw))})
			d, err := p.dynamic()
			if err != nil || !slices.Equal(d.needed, tt.needs) || d.soname != "b.so" || d.rpath != "/dir" || d.runpath != "/dir" || d.noDefault != (tt.name == "no default") {
				t.Errorf("%s, %s: %v %+v", l.name, tt.name, err, d)
			}
		}
	}
}

// TestDynamicBounds: the largest section, and the most libraries.
func TestDynamicBounds(t *testing.T) {
	l := layouts()[0]
	for _, tt := range []struct {
		name  string
		needs int
		size  int
		says  string
	}{
		{"the largest", 1, maxDynamic, ""},
		{"a larger one", 1, maxDynamic + 1, "65537 bytes"},
		{"the most libraries", maxNeeded, 1 << 14, ""},
		{"more libraries", maxNeeded + 1, 1 << 14, "more than 512 libraries"},
	} {
		m := newMemory(l)
		entries := slices.Repeat([]uint64{dtNeeded, m.text("a.so")}, tt.needs)
		raw := m.addresses(append([]uint64{dtStrtab, textAt()}, entries...)...)
		raw = append(raw, make([]byte, tt.size-len(raw))...)
		at := m.put(raw) - textAt()
		p := m.program()
		p.segs = []segment{{typ: ptDynamic, offset: 0x30 + at, filesz: uint64(len(raw))}}
		d, err := p.dynamic()
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) || err == nil && len(d.needed) != tt.needs {
			t.Errorf("%s: %v, %d libraries", tt.name, err, len(d.needed))
		}
	}
	m := newMemory(l)
	p := m.program()
	p.segs = []segment{{typ: ptDynamic, offset: 1 << 20, filesz: 16}}
	if _, err := p.dynamic(); err == nil {
		t.Error("a section behind the end of the file was read")
	}
	p.segs = nil
	if d, err := p.dynamic(); err != nil || d.needed != nil {
		t.Errorf("no section: %v %+v", err, d)
	}
}

// TestMappedAt reads what a segment has of the file, and nothing beside it.
func TestMappedAt(t *testing.T) {
	p := &program{loads: []segment{
		{typ: ptLoad, vaddr: 0x100, offset: 1 << 63, filesz: 0x10, memsz: 0x10}, // nothing can be there
		{typ: ptLoad, vaddr: 0x1000, offset: 0x20, filesz: 0x10, memsz: 0x40},
		{typ: ptLoad, vaddr: 0x2000, offset: 1 << 62, filesz: 0x10, memsz: 0x10},
	}}
	p.file = sparse{0x1f: []byte("<0123456789abcdef>"), 1 << 62: []byte("far"), 0x100: []byte("no")}
	for _, tt := range []struct {
		addr, n uint64
		want    string // "" for an error
	}{
		{0x1000, 4, "0123"}, {0x1004, 4, "4567"}, {0x100e, 4, "ef"}, {0x100f, 1, "f"}, {0x1000, 1 << 40, "0123456789abcdef"},
		{0xfff, 4, ""}, {0x1010, 1, ""}, {0x101f, 1, ""}, {0x100, 4, ""}, {0, 1, ""}, {1<<64 - 1, 4, ""}, {0x2000, 3, "far"}, {0x1fff, 1, ""},
	} {
		b, err := p.mappedAt(tt.addr, tt.n)
		if string(b) != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%d bytes at %#x: %q, %v", tt.n, tt.addr, b, err)
		}
	}
}

// TestText: a name ends within the memory of its segment, and is no longer than a path.
func TestText(t *testing.T) {
	m := newMemory(layouts()[0])
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"empty": {"\x00", true}, "a name": {"a.so\x00", true}, "the end of the file's memory": {"a.so", false},
		"as long as a path": {strings.Repeat("a", pathMax-1) + "\x00", true}, "longer": {strings.Repeat("a", pathMax) + "\x00", false},
	} {
		m.b = []byte{0}
		at := m.put([]byte(tt.text))
		if s, err := m.program().text(at); (err == nil) != tt.want || tt.want && s != strings.TrimRight(tt.text, "\x00") {
			t.Errorf("%s: %.20q, %v", name, s, err)
		}
	}
}

// TestSearchPath: elements, what an empty one means, and the directory of the file.
func TestSearchPath(t *testing.T) {
	for _, tt := range []struct {
		list, separators, empty string
		want                    []string
	}{
		{"", ":", ".", nil},
		{"/a", ":", ".", []string{"/a"}},
		{"/a:/b", ":", ".", []string{"/a", "/b"}},
		{"/a;/b", ":", ".", []string{"/a;/b"}},
		{"/a;/b:/c", ":;", ".", []string{"/a", "/b", "/c"}},
		{"/a\n/b\n", ":\n", "", []string{"/a", "/b"}},
		{":/a", ":", ".", []string{".", "/a"}},
		{"/a:", ":", ".", []string{"/a", "."}},
		{":", ":", ".", []string{".", "."}},
		{"/a::/b", ":", ".", []string{"/a", ".", "/b"}},
		{":/a::/b:", ":", "", []string{"/a", "/b"}},
		{"$ORIGIN/../lib:${ORIGIN}", ":", ".", []string{"/o/../lib", "/o"}},
		{"/x/$ORIGIN", ":", ".", []string{"/x//o"}},
		{"$LIB:$PLATFORM:${OTHER}", ":", ".", []string{"$LIB", "$PLATFORM", "${OTHER}"}},
	} {
		if got := searchPath(tt.list, tt.separators, tt.empty, "/o"); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.list, got, tt.want)
		}
	}
}

// TestLoaderTells: the entries of a section that tell a loader where not to look.
func TestLoaderTells(t *testing.T) {
	for name, tt := range map[string]struct {
		dyn    []uint64
		loader string
		want   Verdict
	}{
		"usual": {nil, likeGlibc, Native}, "DF_1_NODEFLIB": {[]uint64{dtFlags1, df1NoDefLib}, likeGlibc, NotFound},
		"musl does not know it": {[]uint64{dtFlags1, df1NoDefLib}, likeMusl, Native},
	} {
		root := memRoot{"/p": dso{needs: []string{"a.so"}, dyn: tt.dyn}.bytes(), "/ld": loaderLike(tt.loader), "/lib/a.so": dso{}.bytes()}
		if r := Check(t.Context(), root, run("/p"), host.Facts{Platform: lin("amd64", "v3")}); r.Verdict != tt.want {
			t.Errorf("%s: %s %s", name, r.Verdict, r.Reason)
		}
	}
	short := dso{needs: []string{"a.so"}}.bytes()
	short = bytes.Replace(short, []byte("a.so\x00"), []byte("a.soX"), 1)
	if r := Check(t.Context(), memRoot{"/p": short, "/ld": loaderLike(likeGlibc)}, run("/p"), host.Facts{Platform: lin("amd64", "v3")}); r.Verdict == Native {
		t.Errorf("another name: %s", r.Reason)
	}
}
