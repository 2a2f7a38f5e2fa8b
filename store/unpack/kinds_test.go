package unpack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
)

// kind is one kind of layer, tried on top of a plain one.
type kind struct {
	name string
	// blob builds the layer; canary is a directory outside of the store that
	// hostile layers try to reach.
	blob func(t testing.TB, canary string) blob
	// refused says that this package leaves the layer to the library.
	refused bool
}

// tarKind is a kind described by its entries, compressed with gzip.
func tarKind(name string, refused bool, fill func(b *tarball, canary string)) kind {
	return kind{name, func(t testing.TB, canary string) blob {
		b := newTar(t)
		fill(b, canary)
		return gzipped(t, b.bytes())
	}, refused}
}

// rawKind is a kind described by the bytes of its tar.
func rawKind(name string, refused bool, plain func(t testing.TB) []byte) kind {
	return kind{name, func(t testing.TB, _ string) blob { return gzipped(t, plain(t)) }, refused}
}

func kinds() []kind {
	all := append(ordinaryKinds(), hostileKinds()...)
	return append(append(all, rawKinds()...), compressedKinds()...)
}

func ordinaryKinds() []kind {
	return []kind{
		tarKind("empty", false, func(*tarball, string) {}),
		tarKind("files in directories", false, func(b *tarball, _ string) {
			b.dir("a").dir("a/b/").file("a/b/c", "data").file("a/empty", "").file("top", many(100000, "0123456789"))
		}),
		tarKind("root entry", false, func(b *tarball, _ string) {
			b.add(tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o750, Uid: 7, Gid: 8}, "").file("./x", "y")
		}),
		tarKind("implied parents", false, func(b *tarball, _ string) { b.file("p/q/r/s", "deep") }),
		tarKind("absolute names", false, func(b *tarball, _ string) { b.dir("/abs").file("/abs/f", "1").file("//abs//g", "2") }),
		tarKind("permission bits", false, func(b *tarball, _ string) {
			for _, m := range []int64{0o4755, 0o2755, 0o1777, 0o6711, 0o7777, 0o001, 0o170644} {
				b.add(tar.Header{Name: fmt.Sprintf("f%o", m), Mode: m, Uid: 9, Gid: 9}, "x")
				b.add(tar.Header{Name: fmt.Sprintf("d%o", m), Mode: m, Typeflag: tar.TypeDir}, "")
			}
		}),
		tarKind("setgid parent", false, func(b *tarball, _ string) {
			b.add(tar.Header{Name: "g", Mode: 0o2777, Gid: 44, Typeflag: tar.TypeDir}, "")
			b.add(tar.Header{Name: "g/f"}, "x").file("g/implied/f", "x").add(tar.Header{Name: "g/.wh.w"}, "")
		}),
		tarKind("hard links", false, func(b *tarball, _ string) {
			b.file("f", "data").link("l", "f").link("d/l2", "/f").symlink("s", "nowhere").link("ls", "s").link("l3", "./d/../f")
		}),
		tarKind("symbolic links", false, func(b *tarball, _ string) {
			b.symlink("abs", "/etc").symlink("rel", "../../up").symlink("loop", "loop").symlink("empty-ish", ".")
		}),
		tarKind("devices and pipes", false, func(b *tarball, _ string) {
			b.add(tar.Header{Name: "c", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666}, "")
			b.add(tar.Header{Name: "b", Typeflag: tar.TypeBlock, Devmajor: 259, Devminor: 70000, Mode: 0o660}, "")
			b.add(tar.Header{Name: "p", Typeflag: tar.TypeFifo, Mode: 0o4622, Uid: 3}, "")
		}),
		tarKind("whiteout with contents", true, func(b *tarball, _ string) { b.file("base/.wh.full", "with content") }),
		tarKind("whiteouts", false, func(b *tarball, _ string) {
			b.add(tar.Header{Name: "base/.wh.gone", Uid: 11, Gid: 12}, "")
			b.add(tar.Header{Name: ".wh.dir", Typeflag: tar.TypeDir}, "").file(".wh..wh.plnk", "")
		}),
		tarKind("opaque", false, func(b *tarball, _ string) { b.dir("o").file("o/.wh..wh..opq", "").file("o/new", "n") }),
		tarKind("opaque root", false, func(b *tarball, _ string) { b.file(".wh..wh..opq", "") }),
		tarKind("whiteout below whiteout", false, func(b *tarball, _ string) { b.file(".wh.foo", "").file("foo/.wh.bar", "") }),
		tarKind("whiteout prefix as parent", false, func(b *tarball, _ string) {
			b.file("a/.wh.b/c", "x").add(tar.Header{Name: "a/.wh.b", Typeflag: tar.TypeDir}, "")
		}),
		tarKind("file replaces implied directory", true, func(b *tarball, _ string) { b.file("x/y/z", "1").file("x/y", "2") }),
		tarKind("link replaces implied directory", true, func(b *tarball, _ string) {
			b.file("real/f", "1").file("x/y/z", "1").symlink("x/y", "../real").file("x/y/through", "2").file("x/y/new/deep", "3")
		}),
		tarKind("directory through link", false, func(b *tarball, _ string) {
			b.dir("real").symlink("l", "real").dir("l/sub").file("l/sub/f", "1").file("l/.wh..wh..opq", "").file("l/.wh.w", "")
		}),
		tarKind("extended attributes", false, func(b *tarball, _ string) {
			b.xattrs("u", map[string]string{"user.a": "1", "user.b": "\x00\xff", "user.empty": ""})
			b.xattrs("cap", map[string]string{"security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"})
			b.xattrs("label", map[string]string{"security.selinux": "system_u:object_r:x:s0"})
			b.xattrs("trusted", map[string]string{"trusted.overlay.opaque": "y", "trusted.x": "1"})
		}),
		tarKind("links to what has attributes", false, func(b *tarball, _ string) {
			attr := map[string]string{"security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}
			b.xattrs("cap", attr).add(tar.Header{Name: "same", Typeflag: tar.TypeLink, Linkname: "cap"}, "")
			b.xattrs("cap2", attr).link("other", "cap2")
		}),
		tarKind("noted owners", false, func(b *tarball, _ string) {
			b.add(tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755, Format: tar.FormatPAX,
				PAXRecords: map[string]string{"SCHILY.xattr.user.containers.override_stat": "5:6:0700:dir"}}, "")
			b.xattrs("f", map[string]string{"user.containers.override_stat": "1:2:0777:char-1-2"})
		}),
		tarKind("times", false, func(b *tarball, _ string) {
			old := time.Date(1901, 1, 1, 0, 0, 0, 5, time.UTC)
			for i, m := range []time.Time{old, time.Unix(0, 0), time.Unix(1, 999), time.Unix(1<<40, 0)} {
				h := tar.Header{ModTime: m, AccessTime: time.Unix(2, 3), Format: tar.FormatPAX}
				h.Name = fmt.Sprintf("f%d", i)
				b.add(h, "x")
				h.Name, h.Typeflag = fmt.Sprintf("d%d", i), tar.TypeDir
				b.add(h, "")
				h.Name, h.Typeflag, h.Linkname = fmt.Sprintf("s%d", i), tar.TypeSymlink, "x"
				b.add(h, "")
			}
		}),
		tarKind("large owners", false, func(b *tarball, _ string) {
			b.add(tar.Header{Name: "u", Uid: largeID(1<<31 + 5), Gid: largeID(1<<32 - 2)}, "x").add(tar.Header{Name: "d", Uid: 3000000, Typeflag: tar.TypeDir}, "")
			b.add(tar.Header{Name: ".wh.w", Uid: largeID(1<<31 + 5)}, "")
		}),
		tarKind("long and odd names", false, func(b *tarball, _ string) {
			b.file(many(180, "n"), "1").file(many(12, many(30, "d")+"/")+"f", "2").file("héllo/日本語", "3").file("a b\nc\t", "4")
			b.symlink("long-target", many(300, "t/")).file("\xff\xfe", "5").file("back\\slash", "6")
		}),
		tarKind("global header", false, func(b *tarball, _ string) {
			h := &tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "c"}, Format: tar.FormatPAX}
			if err := b.w.WriteHeader(h); err != nil {
				b.t.Fatal(err)
			}
			b.file("f", "x")
		}),
	}
}

