package unpack

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// paxHole is a file of PAX 1.0 that is one hole.
func paxHole(size string) []byte {
	pax := paxRecords("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", "s", "GNU.sparse.realsize", size)
	return join(rawHeader("x", 'x', int64(len(pax)), nil), padded(pax), rawHeader("s", '0', 512, nil), padded("1\n"+size+"\n0\n"))
}

// oldHole is the same in GNU tar's older form; size is octal.
func oldHole(size string) []byte {
	return rawHeader("s", 'S', 0, func(h []byte) { copy(h[257:], "ustar  \x00"); copy(h[483:], size+"\x00") })
}

func TestSurvey(t *testing.T) {
	end := make([]byte, 1024)
	plain := newTar(t).dir("d").file("d/f", many(1000, "x")).bytes()
	var z bytes.Buffer
	w, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(join(paxHole("9223372036854775807"), end)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	big := gzipped(t, make([]byte, 8<<20)).compressed
	for _, c := range []struct {
		name   string
		survey *Survey
		layers [][]byte
		what   string // of the LimitError; "" means none
	}{
		{"ordinary", &Survey{}, [][]byte{plain, gzipped(t, plain).compressed}, ""},
		{"sparse that fits", &Survey{Room: 1 << 20}, [][]byte{join(paxHole("1048576"), end)}, ""},
		{"sparse that does not", &Survey{Room: 1 << 20}, [][]byte{join(paxHole("1048577"), end)}, "sparse"},
		{"two that do not", &Survey{Room: 1 << 20}, [][]byte{join(paxHole("600000"), end), join(paxHole("600000"), end)}, "sparse"},
		{"8 EiB", &Survey{Room: 1 << 50}, [][]byte{gzipped(t, join(paxHole("9223372036854775807"), end)).compressed}, "sparse"},
		{"8 EiB, zstd", &Survey{Room: 1 << 50}, [][]byte{z.Bytes()}, "sparse"},
		{"older form", &Survey{Room: 1 << 20}, [][]byte{join(oldHole("77777777777"), end)}, "sparse"},
		{"after another file", &Survey{Room: 1 << 20}, [][]byte{join(rawHeader("f", '0', 3, nil), padded("abc"), oldHole("77777777777"), end)}, "sparse"},
		{"sparse beyond MaxBytes", &Survey{Room: 1 << 40, MaxBytes: 1 << 20}, [][]byte{join(paxHole("1048577"), end)}, "unpacked"},
		{"bytes of two layers", &Survey{MaxBytes: 15 << 20}, [][]byte{big, big}, "unpacked"},
		{"entries", &Survey{MaxEntries: 3}, [][]byte{plain, plain}, "entries"},
		{"endless header", &Survey{}, [][]byte{join(rawHeader("x", 'x', 1<<20, nil), make([]byte, 0), []byte(many(maxHeader, "x")))}, ""},
		{"headers in a row", &Survey{}, [][]byte{[]byte(strings.Repeat(string(join(rawHeader("L", 'L', 512<<10, nil), []byte(many(512<<10, "n")))), 20))}, "header"},
		{"no tar", &Survey{}, [][]byte{[]byte("garbage"), nil, gzipped(t, []byte("garbage")).compressed[:20]}, ""},
	} {
		var err error
		for _, layer := range c.layers {
			err = errors.Join(err, c.survey.Read(t.Context(), bytes.NewReader(layer)))
		}
		var limit *LimitError
		if errors.As(err, &limit) != (c.what != "") || err == nil != (c.what == "") {
			t.Errorf("%s: %v", c.name, err)
		} else if limit != nil && !strings.Contains(limit.What, c.what) {
			t.Errorf("%s: %v, want one about %s", c.name, err, c.what)
		}
	}
}

// TestSurveyEnds expands a hole of 4 EiB until its context ends.
func TestSurveyEnds(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	began := &notifying{Reader: bytes.NewReader(paxHole("4611686018427387904")), at: func() { cancel(why) }}
	s := &Survey{Room: 1<<63 - 1}
	if err := s.Read(ctx, began); !errors.Is(err, why) {
		t.Errorf("it ended with %v", err)
	}
}

// notifying calls at when its bytes are used up.
type notifying struct {
	*bytes.Reader
	at func()
}

func (n *notifying) Read(p []byte) (int, error) {
	got, err := n.Reader.Read(p)
	if n.Len() == 0 {
		n.at()
	}
	return got, err
}

// FuzzSurvey reads any bytes: it ends, and says nothing but that a limit is
// passed.
func FuzzSurvey(f *testing.F) {
	for _, plain := range plainKinds(f, f.TempDir(), 6000) {
		f.Add(plain)
	}
	f.Add(paxHole("1000000"))
	f.Add(oldHole("777"))
	f.Fuzz(func(t *testing.T, layer []byte) {
		s := &Survey{MaxBytes: 1 << 20, MaxEntries: 100, Room: 1 << 16}
		err := s.Read(t.Context(), bytes.NewReader(fixChecksums(layer)))
		var limit *LimitError
		if err != nil && !errors.As(err, &limit) {
			t.Error(err)
		}
		if n := s.sparse.Load(); err == nil && n > s.Room {
			t.Errorf("holes of %d bytes passed", n)
		}
	})
}
