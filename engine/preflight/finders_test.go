package preflight

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/integration/kernelcases"
)

// TestSystemDirs finds the directories that are compiled into a loader of glibc.
func TestSystemDirs(t *testing.T) {
	usual := []string{"/lib64/", "/usr/lib64/", "/lib/", "/usr/lib/"}
	for file, want := range map[string][]string{
		"": usual, "no directories": usual, "/usr/lib/\x00": usual,
		"x\x00/lib/\x00/usr/lib/\x00more\x00":                               {"/lib/", "/usr/lib/"},
		"/lib/\x00/usr/lib/\x00":                                            {"/lib/", "/usr/lib/"},
		"\x00/usr/lib/\x00":                                                 {"/usr/lib/"},
		"x\x00/lib/x86_64-linux-gnu/\x00/lib/\x00/usr/lib/\x00":             {"/lib/x86_64-linux-gnu/", "/lib/", "/usr/lib/"},
		"x\x00/lib64/\x00/usr/lib64/\x00x":                                  {"/lib64/", "/usr/lib64/"},
		"x\x00/lib/\x00\x00":                                                {"/lib/"},
		"x\x00/usr/lib/\x00/lib/\x00/opt/\x00/more/\x00":                    {"/usr/lib/", "/lib/", "/opt/", "/more/"},
		"x\x00/usr/lib/\x00/opt/\x00rest/\x00":                              {"/usr/lib/", "/opt/"},
		"x\x00/usr/lib/\x00/opt\x00":                                        {"/usr/lib/"},
		"x\x00/usr/lib/\x00/opt/":                                           {"/usr/lib/"},
		"x\x00/usr/lib/\x00/\x00/opt/\x00":                                  {"/usr/lib/"},
		"x\x00/a/\x00opt/\x00/usr/lib/\x00":                                 {"/usr/lib/"},
		"x\x00/a/\x00/opt\x00/usr/lib/\x00":                                 {"/usr/lib/"},
		"x\x00/a/\x00/\x00/usr/lib/\x00":                                    {"/usr/lib/"},
		"x\x00/a/\x00/o t/\x00/usr/lib/\x00":                                {"/usr/lib/"},
		"x\x00/a/\x00/o\x7ft/\x00/usr/lib/\x00":                             {"/usr/lib/"},
		"x\x00/a/\x00/o~t!/\x00/usr/lib/\x00":                               {"/a/", "/o~t!/", "/usr/lib/"},
		"x\x00/usr/lib/\x00" + "/" + strings.Repeat("d", pathMax) + "/\x00": {"/usr/lib/"},
	} {
		if got := systemDirs([]byte(file)); !slices.Equal(got, want) {
			t.Errorf("%.60q: %q, want %q", file, got, want)
		}
	}
}

// listed is an entry of the list of libraries.
type listed struct {
	name, path string
	level      uint64
}

// ldCache is a list as ldconfig writes it.
func ldCache(o binary.AppendByteOrder, list ...listed) []byte {
	b := o.AppendUint32([]byte(cacheMagic), uint32(len(list)))
	b = append(b, make([]byte, cacheHead-len(b))...)
	texts, at := "", len(b)+cacheEntr*len(list)
	for _, e := range list {
		b = o.AppendUint32(b, 0x303)
		b = o.AppendUint32(b, uint32(at+len(texts)))
		texts += e.name + "\x00"
		b = o.AppendUint32(b, uint32(at+len(texts)))
		texts += e.path + "\x00"
		b = o.AppendUint32(b, 0)
		b = o.AppendUint64(b, e.level<<32|1<<42)
	}
	return append(b, texts...)
}

