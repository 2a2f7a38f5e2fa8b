package unpack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"go.podman.io/storage/pkg/archive"
)

// TestGateLetsThrough passes every kind of layer through a gate: what comes out
// is what decompressing gives, to the last byte.
func TestGateLetsThrough(t *testing.T) {
	for _, k := range kinds() {
		blob := k.blob(t, t.TempDir()).compressed
		if archive.DetectCompression(blob) != archive.Gzip {
			continue
		}
		// The library decompresses with pigz where that is installed, which takes garbage
		// after the end.
		z, err := archive.DecompressStream(bytes.NewReader(blob))
		if err != nil {
			t.Fatal(err)
		}
		want, wantErr := io.ReadAll(z)
		_ = z.Close() // says the same as reading
		g, err := (&Survey{Room: 1 << 20, MaxBytes: 64 << 20}).Gate(t.Context(), bytes.NewReader(blob))
		if err != nil {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		got, err := io.ReadAll(g)
		refusal := g.Close()
		if limit(refusal) != nil && limit(err) != nil {
			continue // a kind with a hole
		}
		if refusal != nil || (err == nil) != (wantErr == nil) || wantErr == nil && !bytes.Equal(got, want) {
			t.Errorf("%s: %d of %d bytes, %v, %v", k.name, len(got), len(want), err, refusal)
		}
	}
}

// TestGateHolds refuses a hole before any byte of its header is through.
func TestGateHolds(t *testing.T) {
	first := join(rawHeader("f", '0', 3, nil), padded("abc"))
	for _, hole := range [][]byte{paxHole("9223372036854775807"), oldHole("77777777777")} {
		g, err := (&Survey{Room: 1 << 20}).Gate(t.Context(), bytes.NewReader(gzipped(t, join(first, hole)).compressed))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(g)
		if !bytes.Equal(got, first[:515]) || limit(err) == nil || limit(g.Close()) == nil {
			t.Errorf("%d bytes are through: %v", len(got), err)
		}
	}
}

// TestGateEnds ends with its context, and when nobody reads any more.
func TestGateEnds(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	never, _ := io.Pipe()
	plain := rawHeader("f", '0', 1<<30, nil)
	g, err := new(Survey).Gate(ctx, io.MultiReader(bytes.NewReader(plain), bytes.NewReader(make([]byte, 1<<20)), cancelling{never, func() { cancel(why) }}))
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-ctx.Done(); never.Close() }() // as the file of a store ends at once
	if _, err := io.Copy(io.Discard, g); !errors.Is(err, why) {
		t.Errorf("it ended with %v", err)
	}
	if err := g.Close(); !errors.Is(err, why) {
		t.Errorf("it was closed with %v", err)
	}
	g, err = new(Survey).Gate(t.Context(), io.MultiReader(bytes.NewReader(plain), bytes.NewReader(make([]byte, 1<<20))))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Errorf("closed early: %v", err)
	}
}

// cancelling calls at before it is read.
type cancelling struct {
	io.Reader
	at func()
}

func (c cancelling) Read(p []byte) (int, error) {
	c.at()
	return c.Reader.Read(p)
}

// TestGateTwiceCompressed is not for the library, which would undo both.
func TestGateTwiceCompressed(t *testing.T) {
	inner := gzipped(t, newTar(t).file("f", "x").bytes()).compressed
	if _, err := new(Survey).Gate(t.Context(), bytes.NewReader(gzipped(t, inner).compressed)); err == nil {
		t.Error("it was let through")
	}
}
