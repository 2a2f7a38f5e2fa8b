package unpack

import (
	"archive/tar"
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/vbatts/tar-split/tar/asm"
	splitstorage "github.com/vbatts/tar-split/tar/storage"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/chrootarchive"
	"go.podman.io/storage/pkg/unshare"
)

// libraryUntar is what PutLayer does with the tar of a layer.
func libraryUntar(plain []byte, dest string, record io.Writer) error {
	payload, done, err := asm.NewInputTarStreamWithDone(bytes.NewReader(plain), splitstorage.NewJSONPacker(record), splitstorage.NewDiscardFilePutter())
	if err != nil {
		return err
	}
	err = chrootarchive.UntarUncompressed(payload, dest, &archive.TarOptions{
		WhiteoutFormat: archive.OverlayWhiteoutFormat, InUserNS: unshare.IsRootless(),
	})
	if err == nil {
		_, err = io.Copy(io.Discard, payload)
	}
	_ = payload.Close() // the error of an early end comes from done
	if doneErr := <-done; err == nil {
		err = doneErr
	}
	return err
}

func ourUntar(plain []byte, dest string, record io.Writer) error {
	to, err := openTree(dest)
	if err != nil {
		return err
	}
	defer to.close()
	how := mannerOf(&archive.TarOptions{WhiteoutFormat: archive.OverlayWhiteoutFormat, InUserNS: unshare.IsRootless()})
	return newUntarrer(bytes.NewReader(plain), to, how, record, func() error { return nil }).run()
}

// sameOutcome unpacks a tar in both ways. Where this package accepts it, the
// library does and leaves the same files; nothing else changes in any case.
func sameOutcome(t *testing.T, plain []byte, canary string, compareRecord bool) (accepted bool) {
	t.Helper()
	since := time.Now().Add(-time.Second)
	before := lines(t, filepath.Dir(canary), since)
	dir := t.TempDir()
	ours, library := filepath.Join(dir, "ours"), filepath.Join(dir, "library")
	for _, d := range []string{ours, library} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var ourRecord, libraryRecord bytes.Buffer
	err := ourUntar(plain, ours, &ourRecord)
	if err == nil {
		if libraryErr := libraryUntar(plain, library, &libraryRecord); libraryErr != nil {
			t.Errorf("accepted what the library refuses: %v", libraryErr)
		}
		compare(t, lines(t, ours, since), lines(t, library, since))
		if compareRecord && ourRecord.String() != libraryRecord.String() {
			t.Errorf("tar-split\n ours:    %.2000s\n library: %.2000s", ourRecord.String(), libraryRecord.String())
		}
	} else if !isUnsupported(err) && limit(err) == nil {
		t.Errorf("error of another kind: %v", err)
	}
	if after := lines(t, filepath.Dir(canary), since); !slices.Equal(before, after) {
		t.Error("outside of the tree something changed")
		compare(t, after, before)
	}
	if entries, readErr := os.ReadDir(dir); readErr != nil || len(entries) != 2 {
		t.Errorf("beside the trees: %v, %v", entries, readErr)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
	return err == nil
}

// entriesTar makes a tar of entries that refer to each other; every three
// bytes choose a kind, a name and a target.
func entriesTar(t testing.TB, choice []byte, canary string) []byte {
	names := []string{"a", "a/b", "a/b/c", "d", "d/e", "./d/../a", "/a/x", "l", "l/m", "l/m/n", "../o", "", "a/.wh.b", canary,
		canary + "/secret", "..", "a/.wh..wh..opq", ".wh.l", "l/.wh.m", ".wh..wh..opq", "d/.wh.", "../../../../../../../.." + canary}
	types := []byte{tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeFifo, tar.TypeChar}
	b := newTar(t)
	for ; len(choice) >= 3; choice = choice[3:] {
		h := tar.Header{
			Typeflag: types[int(choice[0])%len(types)], Name: names[int(choice[1])%len(names)], Linkname: names[int(choice[2])%len(names)],
			Mode: int64(choice[0]) << 4, Uid: int(choice[0]), ModTime: testTime,
		}
		data := ""
		if h.Typeflag == tar.TypeReg {
			h.Linkname, data = "", many(int(choice[2]), "x")
		}
		b.add(h, data)
	}
	return b.bytes()
}

// TestRandomEntries unpacks tars whose entries were drawn by lot, always the
// same ones.
func TestRandomEntries(t *testing.T) {
	needStore(t)
	canary := canaryDir(t)
	lot := rand.NewChaCha8([32]byte{1})
	accepted := 0
	for range 300 {
		choice := make([]byte, 3*(2+lot.Uint64()%6))
		_, _ = lot.Read(choice) // never fails
		if sameOutcome(t, entriesTar(t, choice, canary), canary, true) {
			accepted++
		}
		if t.Failed() {
			t.Fatalf("choice %v", choice)
		}
	}
	if accepted < 20 {
		t.Errorf("only %d were accepted: nothing was compared", accepted)
	}
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 2, 0})
	f.Add([]byte{2, 0, 14, 0, 9, 0, 1, 9, 0})
	f.Add([]byte{0, 8, 0, 2, 8, 13, 0, 9, 0, 4, 3, 8, 1, 10, 0})
	needStore(f)
	canary := canaryDir(f)
	f.Fuzz(func(t *testing.T, choice []byte) {
		if len(choice) > 90 {
			t.Skip("long")
		}
		sameOutcome(t, entriesTar(t, choice, canary), canary, true)
	})
}

// plainKinds returns the tars of all kinds of layers, cut to a size.
func plainKinds(t testing.TB, canary string, size int64) (out [][]byte) {
	for _, k := range kinds() {
		z, err := gzip.NewReader(bytes.NewReader(k.blob(t, canary).compressed))
		if err != nil {
			continue // compressed in another way
		}
		if plain, err := io.ReadAll(io.LimitReader(z, size)); err == nil && len(plain) > 0 {
			out = append(out, plain)
		}
	}
	return out
}

// TestRandomBytes unpacks tars with a few bytes changed, always the same ones.
func TestRandomBytes(t *testing.T) {
	needStore(t)
	canary := canaryDir(t)
	lot := rand.New(rand.NewChaCha8([32]byte{2}))
	accepted := 0
	for range 4 {
		for _, plain := range plainKinds(t, canary, 6000) {
			for range 1 + lot.IntN(4) {
				plain[lot.IntN(len(plain))] ^= 1 << lot.IntN(8)
			}
			if sameOutcome(t, fixChecksums(plain), canary, true) {
				accepted++
			}
			if t.Failed() {
				t.Fatalf("tar %x", plain)
			}
		}
	}
	if accepted < 20 {
		t.Errorf("only %d were accepted: nothing was compared", accepted)
	}
}

// FuzzTar changes bytes of the tars of all kinds of layers.
func FuzzTar(f *testing.F) {
	needStore(f)
	canary := canaryDir(f)
	for _, plain := range plainKinds(f, canary, 50000) {
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		if len(plain) > 60000 {
			t.Skip("long")
		}
		sameOutcome(t, fixChecksums(plain), canary, len(plain) < 5000)
	})
}

// fixChecksums makes the checksums of headers right again, without which no
// changed header would be looked at.
func fixChecksums(plain []byte) []byte {
	out := bytes.Clone(plain)
	for b := out; len(b) >= 512; b = b[512:] {
		if string(b[257:262]) == "ustar" {
			copy(b, rawHeader("", 0, 0, func(h []byte) { copy(h, b[:512]) }))
		}
	}
	return out
}