// TestParseCache reads both forms of the list, and of a damaged one what makes sense.
func TestParseCache(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	two := []listed{{"a.so", "/lib/a.so", 0}, {"b.so", "/lib/b.so", 2}}
	good := ldCache(le, two...)
	changed := func(at int, n uint32) []byte {
		b := slices.Clone(good)
		le.PutUint32(b[at:], n)
		return b
	}
	const key, value = cacheHead + 4, cacheHead + 8 // of the first
	for _, tt := range []struct {
		name  string
		b     []byte
		order binary.ByteOrder
		want  string
	}{
		{"of little-endian machines", good, le, "a.so=/lib/a.so b.so=/lib/b.so@2"},
		{"of big-endian machines", ldCache(be, two...), be, "a.so=/lib/a.so b.so=/lib/b.so@2"},
		{"behind the old form", slices.Concat([]byte("ld.so-1.7.0\x00\x01\x00\x00\x00"), make([]byte, 40), good), le, "a.so=/lib/a.so b.so=/lib/b.so@2"},
		{"the old form alone", slices.Concat([]byte("ld.so-1.7.0\x00\x01\x00\x00\x00"), make([]byte, 40)), le, ""},
		{"nothing", nil, le, ""},
		{"no entries", ldCache(le), le, ""},
		{"the head cut short", good[:cacheHead-1], le, ""},
		{"the head cut short, behind the old form", slices.Concat([]byte("ld.so-1.7.0"), good[:cacheHead-1]), le, ""},
		{"the head alone", good[:cacheHead], le, ""},
		{"an entry cut short", good[:cacheHead+2*cacheEntr-1], le, ""},
		{"a smaller number", changed(20, 1), le, "a.so=/lib/a.so"},
		{"a larger number", ldCacheOf(le, 1000, two[:1]...), le, "a.so=/lib/a.so"},
		{"a name at the end of the file", changed(key, uint32(len(good))), le, "b.so=/lib/b.so@2"},
		{"a name behind the end", changed(key, 1<<31), le, "b.so=/lib/b.so@2"},
		{"a path behind the end", changed(value, 1<<32-1), le, "b.so=/lib/b.so@2"},
		{"an empty name", changed(key, uint32(len(good)-1)), le, "b.so=/lib/b.so@2"},
		{"the last path has no end", good[:len(good)-1], le, "a.so=/lib/a.so"},
		{"a path that is too long", ldCache(le, listed{"a.so", "/" + strings.Repeat("d", pathMax), 0}, two[1]), le, "b.so=/lib/b.so@2"},
	} {
		var got []string
		for _, e := range parseCache(tt.b, tt.order) {
			s := e.name + "=" + e.path
			if e.level > 0 {
				s += fmt.Sprintf("@%d", e.level)
			}
			got = append(got, s)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %.200s, want %s", tt.name, s, tt.want)
		}
	}
}

// ldCacheOf is a list that says another number of entries, with names that end the file
// before there can be as many.
func ldCacheOf(o interface {
	binary.ByteOrder
	binary.AppendByteOrder
}, n uint32, list ...listed) []byte {
	b := ldCache(o, list...)
	o.PutUint32(b[20:], n)
	return b
}

