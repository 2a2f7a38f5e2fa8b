package unpack

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	splitstorage "github.com/vbatts/tar-split/tar/storage"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// testTime is before the tests run, so that it cannot be mistaken for a time
// that the kernel set meanwhile.
var testTime = time.Date(2021, 2, 3, 4, 5, 6, 0, time.UTC)

// lines describes all there is to know about the files below dir. Times after
// since are when the kernel made something that no archive gave a time; the
// library and this package both leave them as they are.
func lines(t testing.TB, dir string, since time.Time) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		rel := strings.TrimPrefix(path, dir)
		line := fmt.Sprintf("%q mode %o owner %d:%d links %d dev %x", rel, st.Mode, st.Uid, st.Gid, st.Nlink, st.Rdev)
		if mtime := time.Unix(st.Mtim.Unix()); mtime.Before(since) {
			line += " mtime " + mtime.UTC().Format(time.RFC3339Nano)
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" -> %q", target)
		case unix.S_IFREG:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" size %d sha256 %x", st.Size, sha256.Sum256(data))
		}
		out = append(out, line+xattrs(t, path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func xattrs(t testing.TB, path string) string {
	t.Helper()
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, list)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range strings.Split(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf(" %s=%q", name, value[:n]))
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// describe returns everything about the layers of a store, or only those with
// these IDs, that must not depend on how they got there.
func describe(t testing.TB, store storage.Store, since time.Time, ids ...string) []string {
	t.Helper()
	var out []string
	data, err := os.ReadFile(filepath.Join(store.GraphRoot(), store.GraphDriverName()+"-layers", "layers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var records []map[string]any
	if err := json.Unmarshal(data, &records); err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if len(ids) > 0 && !slices.Contains(ids, r["id"].(string)) {
			continue
		}
		for _, differs := range []string{"created", "compressed-size", "compression"} {
			delete(r, differs)
		}
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, "layer "+string(line))
		id := r["id"].(string)
		out = append(out, lines(t, filesOf(store, id), since)...)
		out = append(out, tarSplit(t, store, id)...)
		lower, _ := os.ReadFile(filepath.Join(filepath.Dir(filesOf(store, id)), "lower"))
		out = append(out, fmt.Sprintf("lowers %d", strings.Count(string(lower), ":")))
	}
	return out
}

// tarSplit lists a layer's tar-split record. Adjacent segments are joined:
// where tar-split cuts what follows the archive depends on how a decompressor
// happens to return it.
func tarSplit(t testing.TB, store storage.Store, id string) []string {
	t.Helper()
	f, err := os.Open(filepath.Join(store.GraphRoot(), store.GraphDriverName()+"-layers", id+".tar-split.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	var segment bytes.Buffer
	flush := func() {
		if segment.Len() > 0 {
			out = append(out, fmt.Sprintf("segment %d %x", segment.Len(), sha256.Sum256(segment.Bytes())))
		}
		segment.Reset()
	}
	for dec := json.NewDecoder(z); dec.More(); {
		var e splitstorage.Entry
		if err := dec.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if e.Type == splitstorage.SegmentType {
			segment.Write(e.Payload)
			continue
		}
		flush()
		out = append(out, fmt.Sprintf("file %q raw %q size %d crc %x", e.Name, e.NameRaw, e.Size, e.Payload))
	}
	flush()
	return out
}

// compare reports the first lines that differ.
func compare(t testing.TB, ours, library []string) {
	t.Helper()
	reported := 0
	for i := 0; i < max(len(ours), len(library)) && reported < 5; i++ {
		var a, b string
		if i < len(ours) {
			a = ours[i]
		}
		if i < len(library) {
			b = library[i]
		}
		if a != b {
			t.Errorf("line %d\n ours:    %s\n library: %s", i, a, b)
			reported++
		}
	}
}