func hostileKinds() []kind {
	return []kind{
		tarKind("write through absolute link", false, func(b *tarball, canary string) {
			b.symlink("l", canary).dir(canary).file("l/f", "evil").file("l/secret", "evil")
		}),
		tarKind("write through dangling link", true, func(b *tarball, canary string) { b.symlink("l", canary).file("l/secret", "evil") }),
		tarKind("write through relative link", true, func(b *tarball, canary string) {
			b.symlink("l", many(40, "../")+canary).file("l/secret", "evil")
		}),
		tarKind("link chain", true, func(b *tarball, canary string) {
			b.symlink("a", "b").symlink("b", "c").symlink("c", canary).file("a/secret", "evil")
		}),
		tarKind("link loop as parent", true, func(b *tarball, _ string) { b.symlink("a", "b").symlink("b", "a").file("a/f", "x") }),
		tarKind("names with dot dot", false, func(b *tarball, _ string) {
			b.file("../../../../x", "1").file("a/../../../y", "2").dir("..")
		}),
		tarKind("file as root", true, func(b *tarball, _ string) { b.file("../..", "") }),
		tarKind("dot dot to the canary", false, func(b *tarball, canary string) { b.file(many(40, "../")+canary+"/secret", "evil") }),
		tarKind("hard link outside", true, func(b *tarball, _ string) { b.link("passwd", "../../etc/passwd") }),
		tarKind("hard link to canary", true, func(b *tarball, canary string) { b.link("l", canary+"/secret") }),
		tarKind("hard link through link", true, func(b *tarball, canary string) { b.symlink("s", canary).link("l", "s/secret") }),
		tarKind("hard link to root", true, func(b *tarball, _ string) { b.link("l", "/") }),
		tarKind("prefix sibling", true, func(b *tarball, canary string) {
			b.symlink("l", canary+"-sibling").file("l/secret", "evil")
		}),
		tarKind("whiteout through link", true, func(b *tarball, canary string) { b.symlink("l", canary).file("l/.wh.secret", "") }),
		tarKind("opaque through link", true, func(b *tarball, canary string) { b.symlink("l", canary).file("l/.wh..wh..opq", "") }),
		tarKind("directory time through link", true, func(b *tarball, canary string) {
			b.file("d/x/f", "1").symlink("d/x", canary).dir("e").dir("e/s")
		}),
		tarKind("directory then link", false, func(b *tarball, canary string) {
			b.dir("d").dir("d/sub").symlink("e", "d").dir("e/sub/s2").symlink("./d/sub/s3", canary)
		}),
		tarKind("root is a link", true, func(b *tarball, canary string) { b.symlink("./", canary).file("secret", "evil") }),
		tarKind("whiteout of nothing", true, func(b *tarball, _ string) { b.file(".wh.", "") }),
		tarKind("whiteout of parent", true, func(b *tarball, _ string) { b.file("a/.wh...", "") }),
		tarKind("whiteout of own file", true, func(b *tarball, _ string) { b.file("f", "x").file(".wh.f", "") }),
		tarKind("duplicate name", true, func(b *tarball, _ string) { b.file("f", "1").file("./f", "2") }),
		tarKind("name too long", true, func(b *tarball, _ string) { b.file(many(256, "n"), "x") }),
		tarKind("path too long", true, func(b *tarball, _ string) { b.file(many(1400, "ab/")+"f", "x") }),
		tarKind("attribute name too long", true, func(b *tarball, _ string) { b.xattrs("f", map[string]string{"user." + many(300, "n"): "1"}) }),
		tarKind("attribute too large", true, func(b *tarball, _ string) { b.xattrs("f", map[string]string{"user.n": many(70000, "v")}) }),
		tarKind("attribute of unknown space", false, func(b *tarball, _ string) { b.xattrs("f", map[string]string{"nospace": "v"}) }),
		tarKind("deep directories", false, func(b *tarball, _ string) { b.dir(many(900, "d/")).file(many(900, "d/")+"f", "x") }),
		tarKind("thousands of opaque whiteouts", false, func(b *tarball, _ string) {
			for i := range 5000 {
				b.file(fmt.Sprintf("o/f%d", i), "")
			}
			for i := range 5000 {
				b.file(fmt.Sprintf("o/d%d/.wh..wh..opq", i), "")
			}
		}),
	}
}