// TestSearch: where the two loaders look for a library, and in which order.
func TestSearch(t *testing.T) {
	le := binary.LittleEndian
	fits := func(more ...string) []byte { return dso{needs: more}.bytes() }
	foreign := elfSpec{Arch: "arm64", Type: 3}.Bytes()
	program := func(d dso) []byte { d.needs = append(d.needs, "a.so"); return d.bytes() }
	env := func(s string) Command {
		return Command{Entrypoint: []string{"/bin/p"}, Env: []string{"LD_LIBRARY_PATH=" + s}}
	}
	plain := program(dso{})
	started := run("/bin/p")
	const v1, v2, v3 = "v1", "v2", "v3"
	const gone, notOne = `needs the library "a.so", which is nowhere`, `is not one for this program`
	for _, tt := range []struct {
		name  string
		p     []byte
		files memRoot
		cmd   Command
		level string
		glibc string // what is said, "" where it starts
		musl  string
	}{
		{"nowhere", plain, nil, started, v1, gone, gone},
		{"a directory of both", plain, memRoot{"/usr/lib/a.so": fits()}, started, v1, "", ""},
		{"one of musl", plain, memRoot{"/usr/local/lib/a.so": fits()}, started, v1, gone, ""},
		{"of another machine", plain, memRoot{"/lib/a.so": foreign}, started, v1, `but for one of another machine, "/lib/a.so"`, notOne},
		{"of another machine, then of this", plain, memRoot{"/lib/a.so": foreign, "/usr/lib/a.so": fits()}, started, v1, "", notOne},
		{"a text, then a library", plain, memRoot{"/lib/a.so": []byte("INPUT(a)"), "/usr/lib/a.so": fits()}, started, v1, notOne, notOne},
		{"a program, not a library", plain, memRoot{"/lib/a.so": elfSpec{}.Bytes()}, started, v1, gone, notOne},
		{"a directory of that name", plain, memRoot{"/lib/a.so/x": nil, "/usr/lib/a.so": fits()}, started, v1, notOne, notOne},
		{"RUNPATH", program(dso{runpath: "/none:/own"}), memRoot{"/own/a.so": fits()}, started, v1, "", ""},
		{"RPATH", program(dso{rpath: "$ORIGIN/../own"}), memRoot{"/own/a.so": fits()}, started, v1, "", ""},
		{"RPATH beside RUNPATH", program(dso{rpath: "/own", runpath: "/none"}), memRoot{"/own/a.so": fits()}, started, v1, gone, gone},
		{"RUNPATH of who asked for it", program(dso{runpath: "${ORIGIN}/../own"}), memRoot{"/own/a.so": fits("b.so"), "/own/b.so": fits()}, started, v1, `"b.so", which is nowhere`, ""},
		{"RPATH of who asked for it", program(dso{rpath: "/own"}), memRoot{"/own/a.so": fits("b.so"), "/own/b.so": fits()}, started, v1, "", ""},
		{"RPATH of who asked, not for a library with RUNPATH", program(dso{rpath: "/own"}), memRoot{"/own/a.so": dso{needs: []string{"b.so"}, runpath: "/none"}.bytes(), "/own/b.so": fits()}, started, v1, `"b.so", which is nowhere`, ""},
		{"$ORIGIN of a library", program(dso{rpath: "/own"}), memRoot{"/own/a.so": dso{needs: []string{"b.so"}, runpath: "$ORIGIN/more"}.bytes(), "/own/more/b.so": fits()}, started, v1, "", ""},
		{"RPATH before LD_LIBRARY_PATH", program(dso{rpath: "/own"}), memRoot{"/own/a.so": fits(), "/env/a.so": []byte("text")}, env("/env"), v1, "", notOne},
		{"LD_LIBRARY_PATH before RUNPATH", program(dso{runpath: "/own"}), memRoot{"/own/a.so": fits(), "/env/a.so": []byte("text")}, env("/env"), v1, notOne, notOne},
		{"LD_LIBRARY_PATH before the system", plain, memRoot{"/lib/a.so": fits(), "/env/a.so": []byte("text")}, env("/env"), v1, notOne, notOne},
		{"LD_LIBRARY_PATH with semicolon", plain, memRoot{"/env/a.so": fits()}, env("/none;/env"), v1, "", gone},
		{"$ORIGIN in LD_LIBRARY_PATH", plain, memRoot{"/bin/own/a.so": fits()}, env("$ORIGIN/own"), v1, "", gone},
		{"$LIB", program(dso{runpath: "/$LIB/own"}), nil, started, v1, "puts in for a part of", "puts in for a part of"},
		{"$PLATFORM", program(dso{runpath: "/own/$PLATFORM"}), nil, started, v1, "puts in for a part of", "puts in for a part of"},
		{"braces", program(dso{runpath: "/own/${LIB}"}), nil, started, v1, "puts in for a part of", "puts in for a part of"},
		{"$LIB beside a place where it is", program(dso{runpath: "/$LIB/own"}), memRoot{"/lib/a.so": fits()}, started, v1, "", ""},
		{"a name with a slash", dso{needs: []string{"/own/a.so"}}.bytes(), memRoot{"/own/a.so": fits()}, started, v1, "", ""},
		{"a name with a slash, not there", dso{needs: []string{"/own/a.so"}}.bytes(), memRoot{"/lib/a.so": fits()}, started, v1, `needs the library "/own/a.so"`, `needs the library "/own/a.so"`},
		{"a name with a slash, of another machine", dso{needs: []string{"/own/a.so"}}.bytes(), memRoot{"/own/a.so": foreign}, started, v1, notOne, notOne},
		{"a name with $ORIGIN", dso{needs: []string{"$ORIGIN/a.so"}}.bytes(), memRoot{"/bin/a.so": fits()}, started, v1, "", ""},
		{"a name of musl itself", dso{needs: []string{"libc.so.6", "libm.so", "libpthread.so.0"}}.bytes(), nil, started, v1, `"libc.so.6", which is nowhere`, ""},
		{"a name that only begins so", dso{needs: []string{"libcrypt.so"}}.bytes(), nil, started, v1, `"libcrypt.so", which is nowhere`, `"libcrypt.so", which is nowhere`},
		{"a soname that is loaded", dso{needs: []string{"a.so", "b.so"}}.bytes(), memRoot{"/lib/a.so": dso{soname: "b.so"}.bytes()}, started, v1, "", `"b.so", which is nowhere`},
		{"the loader's soname", dso{needs: []string{"ld.so"}}.bytes(), nil, started, v1, "", ""},
		{"in the list", plain, memRoot{"/own/a.so": fits(), "/etc/ld.so.cache": ldCache(le, listed{"a.so", "/own/a.so", 0})}, started, v1, "", gone},
		{"in a list that is too large", plain, memRoot{"/own/a.so": fits(), "/etc/ld.so.cache": append(ldCache(le, listed{"a.so", "/own/a.so", 0}), make([]byte, maxCache)...)}, started, v1, gone, gone},
		{"in a list of the largest size", plain, memRoot{"/own/a.so": fits(), "/etc/ld.so.cache": append(ldCache(le, listed{"a.so", "/own/a.so", 0}), make([]byte, maxCache)...)[:maxCache]}, started, v1, "", gone},
		{"in the list, under another name", plain, memRoot{"/own/a.so": fits(), "/etc/ld.so.cache": ldCache(le, listed{"b.so", "/own/a.so", 0})}, started, v1, gone, gone},
		{"the list before the system", plain, memRoot{"/own/a.so": []byte("text"), "/lib/a.so": fits(), "/etc/ld.so.cache": ldCache(le, listed{"a.so", "/own/a.so", 0})}, started, v1, notOne, ""},
		{"RUNPATH before the list", program(dso{runpath: "/own"}), memRoot{"/own/a.so": fits(), "/x/a.so": []byte("text"), "/etc/ld.so.cache": ldCache(le, listed{"a.so", "/x/a.so", 0})}, started, v1, "", ""},
		{"in the list, without the system's directories", program(dso{dyn: []uint64{dtFlags1, df1NoDefLib}}), memRoot{"/usr/lib/a.so": fits(), "/etc/ld.so.cache": ldCache(le, listed{"a.so", "/usr/lib/a.so", 0})}, started, v1, gone, ""},
		{"in the list elsewhere, without the system's directories", program(dso{dyn: []uint64{dtFlags1, df1NoDefLib}}), memRoot{"/own/a.so": fits(), "/etc/ld.so.cache": ldCache(le, listed{"a.so", "/own/a.so", 0})}, started, v1, "", gone},
		{"a variant that is listed", plain, memRoot{"/own/glibc-hwcaps/x86-64-v2/a.so": fits(), "/etc/ld.so.cache": ldCache(le, listed{"a.so", "/own/glibc-hwcaps/x86-64-v2/a.so", 2})}, started, v2, "", gone},
		{"a listed variant for a better CPU", plain, memRoot{"/own/glibc-hwcaps/x86-64-v3/a.so": fits(), "/etc/ld.so.cache": ldCache(le, listed{"a.so", "/own/glibc-hwcaps/x86-64-v3/a.so", 3})}, started, v2, gone, gone},
		{"a listed variant that says it is for a better CPU", plain, memRoot{"/own/glibc-hwcaps/x86-64-v2/a.so": fits(), "/etc/ld.so.cache": ldCache(le, listed{"a.so", "/own/glibc-hwcaps/x86-64-v2/a.so", 3})}, started, v2, gone, gone},
		{"a variant for this CPU", plain, memRoot{"/lib/glibc-hwcaps/x86-64-v3/a.so": fits()}, started, v3, "", gone},
		{"a variant for a worse CPU", plain, memRoot{"/lib/glibc-hwcaps/x86-64-v2/a.so": fits()}, started, v3, "", gone},
		{"a variant for a better CPU", plain, memRoot{"/lib/glibc-hwcaps/x86-64-v4/a.so": fits()}, started, v3, gone, gone},
		{"the least level has no variants", plain, memRoot{"/lib/glibc-hwcaps/x86-64-v1/a.so": fits()}, started, v3, gone, gone},
		{"the better variant first", plain, memRoot{"/lib/glibc-hwcaps/x86-64-v2/a.so": fits(), "/lib/glibc-hwcaps/x86-64-v3/a.so": []byte("text")}, started, v3, notOne, gone},
		{"a path file", plain, memRoot{"/own/a.so": fits(), "/etc/ld-musl-x86_64.path": []byte("/none\n/own\n")}, started, v1, gone, ""},
		{"a path file without the system's directories", plain, memRoot{"/lib/a.so": fits(), "/etc/ld-musl-x86_64.path": []byte("/none")}, started, v1, "", gone},
		{"an empty path file", plain, memRoot{"/lib/a.so": fits(), "/etc/ld-musl-x86_64.path": {}}, started, v1, "", gone},
	} {
		for loader, want := range map[string]string{likeGlibc: tt.glibc, likeMusl: tt.musl} {
			root := memRoot{"/bin/p": tt.p, "/ld": loaderLike(loader)}
			maps.Copy(root, tt.files)
			r := Check(t.Context(), root, tt.cmd, host.Facts{Platform: lin("amd64", tt.level)})
			if (r.Verdict == Native) != (want == "") || !strings.Contains(r.Reason, want) {
				t.Errorf("%s, %.12q: %s %s, want %q", tt.name, loader, r.Verdict, r.Reason, want)
			}
			// a loader of another kind passes where either would find all
			root["/ld"] = loaderLike(likeNone)
			r = Check(t.Context(), root, tt.cmd, host.Facts{Platform: lin("amd64", tt.level)})
			if want == "" && tt.glibc == "" && tt.musl == "" && r.Verdict != Native || r.Verdict != Native && r.Verdict != Unknown {
				t.Errorf("%s, another loader: %s %s", tt.name, r.Verdict, r.Reason)
			}
		}
	}
}

