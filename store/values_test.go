package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
)

// sha is the digest of a letter, repeated.
func sha(letter string) digest.Digest { return digest.Digest("sha256:" + strings.Repeat(letter, 64)) }

// TestCheckChain compares what a config names with what is there, as far as that is
// known.
func TestCheckChain(t *testing.T) {
	img := &Image{Config: &Config{DiffIDs: []digest.Digest{sha("a"), sha("b")}}}
	for _, tt := range []struct {
		img   *Image
		chain []digest.Digest
		whole bool
	}{
		{img, []digest.Digest{sha("a"), sha("b")}, true},
		{img, []digest.Digest{"", sha("b")}, true}, // of old layers the digest is not known
		{img, []digest.Digest{sha("a"), ""}, true},
		{img, []digest.Digest{sha("b"), sha("a")}, false},
		{img, []digest.Digest{sha("a"), sha("c")}, false},
		{img, []digest.Digest{sha("a")}, false},
		{img, nil, false},
		{&Image{}, []digest.Digest{sha("a")}, true},
		{&Image{Schema1: true, Config: &Config{}}, []digest.Digest{sha("a")}, true},
	} {
		if err := tt.img.CheckChain(tt.chain); (err == nil) != tt.whole {
			t.Errorf("%v: %v", tt.chain, err)
		}
	}
}

// TestRecordsOfTheLibrary become values: a size without a digest was never set, and
// an image is found by the digests of its manifests, its own first.
func TestRecordsOfTheLibrary(t *testing.T) {
	if got := toLayer(&storage.Layer{UncompressedSize: 7, UncompressedDigest: sha("a")}).UncompressedSize; got != 7 {
		t.Errorf("a size with a digest: %d", got)
	}
	if got := toLayer(&storage.Layer{UncompressedSize: 0}).UncompressedSize; got != -1 {
		t.Errorf("a size without: %d", got)
	}
	kept := map[string]digest.Digest{"manifest-b": sha("b"), "manifest": sha("a"), "sha256:c": sha("c")}
	for _, tt := range []struct {
		own   digest.Digest
		kept  map[string]digest.Digest
		all   []digest.Digest
		found digest.Digest
	}{
		{sha("a"), kept, []digest.Digest{sha("a"), sha("b")}, sha("a")},
		{sha("d"), kept, []digest.Digest{sha("d"), sha("a"), sha("b")}, sha("d")},
		{"", kept, []digest.Digest{sha("a"), sha("b")}, sha("a")},
		{"", nil, nil, ""},
		{sha("d"), nil, []digest.Digest{sha("d")}, sha("d")},
	} {
		record := storage.Image{Digest: tt.own, BigDataDigests: tt.kept}
		if got := digestsOf(&record); !slices.Equal(got, tt.all) || record.Digest != tt.found {
			t.Errorf("%s with %v: %v, %s", tt.own, tt.kept, got, record.Digest)
		}
	}
}

// TestSmallFiles are read when they are as long as their record says, and are
// regular.
func TestSmallFiles(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte("four"), 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		size int
		want bool
	}{{file, 4, true}, {file, 3, false}, {file, 5, false}, {link, 4, false}, {dir, 4, false}, {file + "s", 4, false}} {
		if blob, ok := readExactly(tt.path, tt.size); ok != tt.want || ok && string(blob) != "four" {
			t.Errorf("%d bytes of %s: %q, %t", tt.size, tt.path, blob, ok)
		}
	}
	img := &Image{BigData: map[string]int64{"large": maxConfig, "larger": maxConfig + 1}}
	if _, err := itemSize(img, "large"); err != nil {
		t.Error(err)
	}
	if _, err := itemSize(img, "larger"); err == nil {
		t.Error("what is larger than any document is read")
	}
	if _, err := itemSize(img, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	for text, want := range map[string]bool{"": true, "[]": true, `[{"id":"a"}]`: true, "{": false, "{}": false, " ": false} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readTable(file); (err == nil) != want {
			t.Errorf("a list of %q: %v", text, err)
		}
	}
	if _, err := readTable(file + "s"); err != nil {
		t.Errorf("a list that is not there is empty: %v", err)
	}
	if _, err := readTable(dir); err == nil {
		t.Error("a folder is no list")
	}
}

// TestMountedLayer tells which layer a mount shows: by the driver's place, by the
// directory below it or by its short link.
func TestMountedLayer(t *testing.T) {
	home := t.TempDir()
	id, other := strings.Repeat("a", 64), strings.Repeat("b", 64)
	for _, dir := range []string{id + "/diff", "l", "odd/diff", "elsewhere/" + other + "/diff"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../"+id+"/diff", filepath.Join(home, "l", "SHORT")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		point, kind, options, want string
	}{
		{home + "/" + id + "/merged", "overlay", "", id},
		{home + "/" + id + "/merged", "fuse.fuse-overlayfs", "", id},
		{home + "/" + id + "/diff", "overlay", "lowerdir=l/SHORT", ""},
		{"/mnt", "overlay", "rw,lowerdir=" + home + "/" + id + "/diff:/x,upperdir=/y", id},
		{"/mnt", "overlay", "rw,lowerdir=l/SHORT:l/OTHER", id},
		{"/mnt", "overlay", "lowerdir+=" + home + "/l/SHORT", id},
		{"/mnt", "tmpfs", "lowerdir=" + home + "/" + id + "/diff", ""},
		{"/mnt", "overlay", "lowerdir=" + home + "/odd/diff", ""},                     // no layer is called so
		{"/mnt", "overlay", "lowerdir=" + home + "/elsewhere/" + other + "/diff", ""}, // it lies in another store
		{"/mnt", "overlay", "lowerdir=" + home + "/gone/diff", ""},
		{"/mnt", "overlay", "upperdir=" + home + "/" + id + "/diff", ""},
		{"/mnt", "overlay", "lowerdir=l/NONE", ""},
	} {
		if got := mountedLayer([]string{"/nowhere", home}, &mountinfo.Info{Mountpoint: tt.point, FSType: tt.kind, VFSOptions: tt.options}); got != tt.want {
			t.Errorf("%+v shows %q", tt, got)
		}
	}
}

