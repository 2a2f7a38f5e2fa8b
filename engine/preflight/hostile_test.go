package preflight

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/integration/kernelcases"
)

// FuzzLoaderFiles reads lists and names of directories that anybody may have
// written.
func FuzzLoaderFiles(f *testing.F) {
	f.Add([]byte(cacheMagic + strings.Repeat("\xff", 60)))
	f.Add([]byte("\x00/lib/x/\x00/usr/lib/\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, e := range parseCache(b, binary.LittleEndian) {
			if e.name == "" || e.path == "" {
				t.Errorf("an entry without name or path: %+v", e)
			}
		}
		for _, d := range systemDirs(b) {
			if !strings.HasPrefix(d, "/") {
				t.Errorf("%q is no directory", d)
			}
		}
		for _, d := range searchPath(string(b), ":\n", "", "/o") {
			if d == "" || strings.Contains(d, "\n") {
				t.Errorf("%q is no directory", d)
			}
		}
	})
}

// dynamicFile is a program with a loader and these entries in its dynamic
// section; strings lie at address text, which begins with a NUL.
func dynamicFile(text string, entries ...uint64) []byte {
	s := elfSpec{Type: 3, Interp: "/ld", Phnum: 4}
	b := s.Bytes()
	o := binary.LittleEndian
	at := len(b)
	b = append(b, "\x00"+text...)
	dyn := len(b)
	for _, e := range append(entries, dtStrtab, uint64(at), 0, 0) {
		b = o.AppendUint64(b, e)
	}
	for i := range int(o.Uint16(b[56:])) {
		ph := b[int(o.Uint64(b[32:]))+56*i:]
		switch o.Uint32(ph) {
		case kernelcases.PTLoad: // all of the file, at address 0
			for _, field := range []int{8, 16, 24} {
				o.PutUint64(ph[field:], 0)
			}
			o.PutUint64(ph[32:], uint64(len(b)))
			o.PutUint64(ph[40:], uint64(len(b)))
		case 0:
			o.PutUint32(ph, ptDynamic)
			o.PutUint64(ph[8:], uint64(dyn))
			o.PutUint64(ph[32:], uint64(len(b)-dyn))
			o.PutUint64(ph[40:], uint64(len(b)-dyn))
			return b
		}
	}
	panic("no room for a dynamic section")
}

// TestHostileLibraries checks that what a file asks for is bounded.
func TestHostileLibraries(t *testing.T) {
	machine := host.Facts{Platform: lin("amd64", "v3")}
	ld := append(elfSpec{Type: 3}.Bytes(), "glibc-ld.so.cache\x00/lib/\x00/usr/lib/\x00"...)
	long := strings.Repeat("/d:", 1300) + "/lib"
	tests := []struct {
		name string
		file []byte
		libs map[string][]byte
		want Verdict
		says string
	}{
		{"found", dynamicFile("a.so\x00", dtNeeded, 1), map[string][]byte{"lib/a.so": dynamicFile("a.so\x00")}, Native, ""},
		{"itself", dynamicFile("a.so\x00", dtNeeded, 1), map[string][]byte{"lib/a.so": dynamicFile("a.so\x00", dtNeeded, 1)}, Native, ""},
		{"the name ends nowhere", dynamicFile("a.so", dtNeeded, 1<<40), nil, Unknown, "outside the file"},
		{"a name without end", dynamicFile(strings.Repeat("a", 5000), dtNeeded, 1), nil, Unknown, "no end"},
		{"a name too long for a file", dynamicFile(strings.Repeat("a", 3000)+"\x00", dtNeeded, 1), nil, NotFound, "needs the library"},
		{"a name with dots", dynamicFile("../../../etc/a.so\x00", dtNeeded, 1), nil, NotFound, "needs the library"},
		{"a name for the loader to put in", dynamicFile("$LIB/a.so\x00", dtNeeded, 1), nil, Unknown, "puts in"},
		{"many names", dynamicFile("a.so\x00", manyNeeded(maxNeeded+1)...), nil, Unknown, "more than 512"},
		{"many directories", dynamicFile("a.so\x00"+long+"\x00", dtNeeded, 1, dtRpath, 6), chain(long), Unknown, ""},
		{"a FIFO", dynamicFile("fifo\x00", dtNeeded, 1), nil, NotFound, "needs the library"},
	}
	for _, tt := range tests {
		r := checkIn(t, func(tr tree) {
			tr.File("p", tt.file, 0o755)
			tr.File("ld", ld, 0o755)
			tr.Dir("lib", 0o755)
			tr.Fifo("lib/fifo")
			for name, data := range tt.libs {
				tr.File(name, data, 0o644)
			}
		}, run("/p"), machine)
		if r.Verdict != tt.want || !strings.Contains(r.Reason, tt.says) {
			t.Errorf("%s: %s %d %s, want %s with %q", tt.name, r.Verdict, r.ExitCode, r.Reason, tt.want, tt.says)
		}
	}
}

func manyNeeded(n int) (entries []uint64) {
	for range n {
		entries = append(entries, dtNeeded, 1)
	}
	return entries
}

// chain is a row of libraries that each ask for the next, in directories that
// are looked through for every one of them.
func chain(list string) map[string][]byte {
	files := map[string][]byte{"lib/a.so": dynamicFile("b0.so\x00"+list+"\x00", dtNeeded, 1, dtRpath, 7)}
	for i := range 40 {
		next := fmt.Sprintf("b%02d.so", i+1)
		name := fmt.Sprintf("lib/b%02d.so", i)
		if i == 0 {
			name = "lib/b0.so"
		}
		files[name] = dynamicFile(next+"\x00"+list+"\x00", dtNeeded, 1, dtRpath, 8)
	}
	return files
}
