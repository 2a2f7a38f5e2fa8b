package unpack

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
)

// TestIntact has the library unpack every kind of layer, and such with a few
// bytes changed: what is said to be intact is what reads back as it was.
func TestIntact(t *testing.T) {
	needStore(t)
	lot := rand.New(rand.NewChaCha8([32]byte{3}))
	intact := 0
	for round := range 3 {
		for _, plain := range plainKinds(t, t.TempDir(), 6000<<(10*(1-min(round, 1)))) {
			for range min(round, 1) * (1 + lot.IntN(3)) {
				plain[lot.IntN(len(plain))] ^= 1 << lot.IntN(8)
			}
			if round > 0 {
				plain = fixChecksums(plain)
			}
			if intactAndReadBack(t, plain) {
				intact++
			}
		}
	}
	if intact < 60 {
		t.Errorf("only %d were intact", intact)
	}
}

func intactAndReadBack(t *testing.T, plain []byte) bool {
	t.Helper()
	g, err := (&Survey{Room: 1 << 20, MaxBytes: 64 << 20}).Gate(t.Context(), bytes.NewReader(plain))
	if err != nil {
		return false
	}
	var through bytes.Buffer
	_, err = through.ReadFrom(g)
	if refusal := g.Close(); err != nil || refusal != nil {
		return false
	}
	dir := t.TempDir()
	var record bytes.Buffer
	if libraryUntar(through.Bytes(), dir, &record) != nil || !g.Intact(dir) {
		return false
	}
	kept := filepath.Join(t.TempDir(), "record")
	if err := os.WriteFile(kept, gzipped(t, record.Bytes()).compressed, 0o600); err != nil {
		t.Fatal(err)
	}
	tar, err := Tar(t.Context(), dir, kept)
	if err != nil {
		t.Fatal(err)
	}
	defer tar.Close()
	if got, err := digest.FromReader(tar); err != nil || got != digest.FromBytes(plain) {
		t.Errorf("not intact: %v, tar %.3000x", err, plain)
	}
	return true
}