// TestManifestLists knows a local list from an image by its manifest, if it has no
// layer.
func TestManifestLists(t *testing.T) {
	const index = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]}`
	for text, want := range map[string]Image{
		index: {IsList: true, Members: []digest.Digest{sha("a")}},
		strings.Replace(index, `"size":1`, `"size":"x"`, 1): {IsList: true, ConfigError: errors.New("unreadable")},
		`{"schemaVersion":2}`:                               {ConfigError: errors.New("no config")},
	} {
		img := Image{BigData: map[string]int64{storage.ImageDigestBigDataKey: int64(len(text))}}
		(&Store{}).readDetails(&img, func(_ *Image, key string) ([]byte, error) {
			if key != storage.ImageDigestBigDataKey {
				return nil, fs.ErrNotExist
			}
			return []byte(text), nil
		})
		if img.IsList != want.IsList || !slices.Equal(img.Members, want.Members) || (img.ConfigError == nil) != (want.ConfigError == nil) {
			t.Errorf("%s: %+v", text, img)
		}
	}
	layered := Image{TopLayer: "a", BigData: map[string]int64{}}
	(&Store{}).readDetails(&layered, func(*Image, string) ([]byte, error) { return []byte(index), nil })
	if layered.IsList {
		t.Error("an image with a layer is taken for a list")
	}
}

// TestUsageTellsItsFirstError and counts nothing for what it could not read.
func TestUsageTellsItsFirstError(t *testing.T) {
	s, _ := testStore(t)
	u := s.Usage()
	if u.Layer("gone") != 0 || u.Err() != nil {
		t.Errorf("what is not there is no error: %v", u.Err())
	}
	if u.Image("first\x00") != 0 || u.Err() == nil || !strings.Contains(u.Err().Error(), "first") {
		t.Errorf("what cannot be read is: %v", u.Err())
	}
	if u.Image("second\x00"); !strings.Contains(u.Err().Error(), "first") {
		t.Errorf("the second comes before the first: %v", u.Err())
	}
}

// TestForget removes what is kept of a blob, and waits for nobody who has it.
func TestForget(t *testing.T) {
	s, _ := testStore(t)
	w := testWriter(t, s)
	if err := w.Forget(sha("a")); err != nil || exists(filepath.Join(s.Root(), DownloadDir)) {
		t.Errorf("where nothing is kept nothing is made: %v", err)
	}
	path := filepath.Join(s.Root(), DownloadDir, partialPrefix+sha("a").Encoded())
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if w.Kept(sha("a")) != 4 || w.Kept(sha("b")) != 0 {
		t.Errorf("kept are %d and %d bytes", w.Kept(sha("a")), w.Kept(sha("b")))
	}
	if err := w.Forget(sha("a")); err != nil || exists(path) {
		t.Errorf("it is still there: %v", err)
	}
}

// TestDeletingIsWhatTheJournalSays, and nothing where it says nothing.
func TestDeletingIsWhatTheJournalSays(t *testing.T) {
	s, o := testStore(t)
	for text, want := range map[string]string{"": "", "{": "", `["a","../b"]`: "a", "[]": ""} {
		if err := os.WriteFile(filepath.Join(o.Root, journalFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := ""
		for id, ok := range s.deleting() {
			if ok {
				got += id
			}
		}
		if got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// TestOptionsBecomeTheLibrarys: what is named counts, and a store that is not there
// has the driver that is named for it.
func TestOptionsBecomeTheLibrarys(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		driver string
		sync   bool
		want   bool
	}{{"overlay", true, true}, {"overlay", false, false}, {"vfs", true, false}} {
		options, err := Options{Root: dir, RunRoot: dir + "-run", Driver: tt.driver, Sync: tt.sync}.resolve()
		if err != nil || options.GraphRoot != dir || options.RunRoot != dir+"-run" || options.GraphDriverName != tt.driver {
			t.Errorf("%+v, %v", options, err)
		}
		if got := slices.Contains(options.GraphDriverOptions, "overlay.sync=filesystem"); got != tt.want {
			t.Errorf("%+v: synced = %t", tt, got)
		}
	}
	none, err := Open(Options{Root: filepath.Join(dir, "none"), RunRoot: dir + "-run", Driver: "vfs"})
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	if none.Driver() != "vfs" || none.Exists() {
		t.Errorf("a store that is not there: driver %q, there = %t", none.Driver(), none.Exists())
	}
	if s, _ := testStore(t); s.Driver() != "vfs" || !s.Exists() {
		t.Errorf("one that is: driver %q", s.Driver())
	}
}