func rawKinds() []kind {
	end := make([]byte, 1024)
	plain := func(t testing.TB) []byte { return newTar(t).dir("d").file("d/f", many(1000, "x")).bytes() }
	return []kind{
		rawKind("no bytes", false, func(testing.TB) []byte { return nil }),
		rawKind("zero blocks", false, func(testing.TB) []byte { return make([]byte, 10240) }),
		rawKind("truncated in header", true, func(t testing.TB) []byte { return plain(t)[:700] }),
		rawKind("truncated in data", true, func(t testing.TB) []byte { return plain(t)[:1800] }),
		rawKind("truncated in padding", true, func(t testing.TB) []byte { return plain(t)[:2030] }),
		rawKind("no end", false, func(t testing.TB) []byte { b := plain(t); return b[:len(b)-1024] }),
		rawKind("half an end", false, func(t testing.TB) []byte { b := plain(t); return b[:len(b)-512] }),
		rawKind("garbage after end", false, func(t testing.TB) []byte { return append(plain(t), many(3000, "garbage")...) }),
		rawKind("zeros after end", false, func(t testing.TB) []byte { return append(plain(t), make([]byte, 3<<20)...) }),
		rawKind("second archive after end", false, func(t testing.TB) []byte { return append(plain(t), newTar(t).file("z", "z").bytes()...) }),
		rawKind("not a tar", true, func(testing.TB) []byte { return []byte(many(1000, "not a tar ")) }),
		rawKind("bad checksum", true, func(t testing.TB) []byte { b := plain(t); b[150]++; return b }),
		rawKind("NUL in name", false, func(testing.TB) []byte {
			return join(rawHeader("a\x00b", '0', 0, nil), end)
		}),
		rawKind("NUL in PAX name", true, func(testing.TB) []byte {
			rec := padded("14 path=a\x00bcd\n")
			return join(rawHeader("h", 'x', 14, nil), rec, rawHeader("a", '0', 0, nil), end)
		}),
		rawKind("unknown type", true, func(testing.TB) []byte { return join(rawHeader("f", 'Z', 0, nil), end) }),
		rawKind("contiguous file", true, func(testing.TB) []byte { return join(rawHeader("f", '7', 3, nil), padded("abc"), end) }),
		rawKind("old regular file", false, func(testing.TB) []byte {
			return join(rawHeader("d/", 0, 0, nil), rawHeader("d/f", 0, 3, nil), padded("abc"), end)
		}),
		rawKind("directory with size", true, func(testing.TB) []byte {
			return join(rawHeader("d/", '5', 512, nil), rawHeader("d/f", '0', 3, nil), padded("abc"), end)
		}),
		rawKind("negative owner", false, func(testing.TB) []byte {
			return join(rawHeader("f", '0', 0, func(h []byte) { copy(h[108:116], "\xff\xff\xff\xff\xff\xff\xff\xfe") }), end)
		}),
		rawKind("owner that changes nothing", false, func(testing.TB) []byte {
			return join(rawHeader("f", '0', 0, func(h []byte) { copy(h[108:116], "\xff\xff\xff\xff\xff\xff\xff\xff") }), end)
		}),
		rawKind("huge sparse map", true, func(testing.TB) []byte {
			pax := paxRecords("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", "s", "GNU.sparse.realsize", "1099511627776")
			body := []byte(many(1<<20, "1\n1\n") + "")
			body = append([]byte("99999999\n"), body...)
			return join(rawHeader("x", 'x', int64(len(pax)), nil), padded(pax), rawHeader("s", '0', int64(len(body)), nil), padded(string(body)), end)
		}),
		rawKind("sparse file", true, func(testing.TB) []byte {
			pax := paxRecords("GNU.sparse.map", "0,3", "GNU.sparse.size", "1000000", "GNU.sparse.numblocks", "1")
			return join(rawHeader("x", 'x', int64(len(pax)), nil), padded(pax), rawHeader("s", '0', 3, nil), padded("abc"), end)
		}),
		rawKind("old sparse file", true, func(testing.TB) []byte {
			return join(rawHeader("s", 'S', 0, func(h []byte) { copy(h[257:], "ustar  \x00"); copy(h[483:], "00000000012\x00") }), end)
		}),
	}
}

