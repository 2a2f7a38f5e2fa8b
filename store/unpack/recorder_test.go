package unpack

import (
	"archive/tar"
	"bytes"
	"errors"
	"reflect"
	"testing"

	splittar "github.com/vbatts/tar-split/archive/tar"
	splitstorage "github.com/vbatts/tar-split/tar/storage"
)

// TestRecorder writes a record by tar-split's packer too.
func TestRecorder(t *testing.T) {
	var ours, theirs bytes.Buffer
	r := &recorder{out: &ours, seen: map[string]struct{}{}}
	p := splitstorage.NewJSONPacker(&theirs)
	for i, name := range []string{"", "a", "./b/", "a/../c", `quo"te`, `back\slash`, "<a&b>", "new\nline", "\x7f", "ünï", "no\xffname", "\u2028", "tab\t"} {
		for _, sum := range [][]byte{nil, {}, {1, 2, 3, 4, 5, 6, 7, 8}} {
			raw := bytes.Repeat([]byte{byte(i)}, 3*i)
			e := splitstorage.Entry{Type: splitstorage.FileType, Size: int64(i * len(sum)), Payload: sum}
			e.SetName(name)
			_, want := p.AddEntry(e)
			if err := r.file(name, e.Size, sum); !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", name, err, want)
			}
			_, want = p.AddEntry(splitstorage.Entry{Type: splitstorage.SegmentType, Payload: raw})
			if err := r.segment(raw); !errors.Is(err, want) {
				t.Error(err)
			}
		}
	}
	if ours.String() != theirs.String() {
		t.Errorf("ours:\n%s\ntheirs:\n%s", &ours, &theirs)
	}
}

// TestPlainHeaders reads headers by both parsers, where one of them is spared.
func TestPlainHeaders(t *testing.T) {
	header := func(change func(*tar.Header)) []byte {
		h := &tar.Header{Name: "usr/bin/tool", Typeflag: tar.TypeReg, Mode: 0o4755, Uid: 7, Gid: 8, ModTime: testTime}
		change(h)
		var b bytes.Buffer
		if err := tar.NewWriter(&b).WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	long := many(30, "directory/") + "file"
	for name, tt := range map[string]struct {
		plain  bool
		change func(*tar.Header)
	}{
		"file":          {true, func(*tar.Header) {}},
		"sized":         {true, func(h *tar.Header) { h.Size = 12345 }},
		"directory":     {true, func(h *tar.Header) { h.Name, h.Typeflag = "usr/bin/", tar.TypeDir }},
		"symbolic link": {true, func(h *tar.Header) { h.Linkname, h.Typeflag = "../lib", tar.TypeSymlink }},
		"link":          {true, func(h *tar.Header) { h.Linkname, h.Typeflag = "usr/bin/other", tar.TypeLink }},
		"prefix":        {true, func(h *tar.Header) { h.Name = many(12, "directory/") + "file" }},
		"device":        {false, func(h *tar.Header) { h.Typeflag, h.Devmajor = tar.TypeChar, 5 }},
		"long name":     {false, func(h *tar.Header) { h.Name = long }},
		"attributes":    {false, func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.xattr.user.a": "b"} }},
		"GNU":           {false, func(h *tar.Header) { h.Format = tar.FormatGNU }},
		"large ID":      {false, func(h *tar.Header) { h.Uid, h.Format = 1<<30, tar.FormatGNU }},
	} {
		raw := header(tt.change)
		if got := isPlain(raw); got != tt.plain {
			t.Errorf("%s: plain %t, want %t", name, got, tt.plain)
		}
		if !tt.plain {
			continue
		}
		recorded, err := splittar.NewReader(bytes.NewReader(raw)).Next()
		if err != nil {
			t.Fatal(err)
		}
		want, err := tar.NewReader(bytes.NewReader(raw)).Next()
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseHeader(append(make([]byte, 100), raw...), 100, recorded)
		// Of these nothing is made.
		want.Format, want.Uname, want.Gname, want.Devmajor, want.Devminor = 0, "", "", 0, 0
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v: %v", name, got, want, err)
		}
	}
	for name, change := range map[string]func([]byte){
		"a link with contents": func(b []byte) { b[156], b[134] = '1', '7' },
		"base 256":             func(b []byte) { b[108] = 0x80 },
		"no number":            func(b []byte) { b[110] = '9' },
		"old type of a file":   func(b []byte) { b[156] = 0 },
		"no magic":             func(b []byte) { b[257] = 'x' },
	} {
		raw := header(func(*tar.Header) {})
		change(raw)
		if isPlain(raw) {
			t.Errorf("%s: plain", name)
		}
	}
}
