package unpack

import (
	"bufio"
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"testing"
)

// FuzzGzip compares the gzip reader with Go's own one. It may refuse more, but
// never return other bytes.
func FuzzGzip(f *testing.F) {
	for _, k := range compressedKinds() {
		b := k.blob(f, "").compressed
		f.Add(b[:min(len(b), 20000)])
	}
	f.Add(gzipped(f, nil).compressed)
	f.Add(join(gzipped(f, []byte("a")).compressed, gzipped(f, nil).compressed, gzipped(f, []byte("b")).compressed))
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 1 << 20
		var got, want []byte
		z, err := newGzip(bufio.NewReaderSize(bytes.NewReader(data), 64))
		if err == nil {
			got, err = io.ReadAll(io.LimitReader(z, most))
			if closeErr := z.Close(); err == nil {
				err = closeErr
			}
		}
		s, stdErr := stdgzip.NewReader(bytes.NewReader(data))
		if stdErr == nil {
			want, stdErr = io.ReadAll(io.LimitReader(s, most))
		}
		if err == nil && (stdErr != nil || !bytes.Equal(got, want)) {
			t.Errorf("%d bytes and no error, want %d and %v", len(got), len(want), stdErr)
		}
	})
}
