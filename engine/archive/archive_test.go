package archive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	idOf   = "6587d5f44ca3ad76d1130d1ba4536019814a7d31da66b5b3fa089071319bb636"
	someOf = "sha256:" + idOf
)

// image returns a record of one image with a change.
func record(change func(*Record)) []byte {
	r := &Record{Version: Version, Groups: []Group{{
		Name: "docker.io/library/alpine:3.15",
		Images: []Image{{
			ID: idOf, Platform: "linux/amd64", Manifest: someOf, Indexes: []digest.Digest{someOf},
			Layers:    []Layer{{Original: someOf, Blob: someOf, MediaType: imgspecv1.MediaTypeImageLayerGzip}},
			Displaced: json.RawMessage(`{"version":1,"entries":[]}`),
		}},
	}}}
	change(r)
	data, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return data
}

func TestParseRecord(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want string // of the error, "" for none
	}{
		"good":              {record(func(*Record) {}), ""},
		"no name":           {record(func(r *Record) { r.Groups[0].Name = "" }), ""},
		"a digest name":     {record(func(r *Record) { r.Groups[0].Name = "host:5000/app@" + someOf }), ""},
		"a short name":      {record(func(r *Record) { r.Groups[0].Name = "alpine:3.15" }), "not a full name"},
		"a name without":    {record(func(r *Record) { r.Groups[0].Name = "docker.io/library/alpine" }), "not a full name"},
		"an escape":         {record(func(r *Record) { r.Groups[0].Name = "docker.io/x/\x1b[2J:1" }), "invalid reference"},
		"another version":   {record(func(r *Record) { r.Version = 2 }), "version 2"},
		"a bad ID":          {record(func(r *Record) { r.Groups[0].Images[0].ID = "../../etc" }), "the ID"},
		"a bad manifest":    {record(func(r *Record) { r.Groups[0].Images[0].Manifest = "sha256:../x" }), "the digest"},
		"another algorithm": {record(func(r *Record) { r.Groups[0].Images[0].Manifest = digest.SHA512.FromString("") }), "not a SHA-256"},
		"a bad index":       {record(func(r *Record) { r.Groups[0].Images[0].Indexes[0] = "x" }), "the digest"},
		"a bad layer":       {record(func(r *Record) { r.Groups[0].Images[0].Layers[0].Blob = "" }), "the digest"},
		"a bad media type":  {record(func(r *Record) { r.Groups[0].Images[0].Layers[0].MediaType = "a\nb" }), "media type"},
		"an unknown field":  {[]byte(`{"version":1,"groups":[],"run":"rm"}`), "unknown field"},
		"no JSON":           {[]byte(`[`), "unexpected end"},
		"too long":          {make([]byte, maxDocument+1), "more than"},
		"too many layers": {record(func(r *Record) {
			r.Groups[0].Images[0].Layers = make([]Layer, maxLayers+1)
		}), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseRecord(c.data)
			if c.want == "" && (err != nil || len(r.Groups) != 1) {
				t.Errorf("got %+v, %v", r, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add(record(func(*Record) {}))
	f.Add([]byte(`{"version":1,"groups":[{"images":[{}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRecord(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRecord(again); err != nil && len(again) <= maxDocument {
			t.Errorf("what was read is not read again: %v\n%s", err, again)
		}
	})
}

// file is one entry of a tar.
type file struct {
	name string
	kind byte
	data string
}

// openPath opens an archive by its path, for the time of the test.
func openPath(tb testing.TB, path string) (*Archive, error) {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	return Open(f, path)
}

func writeTar(tb testing.TB, files ...file) string {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Typeflag: f.kind, Size: int64(len(f.data)), Mode: 0o644}
		if f.kind == tar.TypeSymlink {
			h.Size, h.Linkname = 0, f.data
		}
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if f.kind == tar.TypeReg {
			if _, err := io.WriteString(w, f.data); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "a.tar")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func TestOpenHostile(t *testing.T) {
	layout := file{layoutFile, tar.TypeReg, `{"imageLayoutVersion":"1.0.0"}`}
	for name, c := range map[string]struct {
		files []file
		want  string
	}{
		"empty":              {nil, "neither"},
		"something else":     {[]file{{"x", tar.TypeReg, "y"}}, "neither"},
		"two records":        {[]file{{recordFile, tar.TypeReg, "{}"}, {recordFile, tar.TypeReg, "{}"}}, "two files"},
		"a link as a record": {[]file{{recordFile, tar.TypeSymlink, "/etc/passwd"}}, "neither"},
		"a broken index":     {[]file{layout, {indexFile, tar.TypeReg, "["}}, "index.json"},
		"a broken list":      {[]file{{dockerFile, tar.TypeReg, "{}"}}, "manifest.json"},
		"a bad record":       {[]file{{recordFile, tar.TypeReg, `{"version":9}`}}, "version 9"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openPath(t, writeTar(t, c.files...))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestOpenForeign(t *testing.T) {
	a, err := openPath(t, writeTar(t, file{"./" + layoutFile, tar.TypeReg, "{}"},
		file{"./" + indexFile, tar.TypeReg, `{"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"x:1"}},{}]}`}))
	if err != nil {
		t.Fatal(err)
	}
	if got := foreigners(a); got != "oci-archive[x:1] oci-archive[]" {
		t.Errorf("got %s", got)
	}
	b, err := openPath(t, writeTar(t, file{dockerFile, tar.TypeReg, `[{"RepoTags":["a:1","b:1"]},{}]`}))
	if err != nil {
		t.Fatal(err)
	}
	if got := foreigners(b); got != "docker-archive[a:1 b:1] docker-archive[]" {
		t.Errorf("got %s", got)
	}
}

func foreigners(a *Archive) string {
	var all []string
	for _, f := range a.Images {
		all = append(all, fmt.Sprintf("%s%v", f.Ref.Transport().Name(), f.Names))
	}
	return strings.Join(all, " ")
}

// TestDocumentIsChecked changes a blob: its digest gives it away.
func TestDocumentIsChecked(t *testing.T) {
	good, bad := digest.FromString("good"), digest.FromString("bad")
	a, err := openPath(t, writeTar(t, file{recordFile, tar.TypeReg, `{"version":1,"groups":[]}`},
		file{blobFolder + good.Encoded(), tar.TypeReg, "good"}, file{blobFolder + bad.Encoded(), tar.TypeReg, "evil"}))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := a.Document(good); err != nil || string(data) != "good" {
		t.Errorf("got %q, %v", data, err)
	}
	if data, err := a.Document(bad); err == nil {
		t.Errorf("got %q for another digest", data)
	}
	if _, err := a.Document("sha256:../../x"); err == nil {
		t.Error("a path was taken for a digest")
	}
}

// TestWriterRoundTrip writes an archive, reads it again, and writes the same
// bytes a second time.
func TestWriterRoundTrip(t *testing.T) {
	write := func() []byte {
		var b bytes.Buffer
		w := NewWriter(&b)
		d, err := w.Document([]byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Document([]byte("{}")); err != nil || !w.Has(d) {
			t.Fatal(err)
		}
		w.Manifest(imgspecv1.Descriptor{MediaType: imgspecv1.MediaTypeImageManifest, Digest: d, Size: 2}, "docker.io/library/x:1")
		w.Docker(d, []digest.Digest{d}, "docker.io/library/x:1")
		w.Group(Group{Name: "docker.io/library/x:1", Images: []Image{{ID: d.Encoded(), Manifest: d}}})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	first := write()
	if !bytes.Equal(first, write()) {
		t.Error("two archives of one content differ")
	}
	path := filepath.Join(t.TempDir(), "a.tar")
	if err := os.WriteFile(path, first, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := openPath(t, path)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Record.Groups) != 1 || a.Record.Groups[0].Name != "docker.io/library/x:1" {
		t.Errorf("record %+v", a.Record)
	}
	if err := os.WriteFile(path+".gz", []byte{0x1f, 0x8b, 8}, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openPath(t, path+".gz"); !errors.Is(err, ErrNotArchive) {
		t.Errorf("a compressed file: %v", err)
	}
}

// TestCompressorsAreRepeatable: what is found out about a layer must be true
// the next time.
func TestCompressorsAreRepeatable(t *testing.T) {
	input := bytes.Repeat([]byte("some layer "), 300_000)
	for _, mediaType := range []string{imgspecv1.MediaTypeImageLayer, imgspecv1.MediaTypeImageLayerGzip, imgspecv1.MediaTypeImageLayerZstd} {
		for _, c := range Compressors(mediaType) {
			var sums [2]digest.Digest
			for i := range sums {
				var b bytes.Buffer
				w, err := c.New(&b)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(input); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				sums[i] = digest.FromBytes(b.Bytes())
			}
			if sums[0] != sums[1] {
				t.Errorf("%s, %s: two outputs differ", mediaType, c.Name)
			}
		}
	}
	if c := Compressors("application/x-unknown"); c != nil {
		t.Errorf("compressors of an unknown type: %v", c)
	}
}
