package unpack

import (
	"bytes"
	"hash/crc64"
	"math/rand/v2"
	"testing"
)

func FuzzCRC(f *testing.F) {
	r := rand.NewChaCha8([32]byte{})
	for _, n := range []int{0, 1, 7, 8, 9, 31, 32, 63, 64, 65, 100, 4096, 5003} {
		p := make([]byte, n)
		_, _ = r.Read(p) // never fails
		f.Add(p, n/3)
	}
	table := crc64.MakeTable(crc64.ISO)
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		cut = max(0, min(cut, len(p)))
		var c crcISO
		c.add(p[:cut])
		c.add(p[cut:])
		want := crc64.New(table)
		_, _ = want.Write(p) // never fails
		if !bytes.Equal(c.sum(), want.Sum(nil)) {
			t.Errorf("%d+%d bytes: %x, want %x", cut, len(p)-cut, c.sum(), want.Sum(nil))
		}
	})
}

func BenchmarkCRC(b *testing.B) {
	p := make([]byte, copyBuffer)
	b.Run("shifts", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			var c crcISO
			c.add(p)
		}
	})
	b.Run("hash/crc64", func(b *testing.B) {
		table := crc64.MakeTable(crc64.ISO)
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			crc64.Update(0, table, p)
		}
	})
}
