package preflight

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/integration/kernelcases"
)

// TestHeldFile reads a file of which the kernel shows the beginning: what is behind it
// is not there to be read, unless the file ends.
func TestHeldFile(t *testing.T) {
	for _, tt := range []struct {
		name      string
		size, off int64
		n         int
		want      string
		err       error
	}{
		{"within", 100, 0, 4, "head", nil},
		{"up to the end of what is known", 100, 1, 4, "ead.", nil},
		{"beyond it", 100, 2, 4, "", errNotThere},
		{"behind it", 100, 50, 1, "", errNotThere},
		{"at the end of the file", 100, 100, 1, "", io.EOF},
		{"behind the file", 100, 101, 1, "", io.EOF},
		{"before the file", 100, -1, 1, "", io.EOF},
		{"a whole file, beyond its end", 5, 2, 8, "ad.", io.EOF},
		{"a whole file to its end", 5, 2, 3, "ad.", nil},
		{"a whole file, at its end", 5, 5, 1, "", io.EOF},
	} {
		b := make([]byte, tt.n)
		n, err := partial{&host.OpenedFile{Head: []byte("head."), Size: tt.size}}.ReadAt(b, tt.off)
		if string(b[:n]) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q %v, want %q %v", tt.name, b[:n], err, tt.want, tt.err)
		}
	}
}

// TestISANotes finds the level in notes of any others, and in none that end too early.
func TestISANotes(t *testing.T) {
	o := layouts()[0].order
	note := func(name string, typ uint32, desc []byte) []byte {
		b := o.AppendUint32(o.AppendUint32(o.AppendUint32(nil, uint32(len(name))), uint32(len(desc))), typ)
		b = append(b, name...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		b = append(b, desc...)
		for len(b)%8 != 0 {
			b = append(b, 0)
		}
		return b
	}
	prop := func(typ uint32, data []byte) []byte {
		b := append(o.AppendUint32(o.AppendUint32(nil, typ), uint32(len(data))), data...)
		for len(b)%8 != 0 {
			b = append(b, 0)
		}
		return b
	}
	level := prop(propX86ISANeeded, []byte{6, 0, 0, 0})
	gnu := func(properties ...[]byte) []byte { return note("GNU\x00", ntGNUProperty, slices.Concat(properties...)) }
	whole := gnu(level)
	for _, tt := range []struct {
		name string
		b    []byte
		want uint32
		ok   bool
	}{
		{"alone", whole, 6, true},
		{"a property without what fills it up", note("GNU\x00", ntGNUProperty, level[:12]), 6, true},
		{"a property without its value", note("GNU\x00", ntGNUProperty, level[:8]), 0, false},
		{"without the rest of its last word", whole[:len(whole)-4], 0, false},
		{"nothing", nil, 0, false},
		{"behind another property", gnu(prop(1, []byte{1, 0, 0, 0}), level), 6, true},
		{"behind an empty property", gnu(prop(1, nil), level), 6, true},
		{"behind a long property", gnu(prop(1, make([]byte, 20)), level), 6, true},
		{"of another size", gnu(prop(propX86ISANeeded, make([]byte, 8))), 0, false},
		{"behind a note of another name", slices.Concat(note("abc\x00", ntGNUProperty, make([]byte, 16)), whole), 6, true},
		{"behind a note of another type", slices.Concat(note("GNU\x00", 1, make([]byte, 16)), whole), 6, true},
		{"behind a note of nothing", slices.Concat(note("abc\x00", 1, nil), whole), 6, true},
		{"a note longer than the segment", note("GNU\x00", 1, make([]byte, 16))[:20], 0, false},
		{"a property longer than its note", gnu(o.AppendUint32(o.AppendUint32(nil, propX86ISANeeded), 9)), 0, false},
		{"a property that fills its note", gnu(slices.Concat(prop(1, nil), o.AppendUint32(o.AppendUint32(nil, 2), 0))), 0, false},
		{"a head alone", whole[:12], 0, false},
		{"less than a head", whole[:11], 0, false},
	} {
		if got, ok := isaNeeded(tt.b, 8); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %d %t", tt.name, got, ok)
		}
	}
	for bits, want := range map[uint32]int{0: 0, 1: 1, 2: 2, 3: 2, 4: 3, 7: 3, 8: 4, 15: 4, 16: unknownLevel, 1 << 31: unknownLevel} {
		if got := highest(bits); got != want {
			t.Errorf("bits %#x are level %d, not %d", bits, got, want)
		}
	}
	for n, want := range map[int]string{1: "v1", 4: "v4", unknownLevel: "higher than v4"} {
		if got := levelName(n); got != want {
			t.Errorf("level %d is %q", n, got)
		}
	}
	p := &program{loader: host.Loader{Class64: true}, order: o}
	p.header.Machine = 62
	for size, want := range map[uint64]int{uint64(len(whole)): 3, maxNote: 3, maxNote + 1: 0} {
		low := gnu(prop(propX86ISANeeded, []byte{1, 0, 0, 0})) // in no segment of notes
		p.file = bytes.NewReader(slices.Concat(low, whole, make([]byte, maxNote+1)))
		p.segs = []segment{{typ: ptLoad, filesz: uint64(len(low))}, {typ: ptNote, offset: uint64(len(low)), filesz: size}}
		if got := p.level(); got != want {
			t.Errorf("notes of %d bytes: level %d, not %d", size, got, want)
		}
	}
}

