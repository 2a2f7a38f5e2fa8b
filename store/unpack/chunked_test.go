package unpack

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/chunked/compressor"

	"github.com/mpull/mpull/integration/testenv"
)

func zstdText(t testing.TB, text string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll([]byte(text), nil)
}

// TestJudge refuses what a layer says of itself before anything is written.
func TestJudge(t *testing.T) {
	needStore(t)
	entry := func(text string) string { return `{"version":1,"entries":[` + text + `]}` }
	many := func(n int, size string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"type":"reg","name":"f%d","size":%s}`, i, size))
		}
		return entry(strings.Join(all, ","))
	}
	for name, c := range map[string]struct {
		list, record string
		refused      string // "": it is taken
	}{
		"sound":              {entry(`{"type":"reg","name":"a","size":3,"chunkSize":3}`), "{}", ""},
		"other fields":       {`{"version":1,"x":{"entries":[{"size":-1}]},"entries":[]}`, "{}", ""},
		"no list":            {`[]`, "{}", "no list"},
		"cut":                {`{"entries":[{"size":3}`, "{}", "no list"},
		"negative":           {entry(`{"size":-3}`), "{}", "file of -3"},
		"huge zeros":         {entry(fmt.Sprintf(`{"size":3,"chunkSize":%d,"chunkType":"zeros"}`, int64(math.MaxInt64))), "{}", "with a part of"},
		"many large":         {many(99, "1000000000000"), "{}", "are free"},
		"second list":        {`{"entries":[],"ENTRIES":[{"size":-1}]}`, "{}", "file of -1"},
		"more than a layer":  {many(20, "1"), "{}", "limit of 10 entries"},
		"more bytes":         {entry(`{"size":2000}`), "{}", "limit of 1000"},
		"endless list":       {entry(strings.Repeat(" ", maxDescription)), "{}", "too long"},
		"no such parent":     {entry(`{"type":"reg","name":"a/b"}`), "{}", "no directory"},
		"below a file":       {entry(`{"type":"reg","name":"a"},{"type":"reg","name":"a/b"}`), "{}", "no directory"},
		"twice":              {entry(`{"type":"reg","name":"a"},{"type":"reg","name":"./a"}`), "{}", "twice"},
		"no attribute":       {entry(`{"type":"reg","name":"a","xattrs":{"user.x":"?"}}`), "{}", "no attribute"},
		"link to nothing":    {entry(`{"type":"hardlink","name":"b","linkName":"a"}`), "{}", "no file"},
		"no time":            {entry(`{"type":"dir","name":"a","modtime":"now"}`), "{}", "no list"},
		"two lists":          {entry("") + entry(""), "{}", "something follows"},
		"text behind":        {entry("") + "x", "{}", "something follows"},
		"no number":          {entry(`{"size":"3"}`), "{}", "no list"},
		"endless tar-record": {entry(""), strings.Repeat(" ", maxDescription+1), "too long"},
	} {
		s := &stager{store: newStore(t)}
		if strings.HasPrefix(name, "more") {
			s.opts = Options{MaxEntries: 10, MaxBytes: 1000}
		}
		err := s.judge([][]byte{zstdText(t, c.list), zstdText(t, c.record)}, newListedTree())
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestChunkedLies has layers whose parts, or what they say of them, are not what
// they should be: such a layer comes whole, and is what its digests say.
func TestChunkedLies(t *testing.T) {
	first, second := chunkedBlob(t, "one"), chunkedBlob(t, "two")
	for name, lie := range map[string]func(l *Layer, data []byte, off int64) []byte{
		"cut":         func(_ *Layer, data []byte, _ int64) []byte { return data[:len(data)/2] },
		"nothing":     func(*Layer, []byte, int64) []byte { return nil },
		"other bytes": func(_ *Layer, data []byte, _ int64) []byte { return bytes.Repeat([]byte{7}, len(data)) },
		"one bit":     func(_ *Layer, data []byte, _ int64) []byte { c := bytes.Clone(data); c[len(c)/2] ^= 1; return c },
		"a file's bits": func(_ *Layer, data []byte, off int64) []byte {
			c := bytes.Clone(data)
			c[len(c)-1] ^= byte(min(1, 4096/(off+1)))
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			fetchChunked(t, setting{}, store, first, nil)
			fetchChunked(t, setting{}, store, second, lie)
		})
	}
	for name, annotation := range map[string]string{
		"beyond the blob": "9999999999:10:10:1", "overflow": "18446744073709551615:18446744073709551615:1:1", "text": "x", "another place": "0:100:100:1", "huge": "0:100:18446744073709551615:1",
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			fetchChunked(t, setting{}, store, first, nil)
			bent := second
			bent.annotations = map[string]string{}
			for k, v := range second.annotations {
				bent.annotations[k] = v
			}
			bent.annotations["io.github.containers.zstd-chunked.manifest-position"] = annotation
			fetchChunked(t, setting{}, store, bent, nil)
		})
	}
	t.Run("vfs", func(t *testing.T) { // where nobody asks for parts
		in := setting{driver: "vfs"}
		store := in.newStore(t)
		fetchChunked(t, in, store, first, nil)
		fetchChunked(t, in, store, second, func(l *Layer, data []byte, _ int64) []byte {
			t.Errorf("a part of %s was asked for", l.Digest)
			return data
		})
	})
	t.Run("another list", func(t *testing.T) { // of files that are here, so that nothing else need come
		store := newStore(t)
		fetchChunked(t, setting{}, store, first, nil)
		bent := first
		bent.diffID, bent.whole = second.diffID, second.whole
		fetchChunked(t, setting{}, store, bent, nil)
	})
}

// TestChunkedInEachSetting has what comes in parts be what comes whole, however
// the store writes it.
func TestChunkedInEachSetting(t *testing.T) {
	needStore(t)
	since := time.Now().Add(-time.Second)
	first, second := chunkedBlob(t, "one"), chunkedBlob(t, "two")
	inEachSetting(t, func(t *testing.T, _ int, in setting) {
		parts, whole := in.newStore(t), in.newStore(t)
		fetchChunked(t, in, parts, first, nil)
		fetchChunked(t, in, parts, second, nil)
		plain := second
		plain.annotations = nil
		fetchChunked(t, in, whole, plain, nil)
		id := ChainIDs([]Layer{second.layer()})[0]
		compare(t, lines(t, filesOf(parts, id), since), lines(t, filesOf(whole, id), since))
		compare(t, tarSplit(t, parts, id), tarSplit(t, whole, id))
	})
}

// TestChunkedSame has layers of all kinds come in parts, and whole.
func TestChunkedSame(t *testing.T) {
	needStore(t)
	first, partly := chunkedBlob(t, "one"), 0
	all := kinds()
	if testenv.Short(t) {
		all = ordinaryKinds()
	}
	for _, k := range all {
		t.Run(k.name, func(t *testing.T) {
			since := time.Now().Add(-time.Second)
			made := k.blob(t, canaryDir(t))
			in, err := decompress(bytes.NewReader(made.compressed), func(int64) (func(), error) { return func() {}, nil })
			if err != nil {
				return // no tool makes a layer of that
			}
			plain, err := io.ReadAll(io.LimitReader(in, 64<<20))
			if err := errors.Join(err, in.Close()); err != nil {
				return // no tool makes a layer of that
			}
			c, err := asChunked(plain)
			if err != nil || len(c.annotations) == 0 {
				return // no tool makes a layer that lists its files of that
			}
			fetch := func(annotations map[string]string, note func(string)) ([]string, error) {
				store := newStore(t)
				fetchChunked(t, setting{}, store, first, nil)
				l := c.layer()
				l.Annotations = annotations
				open := func(context.Context, Layer) (io.ReadCloser, error) {
					return io.NopCloser(bytes.NewReader(c.whole)), nil
				}
				result, err := setting{}.fetch(t.Context(), store, []Layer{l}, open, Options{Chunked: &Chunked{Parts: c.parts, Debug: note}})
				if err != nil {
					return nil, err
				}
				id := result.IDs[0]
				return append(lines(t, filesOf(store, id), since), tarSplit(t, store, id)...), nil
			}
			cause := ""
			parts, err := fetch(c.annotations, func(text string) { cause = text })
			whole, wholeErr := fetch(nil, func(string) {})
			if fmt.Sprint(err) != fmt.Sprint(wholeErr) {
				t.Errorf("in parts: %v; whole: %v", err, wholeErr)
			}
			compare(t, parts, whole)
			if cause == "" && err == nil {
				partly++
			} else {
				t.Log(cause, err)
			}
		})
	}
	if partly < len(all)/5 {
		t.Errorf("only %d kinds of layers came in parts", partly)
	}
}

type chunkedLayer struct {
	data, whole []byte // whole: what the opener gives
	annotations map[string]string
	diffID      digest.Digest
}

func (c chunkedLayer) layer() Layer {
	return Layer{Digest: digest.FromBytes(c.whole), Size: int64(len(c.whole)), DiffID: c.diffID, MediaType: mediaZstd, Annotations: c.annotations}
}

func fetchChunked(t *testing.T, in setting, store storage.Store, c chunkedLayer, lie func(l *Layer, data []byte, off int64) []byte) {
	t.Helper()
	l := c.layer()
	parts := c.parts
	if lie != nil {
		parts = func(ctx context.Context, l Layer, wanted []Part) (Parts, error) {
			got, err := c.parts(ctx, l, wanted)
			if err != nil {
				return nil, err
			}
			for i, h := range got.(*partsOf).held {
				got.(*partsOf).held[i] = lie(&l, h, wanted[i].Offset)
			}
			return got, nil
		}
	}
	open := func(context.Context, Layer) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(c.whole)), nil
	}
	result, err := in.fetch(t.Context(), store, []Layer{l}, open, Options{Chunked: &Chunked{Parts: parts}})
	if err != nil {
		t.Fatal(err)
	}
	made, err := store.Layer(result.IDs[0])
	if err != nil || made.UncompressedDigest != c.diffID {
		t.Fatalf("%+v, %v", made, err)
	}
	s := &stager{store: store}
	if in.spools() {
		s.survey, s.opts.Library = &Survey{}, in.library(store)
	}
	tar, err := s.tarOf(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer tar.Close()
	if got, err := digest.Canonical.FromReader(tar); err != nil || got != c.diffID {
		t.Errorf("read back it is %s, %v", got, err)
	}
	if left, err := os.ReadDir(store.GraphRoot() + "/overlay/staging"); err == nil && len(left) > 0 {
		t.Errorf("%d staged directories are left", len(left))
	}
}

// parts gives parts of the blob.
func (c chunkedLayer) parts(_ context.Context, _ Layer, wanted []Part) (Parts, error) {
	var h held
	for _, w := range wanted {
		if w.Offset+w.Length > int64(len(c.data)) {
			return nil, io.ErrUnexpectedEOF
		}
		h = append(h, c.data[w.Offset:w.Offset+w.Length])
	}
	return &partsOf{held: h}, nil
}

// partsOf counts as what was asked for, not as what is in memory already.
type partsOf struct{ held }

// chunkedBlob is a layer that lists its files, some of which every such layer has.
func chunkedBlob(t testing.TB, text string) chunkedLayer {
	t.Helper()
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	if err := w.WriteHeader(&tar.Header{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		data := bytes.Repeat([]byte(fmt.Sprint("file ", i)), 500)
		if i%10 == 0 {
			data = bytes.Repeat([]byte(text), 1000)
		}
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprint("dir/f", i), Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := asChunked(plain.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// asChunked compresses a tar as podman and buildah do for a layer that lists its
// files; err tells why they do not.
func asChunked(plain []byte) (c chunkedLayer, err error) {
	var blob bytes.Buffer
	annotations := map[string]string{}
	z, err := compressor.ZstdCompressor(&blob, annotations, nil)
	if err != nil {
		return c, err
	}
	_, err = z.Write(plain)
	err = errors.Join(err, z.Close())
	return chunkedLayer{blob.Bytes(), blob.Bytes(), annotations, digest.FromBytes(plain)}, err
}

// FuzzListed reads lists that anybody may have written: whatever is set right
// afterwards lies in a directory that the list names.
func FuzzListed(f *testing.F) {
	f.Add([]byte(`{"version":1,"entries":[{"type":"dir","name":"a/","mode":493},{"type":"symlink","name":"a/b","linkName":"/","uid":7,"modtime":"2021-02-03T04:05:06Z"}]}`))
	f.Add([]byte(`{"entries":[{"type":"reg","name":"x","xattrs":{"security.capability":"AQ=="}},{"type":"hardlink","name":"y","linkName":"x"},{"type":"char","name":"../n","devMajor":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tree := newListedTree()
		_ = eachListed(bytes.NewReader(data), tree.add) // what it refuses comes whole
		for _, hdr := range tree.later {
			dir, _ := split(hdr.Name)
			if in := tree.seen[dir]; dir != "/" && (in == nil || in.Typeflag != tar.TypeDir) {
				t.Errorf("%q lies in no directory of the list", hdr.Name)
			}
		}
	})
}