// TestPathFileBesideLoader: musl's list of directories lies beside the directory of its
// loader.
func TestPathFileBesideLoader(t *testing.T) {
	p := slices.Concat(dso{needs: []string{"a.so"}}.bytes())
	at := strings.Index(string(p), "/ld\x00")
	if at < 0 {
		t.Fatal("no name of a loader")
	}
	moved := append(slices.Clone(p), "/opt/lib/ld\x00"...)
	l := layouts()[0].order
	for i := range int(l.Uint16(moved[56:])) {
		if ph := moved[int(l.Uint64(moved[32:]))+56*i:]; l.Uint32(ph) == ptInterp {
			l.PutUint64(ph[8:], uint64(len(p)))
			l.PutUint64(ph[32:], uint64(len(moved)-len(p)))
		}
	}
	lib := dso{}.bytes()
	for list, want := range map[string]Verdict{"/opt/etc/ld-musl-x86_64.path": Native, "/etc/ld-musl-x86_64.path": NotFound} {
		root := memRoot{"/p": moved, "/opt/lib/ld": loaderLike(likeMusl), "/own/a.so": lib, list: []byte("/own")}
		if r := Check(t.Context(), root, run("/p"), host.Facts{Platform: lin("amd64", "v1")}); r.Verdict != want {
			t.Errorf("%s: %s %s", list, r.Verdict, r.Reason)
		}
	}
}