// TestTexts: what is text for people, and what is text in wide letters.
func TestTexts(t *testing.T) {
	for s, want := range map[string]bool{"": true, "a b~\u00e9": true, "a\nb\r\tc\f\x1b[0m": true, "\x00": false, "a\x07": false, "\x1f": false, "\x0b": false} {
		if isText(s) != want {
			t.Errorf("%q: text = %t", s, !want)
		}
	}
	for s, want := range map[string]bool{
		"a\x00b\x00c\x00d\x00": true, "\x00a\x00b\x00c\x00d": true, "~\x00 \x00\r\x00\n\x00": true, "a\x00\t\x00\n\x00\r\x00": true,
		"abcdefgh": false, "a\x00b\x00c\x00\x1f\x00": false, "a\x00b\x00c\x00\x7f\x00": false, "a\x00b\x00c\x00dx": false, "\x00\x00\x00\x00\x00\x00\x00\x00": false, "\x07\x00b\x00c\x00d\x00": false,
		"a\x00b\x00c\x00d\x00\x01\x02": true,
	} {
		if isWide([]byte(s+"zz")) != want {
			t.Errorf("%q: wide = %t", s, !want)
		}
	}
}

// TestLongCommands: arguments and variables at the kernel's bounds.
func TestLongCommands(t *testing.T) {
	most := strings.Repeat("x", maxArgString-1)
	fill := func(total int) (list []string) { // of total bytes, with what each costs
		for total > maxArgString+8 {
			list, total = append(list, most), total-maxArgString-8
		}
		return append(list, strings.Repeat("y", total-9))
	}
	for _, tt := range []struct {
		name      string
		argv, env []string
		says      string
	}{
		{"usual", []string{"/p", "-x"}, []string{"A=b"}, ""},
		{"the longest", []string{most}, nil, ""},
		{"longer", []string{most + "x"}, nil, "128 KiB"},
		{"a longer variable", nil, []string{most + "x"}, "128 KiB"},
		{"a NUL", []string{"a\x00"}, nil, "NUL"},
		{"begins with a NUL", nil, []string{"\x00a"}, "NUL"},
		{"the most", fill(maxArgStrings), nil, ""},
		{"more", fill(maxArgStrings + 1), nil, "2 MiB"},
		{"more together", fill(maxArgStrings - 20), fill(21), "2 MiB"},
	} {
		if got := badStrings(tt.argv, tt.env); (got == "") != (tt.says == "") || !strings.Contains(got, tt.says) {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
	l := &loading{check: &check{cmd: Command{Entrypoint: []string{"/p", "abc"}, Env: []string{"PATH=/bin"}}}}
	if got := l.arguments(); got != uint64(len("/p")+len("abc")+len("PATH=/bin")+3*9) {
		t.Errorf("arguments have %d bytes", got)
	}
}

// TestOtherSystems: an image for another system says so, unless its program tells more.
func TestOtherSystems(t *testing.T) {
	for _, tt := range []struct {
		os   string
		file []byte
		says string
		hint string
	}{
		{"windows", []byte("MZ program"), "the image is for windows, and this machine runs linux", "start it on a machine with windows"},
		{"wasi", []byte("\x00asm\x01\x00\x00\x00"), "the image is for wasi, and this machine runs linux", "a runtime for WebAssembly"},
		{"linux", []byte("MZ program"), "is neither a program nor a script", ""},
		{"", []byte("MZ program"), "is neither a program nor a script", ""},
		{"freebsd", elfSpec{Arch: "arm64"}.Bytes(), "is a program for linux/arm64", ""},
	} {
		cmd := run("/p")
		cmd.Claimed = platform.Platform{OS: tt.os, Architecture: "amd64"}
		r := Check(t.Context(), memRoot{"/p": tt.file}, cmd, host.Facts{Platform: lin("amd64", "v1")})
		if r.Verdict != ExecFormatError || !strings.Contains(r.Reason, tt.says) || !strings.Contains(r.Hint, tt.hint) {
			t.Errorf("%q: %s %s (%s)", tt.os, r.Verdict, r.Reason, r.Hint)
		}
	}
	if r := Check(t.Context(), memRoot{}, Command{}, host.Facts{Platform: lin("amd64", "v1")}); !r.DataOnly || r.Verdict != Unknown {
		t.Errorf("nothing to start: %+v", r)
	}
	if r := Check(t.Context(), memRoot{}, Command{Bad: "its config cannot be read"}, host.Facts{Platform: lin("amd64", "v1")}); r.DataOnly {
		t.Errorf("what is to be started is not known: %+v", r)
	}
	if r := Check(t.Context(), memRoot{"/p": elfSpec{Notes: kernelcases.ISANote(2)}.Bytes()}, run("/p"), host.Facts{Platform: lin("amd64", "v1")}); !strings.Contains(r.Hint, "CPU level v2") {
		t.Errorf("a level that nothing compares: %+v", r)
	}
	for n, want := range map[int]int{127: 129, 128: 130, 129: 133, 500: 133} { // quotes, and dots where something is left out
		if got := quote(strings.Repeat("x", n)); len(got) != want {
			t.Errorf("%d letters are quoted with %d", n, len(got))
		}
	}
}
