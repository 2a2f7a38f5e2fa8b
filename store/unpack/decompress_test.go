package unpack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func zstdOf(t *testing.T, window int, parts ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithWindowSize(window))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if _, err := z.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := z.Flush(); err != nil { // so that the frame does not say its size
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestZstdWindow(t *testing.T) {
	text := [][]byte{[]byte("some"), []byte("text")}
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x'}
	for name, tt := range map[string]struct {
		data []byte
		want int64
	}{
		"small":           {zstdOf(t, 1<<20, text...), minZstdWindow},
		"wide":            {zstdOf(t, 64<<20, text...), 64 << 20},
		"the widest":      {zstdOf(t, 128<<20, text...), maxZstdWindow},
		"wider":           {zstdOf(t, 256<<20, text...), maxZstdWindow},
		"skippable first": {append(skippable, zstdOf(t, 1<<20, text...)...), maxZstdWindow},
		"no zstd":         {[]byte("nothing of the kind"), maxZstdWindow},
		"empty":           {nil, maxZstdWindow},
	} {
		if got := zstdWindow(bufio.NewReader(bytes.NewReader(tt.data))); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// TestWindowsWait gives wide windows to one layer after the other, and tells
// who waits.
func TestWindowsWait(t *testing.T) {
	g := NewGroup(4)
	var told []bool
	room := func(ctx context.Context) func(int64) (func(), error) {
		return func(n int64) (func(), error) {
			return g.window(ctx, n, func(waits bool) { told = append(told, waits) })
		}
	}
	data := zstdOf(t, 128<<20, []byte("first"), []byte("second"))
	one, err := decompress(bytes.NewReader(data), room(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := decompress(bytes.NewReader(data), room(ctx)); !errors.Is(err, gone) || len(told) != 2 {
		t.Errorf("while another has it: %v, told %v", err, told)
	}
	if got, err := io.ReadAll(one); string(got) != "firstsecond" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for range 2 { // closing again gives back nothing more
		if err := one.Close(); err != nil {
			t.Error(err)
		}
	}
	two, err := decompress(bytes.NewReader(data), room(t.Context()))
	if err != nil || len(told) != 2 {
		t.Fatalf("afterwards: %v, told %v", err, told)
	}
	if g.windows.TryAcquire(1) {
		t.Error("more is free than there is")
	}
	if err := two.Close(); err != nil {
		t.Error(err)
	}
	if !g.windows.TryAcquire(maxZstdWindow) {
		t.Error("not all was given back")
	}
}