// TestManyLibraries: as many different ones as the bound.
func TestManyLibraries(t *testing.T) {
	root := memRoot{"/ld": loaderLike(likeGlibc)}
	var needs []string
	for i := range maxObjects {
		name := fmt.Sprintf("l%d.so", i)
		needs, root["/lib/"+name] = append(needs, name), dso{}.bytes()
	}
	root["/p"] = dso{needs: needs}.bytes()
	if r := Check(t.Context(), root, run("/p"), host.Facts{Platform: lin("amd64", "v1")}); r.Verdict != Native {
		t.Errorf("%d: %s %s", maxObjects, r.Verdict, r.Reason)
	}
	root["/lib/l0.so"] = dso{needs: []string{"more.so"}}.bytes()
	if r := Check(t.Context(), root, run("/p"), host.Facts{Platform: lin("amd64", "v1")}); r.Verdict != Unknown || !strings.Contains(r.Reason, "more than 512 libraries") {
		t.Errorf("one more: %s %s", r.Verdict, r.Reason)
	}
}

// TestLevelsOfLibraries: glibc since 2.33 looks at the levels that libraries ask for;
// nobody else does.
func TestLevelsOfLibraries(t *testing.T) {
	lib := func(bits uint32) []byte { return elfSpec{Type: 3, Notes: kernelcases.ISANote(bits)}.Bytes() }
	for _, tt := range []struct {
		bits   uint32
		level  string
		loader string
		want   Verdict
	}{
		{0, "v1", likeGlibc, Native}, {1, "v1", likeGlibc, Native}, {2, "v2", likeGlibc, Native}, {4, "v3", likeGlibc, Native}, {8, "v4", likeGlibc, Native},
		{2, "v1", likeGlibc, IllegalInstruction}, {4, "v2", likeGlibc, IllegalInstruction}, {8, "v3", likeGlibc, IllegalInstruction}, {16, "v4", likeGlibc, IllegalInstruction},
		{8, "v1", likeMusl, Native}, {8, "v1", likeOldGlibc, Native}, {8, "", likeGlibc, Unknown},
	} {
		root := memRoot{"/p": dso{needs: []string{"a.so", "b.so"}}.bytes(), "/ld": loaderLike(tt.loader), "/lib/a.so": lib(tt.bits), "/lib/b.so": lib(32)}
		if tt.want != IllegalInstruction {
			root["/lib/b.so"] = lib(0)
		}
		r := Check(t.Context(), root, run("/p"), host.Facts{Platform: lin("amd64", tt.level)})
		if r.Verdict != tt.want || tt.want == IllegalInstruction && (r.ExitCode != 127 || !strings.HasPrefix(r.Reason, "/lib/a.so asks for CPU level")) {
			t.Errorf("bits %#x on %s: %s %d %s", tt.bits, tt.level, r.Verdict, r.ExitCode, r.Reason)
		}
	}
}