// paxRecords formats the body of an extended header.
func paxRecords(pairs ...string) string {
	out := ""
	for i := 0; i < len(pairs); i += 2 {
		rest := " " + pairs[i] + "=" + pairs[i+1] + "\n"
		n := len(rest) + 2
		for len(fmt.Sprint(n))+len(rest) != n {
			n++
			if n > len(rest)+8 {
				n = len(rest) + 1
			}
		}
		out += fmt.Sprint(n) + rest
	}
	return out
}

func compressedKinds() []kind {
	plain := func(t testing.TB) []byte {
		return newTar(t).dir("d").file("d/f", many(300000, "abcdefgh")).file("d/g", "g").bytes()
	}
	return []kind{
		{"uncompressed", func(t testing.TB, _ string) blob {
			b := plain(t)
			return blob{b, digest.FromBytes(b), mediaTar}
		}, false},
		{"uncompressed called gzip", func(t testing.TB, _ string) blob {
			b := plain(t)
			return blob{b, digest.FromBytes(b), mediaGzip}
		}, false},
		{"zstd", func(t testing.TB, _ string) blob {
			b := plain(t)
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			return blob{w.EncodeAll(b, nil), digest.FromBytes(b), mediaZstd}
		}, false},
		{"zstd in several frames", func(t testing.TB, _ string) blob {
			b := plain(t)
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			return blob{w.EncodeAll(b[1000:], w.EncodeAll(b[:1000], nil)), digest.FromBytes(b), mediaZstd}
		}, false},
		{"gzip in several members", func(t testing.TB, _ string) blob {
			b := plain(t)
			return blob{join(gzipped(t, b[:777]).compressed, gzipped(t, b[777:]).compressed), digest.FromBytes(b), mediaGzip}
		}, false},
		{"gzip with name and comment", func(t testing.TB, _ string) blob {
			b := plain(t)
			var buf bytes.Buffer
			w := gzip.NewWriter(&buf)
			w.Name, w.Comment, w.Extra = "n", "c", []byte("extra")
			if _, err := w.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return blob{buf.Bytes(), digest.FromBytes(b), mediaGzip}
		}, false},
		{"garbage after gzip", func(t testing.TB, _ string) blob {
			b := gzipped(t, plain(t))
			b.compressed = append(b.compressed, many(100, "garbage")...)
			return b
		}, true},
		{"truncated gzip", func(t testing.TB, _ string) blob {
			b := gzipped(t, plain(t))
			b.compressed = b.compressed[:len(b.compressed)-9]
			return b
		}, true},
		{"damaged gzip", func(t testing.TB, _ string) blob {
			b := gzipped(t, plain(t))
			b.compressed[len(b.compressed)/2] ^= 0x40
			return b
		}, true},
		{"bzip2", func(t testing.TB, _ string) blob {
			return blob{[]byte("BZh9\x17\x72\x45\x38\x50\x90\x00\x00\x00\x00"), digest.FromBytes(nil), mediaGzip}
		}, true},
	}
}

// largeID is an owner's number, or the largest that a program of 32 bits can name.
func largeID(id uint32) int { return int(min(uint64(id), uint64(math.MaxInt))) }
