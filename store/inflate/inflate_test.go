package inflate

import (
	"bufio"
	"bytes"
	"compress/flate"
	stdgzip "compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
)

// kinds are contents that use what the format has: long and short codes, far and
// near matches, runs, none at all.
func kinds() map[string][]byte {
	lot := rand.New(rand.NewChaCha8([32]byte{}))
	noise := make([]byte, 200<<10)
	for i := range noise {
		noise[i] = byte(lot.Uint32())
	}
	var words, skewed bytes.Buffer
	for words.Len() < 600<<10 {
		fmt.Fprintf(&words, "%x ", lot.Uint64()>>lot.IntN(60))
	}
	for skewed.Len() < 300<<10 { // codes of all lengths
		b, n := byte(0), lot.Uint32()
		for ; n&1 == 1; n >>= 1 {
			b++
		}
		skewed.WriteByte(b * 7)
	}
	far := bytes.Repeat(noise[:32<<10], 5) // each match as far back as one may be
	kinds := map[string][]byte{
		"empty": {}, "one": {'a'}, "noise": noise, "words": words.Bytes(), "skewed": skewed.Bytes(), "far": far,
		"zeros": make([]byte, 500<<10),
	}
	for period := 2; period < 12; period++ {
		kinds[fmt.Sprint("period ", period)] = bytes.Repeat(noise[:period], 30000)
	}
	return kinds
}

// compressed returns data as several compressors write it.
func compressed(t testing.TB, data []byte) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	add := func(name string, w io.WriteCloser, err error, out *bytes.Buffer) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		all[name] = out.Bytes()
	}
	for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 6, 9} {
		var out bytes.Buffer
		w, err := stdgzip.NewWriterLevel(&out, level)
		add(fmt.Sprint("go ", level), w, err, &out)
		var other bytes.Buffer
		k, err := gzip.NewWriterLevel(&other, level)
		add(fmt.Sprint("klauspost ", level), k, err, &other)
	}
	return all
}

// TestSame decompresses what compressors write, with input that comes in pieces,
// and output taken in pieces.
func TestSame(t *testing.T) {
	for kind, want := range kinds() {
		for by, data := range compressed(t, want) {
			for how, in := range map[string]io.Reader{
				"whole":    bytes.NewReader(data),
				"halves":   iotest.HalfReader(bytes.NewReader(data)),
				"with EOF": iotest.DataErrReader(bytes.NewReader(data)),
			} {
				z, err := NewReader(bufio.NewReaderSize(in, 64))
				if err != nil {
					t.Fatal(err)
				}
				var got bytes.Buffer
				_, err = io.CopyBuffer(struct{ io.Writer }{&got}, z, make([]byte, 777))
				if err != nil || !bytes.Equal(got.Bytes(), want) {
					t.Errorf("%s by %s, %s: %d bytes and %v, want %d", kind, by, how, got.Len(), err, len(want))
				}
			}
		}
	}
}

