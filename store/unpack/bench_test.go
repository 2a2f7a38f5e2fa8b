package unpack

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// benchLayer is like a layer of a distribution: many small files, some large
// ones, contents that compress to a bit less than half.
func benchLayer(b *testing.B, files int) (blob, int64) {
	lot := rand.New(rand.NewChaCha8([32]byte{}))
	words := make([]string, 4000)
	for i := range words {
		words[i] = fmt.Sprintf("%x ", lot.Uint64()>>(lot.IntN(60)))
	}
	tarball := newTar(b)
	for i := range files {
		size := lot.IntN(8 << 10)
		if i%40 == 0 {
			size = lot.IntN(1 << 20)
		}
		var data bytes.Buffer
		for data.Len() < size {
			data.WriteString(words[lot.IntN(len(words))])
		}
		if i%30 == 0 {
			tarball.dir(fmt.Sprintf("usr/lib/d%d", i/30))
		}
		tarball.file(fmt.Sprintf("usr/lib/d%d/file%d", i/30, i), data.String())
	}
	plain := tarball.bytes()
	return gzipped(b, plain), int64(len(plain))
}

// BenchmarkLayer puts one layer into a store: with Fetch, and with the
// library's PutLayer from a local file. Bytes are those of the tar.
func BenchmarkLayer(b *testing.B) {
	needStore(b)
	layer, size := benchLayer(b, 4000)
	img := newImage(b, layer)
	id := ChainIDs(img.layers)[0]
	run := func(b *testing.B, put func(storage.Store) error) {
		store := newStore(b)
		b.SetBytes(size)
		b.ReportAllocs()
		cpu := time.Duration(0)
		for b.Loop() {
			before := cpuTime(b)
			if err := put(store); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			cpu += cpuTime(b) - before
			if err := store.DeleteLayer(id); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
	}
	b.Run("fetch", func(b *testing.B) {
		run(b, func(s storage.Store) error {
			_, err := Fetch(b.Context(), s, img.layers, img.open, Options{})
			return err
		})
	})
	b.Run("PutLayer", func(b *testing.B) {
		run(b, func(s storage.Store) error {
			f, err := os.Open(img.blobPath(img.layers[0]))
			if err != nil {
				return err
			}
			defer f.Close()
			_, _, err = s.PutLayer(id, "", nil, "", false, &storage.LayerOptions{
				OriginalDigest: img.layers[0].Digest, UncompressedDigest: img.layers[0].DiffID,
			}, f)
			return err
		})
	})
}

// cpuTime is what this process and its children, which the library unpacks in,
// have used. Unlike wall-clock time it hardly depends on what else runs.
func cpuTime(b *testing.B) (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// BenchmarkUntar is the part after decompression: parse, record, write files.
func BenchmarkUntar(b *testing.B) {
	needStore(b)
	layer, size := benchLayer(b, 4000)
	z, err := decompress(bytes.NewReader(layer.compressed), nil)
	if err != nil {
		b.Fatal(err)
	}
	var plain bytes.Buffer
	if _, err := plain.ReadFrom(z); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	for b.Loop() {
		b.StopTimer()
		dir, record := b.TempDir(), bytes.Buffer{}
		b.StartTimer()
		if err := ourUntar(plain.Bytes(), dir, &record); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecompress(b *testing.B) {
	layer, size := benchLayer(b, 2000)
	buffer := make([]byte, chunkSize)
	b.SetBytes(size)
	for b.Loop() {
		z, err := decompress(bytes.NewReader(layer.compressed), nil)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = readChunk(z, buffer)
		}
		if err := z.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