// TestMembers reads one member after the other, and says where they do not end.
func TestMembers(t *testing.T) {
	one := compressed(t, []byte("one "))["go 6"]
	empty := compressed(t, nil)["go 6"]
	for name, tt := range map[string]struct {
		data []byte
		want string
		err  error
	}{
		"three":        {bytes.Join([][]byte{one, empty, one}, nil), "one one ", nil},
		"garbage":      {bytes.Join([][]byte{one, []byte("no member at all")}, nil), "one ", stdgzip.ErrHeader},
		"part":         {bytes.Join([][]byte{one, one[:5]}, nil), "one ", io.ErrUnexpectedEOF},
		"no trailer":   {one[:len(one)-8], "one ", io.ErrUnexpectedEOF},
		"other length": {append(bytes.Clone(one[:len(one)-4]), 9, 0, 0, 0), "one ", stdgzip.ErrChecksum},
		"other sum":    {append(bytes.Clone(one[:len(one)-8]), 0, 0, 0, 0, 4, 0, 0, 0), "one ", stdgzip.ErrChecksum},
	} {
		z, err := NewReader(bufio.NewReader(bytes.NewReader(tt.data)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(z)
		if string(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q and %v, want %q and %v", name, got, err, tt.want, tt.err)
		}
	}
}

// TestHeader reads all that a header may have.
func TestHeader(t *testing.T) {
	var out bytes.Buffer
	w := stdgzip.NewWriter(&out)
	w.Name, w.Comment, w.Extra = "a name", "a comment", []byte("extra")
	if _, err := w.Write([]byte("data")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole := out.Bytes()
	z, err := NewReader(bufio.NewReader(bytes.NewReader(whole)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); string(got) != "data" || err != nil {
		t.Errorf("%q and %v", got, err)
	}
	for n := range 10 + 2 + 5 + 7 + 10 {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := NewReader(bufio.NewReader(bytes.NewReader(whole[:n]))); !errors.Is(err, want) {
			t.Errorf("%d bytes: %v, want %v", n, err, want)
		}
	}
	broken := errors.New("broken")
	if _, err := NewReader(bufio.NewReader(iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestCutShort reads every beginning of a stream: what comes is a beginning of the
// data, and an error.
func TestCutShort(t *testing.T) {
	want := kinds()["words"][:3000]
	for by, data := range compressed(t, want) {
		for n := 10; n < len(data); n++ {
			for _, cause := range []error{io.EOF, errors.New("broken")} {
				z, err := NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(cause))))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(z)
				if !bytes.HasPrefix(want, got) {
					t.Fatalf("%s, cut at %d: other data", by, n)
				}
				if expected := unexpected(cause); !errors.Is(err, expected) {
					t.Fatalf("%s, cut at %d: %v, want %v", by, n, err, expected)
				}
			}
		}
	}
}

// bitWriter writes what a compressor would not.
type bitWriter struct {
	out   []byte
	count int
}

// put adds the lowest n bits of v.
func (w *bitWriter) put(v, n int) *bitWriter {
	for i := range n {
		if w.count%8 == 0 {
			w.out = append(w.out, 0)
		}
		w.out[w.count/8] |= byte(v>>i&1) << (w.count % 8)
		w.count++
	}
	return w
}

// code adds a code, which begins with its highest bit.
func (w *bitWriter) code(v, n int) *bitWriter {
	for i := n - 1; i >= 0; i-- {
		w.put(v>>i, 1)
	}
	return w
}

// TestDamaged gives what no compressor writes.
func TestDamaged(t *testing.T) {
	begin := func(kind int) *bitWriter { return new(bitWriter).put(1, 1).put(kind, 2) }
	dynamic := func(literals, distances, lengths int) *bitWriter {
		return begin(2).put(literals-257, 5).put(distances-1, 5).put(lengths-4, 4)
	}
	// simple has codes of one bit for the lengths 1 and of two for 0 and 18, in the
	// order 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1.
	simple := func(literals, distances int) *bitWriter {
		w := dynamic(literals, distances, 18)
		for i := range 18 {
			w.put(map[int]int{2: 2, 3: 2, 17: 1}[i], 3)
		}
		return w
	}
	for name, w := range map[string]*bitWriter{
		"reserved block":            begin(3),
		"stored, other complement":  begin(0).put(0, 5).put(3, 16).put(3, 16).put(0, 24),
		"too many literals":         dynamic(287, 1, 4),
		"too many distances":        dynamic(257, 31, 4),
		"too many codes of a bit":   dynamic(257, 1, 4).put(1, 3).put(1, 3).put(1, 3).put(0, 3),
		"a code missing":            dynamic(257, 1, 4).put(1, 3).put(2, 3).put(0, 3).put(0, 3),
		"no code at all":            dynamic(257, 1, 4).put(0, 12),
		"again, and nothing before": dynamic(257, 1, 4).put(1, 3).put(1, 3).put(0, 3).put(0, 3).put(0, 1),
		"more than there are":       simple(257, 1).code(3, 2).put(127, 7).code(3, 2).put(127, 7),
		"no code for the end":       simple(257, 1).code(3, 2).put(127, 7).code(3, 2).put(108, 7),
		"match before the start":    begin(1).code(1, 7).code(0, 5),
		"length 286":                begin(1).code(0b11000110, 8).code(0, 5),
		"distance 30":               begin(1).code(0x30, 8).code(1, 7).code(30, 5),
		"the one distance, other bit": simple(258, 1).
			code(3, 2).put(127, 7).code(3, 2).put(118-11, 7). // 256 zeros: 138 and 118
			code(0, 1).code(0, 1).                            // 256 and 257
			code(0, 1).                                       // distance 0
			code(1, 1).put(1, 1),
	} {
		data := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}, w.out...)
		data = append(data, make([]byte, 32)...)
		z, err := NewReader(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %d bytes and %v", name, len(got), err)
		}
		s, err := stdgzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(s); !errors.As(err, new(flate.CorruptInputError)) {
			t.Errorf("%s: %v by compress/gzip: this case does not test what it says", name, err)
		}
	}
}

// FuzzReader compares with compress/gzip, which has to agree about what is sound.
func FuzzReader(f *testing.F) {
	for _, data := range kinds() {
		for _, c := range compressed(f, data[:min(len(data), 20000)]) {
			f.Add(c)
			f.Add(append(c, c...))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 1 << 20
		var got, want []byte
		z, err := NewReader(bufio.NewReaderSize(bytes.NewReader(data), 64))
		if err == nil {
			got, err = io.ReadAll(io.LimitReader(z, most))
		}
		s, stdErr := stdgzip.NewReader(bytes.NewReader(data))
		if stdErr == nil {
			want, stdErr = io.ReadAll(io.LimitReader(s, most))
		}
		if err == nil && (stdErr != nil || !bytes.Equal(got, want)) || err != nil && stdErr == nil {
			t.Errorf("%d bytes and %v, want %d and %v", len(got), err, len(want), stdErr)
		}
	})
}

// BenchmarkReader is that of a layer's text. Bytes are those that come out.
func BenchmarkReader(b *testing.B) {
	for _, kind := range []string{"words", "skewed", "noise", "zeros"} {
		want := kinds()[kind]
		data := compressed(b, want)["go 6"]
		for by, open := range map[string]func(*bufio.Reader) (io.Reader, error){
			"mpull":     func(r *bufio.Reader) (io.Reader, error) { return NewReader(r) },
			"klauspost": func(r *bufio.Reader) (io.Reader, error) { return gzip.NewReader(r) },
			"go":        func(r *bufio.Reader) (io.Reader, error) { return stdgzip.NewReader(r) },
		} {
			b.Run(kind+"/"+by, func(b *testing.B) {
				b.SetBytes(int64(len(want)))
				for b.Loop() {
					r, err := open(bufio.NewReaderSize(bytes.NewReader(data), 32<<10))
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, struct{ io.Reader }{r}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
