package store

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.podman.io/storage/pkg/lockfile"

	"github.com/mpull/mpull/integration/storelab"
)

// sharedLab is a store with all kinds of objects, and the options that open it with
// an additional one, which has one of its images too and another one.
func sharedLab(t *testing.T, driver string) Options {
	t.Helper()
	l := storelab.New(t, storelab.Dir(t), driver)
	both := l.Image(storelab.Spec{Names: []string{"localhost/a:1", "localhost/b:1"}, Layers: [][]int{{10}, {20}}})
	other := l.Image(storelab.Spec{Names: []string{"localhost/other:1"}, Parent: both, Layers: [][]int{{30}}})
	shared := l.Root + "-shared" // the library locks a store of this process in one way only
	copyTree(t, l.Root, shared)
	if _, err := l.Lib.DeleteImage(other, true); err != nil {
		t.Fatal(err)
	}
	nameless := l.Image(storelab.Spec{Parent: both, Empty: 1, Arch: "arm", Variant: "v7", Labels: map[string]string{`a"\`: "}]"}})
	l.List([]string{"localhost/list:1"}, both, nameless)
	mounted := l.Container("mounted", both)
	l.Container("unmounted", nameless)
	if _, err := l.Lib.Mount(mounted, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := l.Lib.Unmount(mounted, true); err != nil {
			t.Error(err)
		}
	})

	return Options{Root: l.Root, RunRoot: l.RunRoot, Driver: driver, DriverOptions: []string{driver + ".imagestore=" + shared}}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func reader(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// leveled is a snapshot without what differs from one look to the next.
func leveled(snap *Snapshot) *Snapshot {
	snap.TakenAt = time.Time{}
	for i := range snap.Images {
		slices.Sort(snap.Images[i].Digests) // the library's order is that of a map
	}
	return snap
}

// TestListsWithoutTheLibrary checks that a snapshot says what the library's lists say.
func TestListsWithoutTheLibrary(t *testing.T) {
	for _, driver := range []string{"overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			o := sharedLab(t, driver)
			s := reader(t, o)
			got, err := s.Snapshot(t.Context())
			if err != nil || s.lib != nil {
				t.Fatalf("%v, with the library %v", err, s.lib)
			}
			library := reader(t, o)
			if _, err := library.library(); err != nil {
				t.Fatal(err)
			}
			want, err := library.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(want.Images) != 4 || len(want.Containers) != 2 || !slices.ContainsFunc(want.Layers, func(l Layer) bool { return l.Mounts > 0 }) {
				t.Errorf("the store has %d images, %d containers, and layers %+v", len(want.Images), len(want.Containers), want.Layers)
			}
			if got, want := leveled(got), leveled(want); !reflect.DeepEqual(got, want) {
				t.Errorf("got %s\nwant %s", shown(t, got), shown(t, want))
			}
		})
	}
}

func shown(t *testing.T, snap *Snapshot) string {
	t.Helper()
	data, err := json.MarshalIndent(snap, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestUnsoundListsAreTheLibrarys checks that a list that is not as it should be is
// left to the library, which mends it or refuses it.
func TestUnsoundListsAreTheLibrarys(t *testing.T) {
	const images, layers, containers, mounts = "root/vfs-images/images.json", "root/vfs-layers/layers.json", "root/vfs-containers/containers.json", "run/vfs-layers/mountpoints.json"
	l := storelab.New(t, storelab.Dir(t), "vfs")
	id := l.Image(storelab.Spec{Names: []string{"localhost/a:1"}, Layers: [][]int{{10}}})
	l.Container("c", id)
	l.Container("d", id)
	twice := func(list string) string { return list[:len(list)-1] + "," + list[1:] }
	replace := func(from, to string) func(string) string {
		return func(list string) string { return strings.Replace(list, from, to, 1) }
	}
	for name, tt := range map[string]struct {
		file  string
		spoil func(string) string
	}{
		"image twice": {images, twice},
		"name twice": {images, func(list string) string {
			return twice(list[:len(list)-1] + "]")[:len(list)-1] + `,{"id":"b","names":["localhost/a:1"],"created":"2024-01-01T00:00:00Z"}]`
		}},
		"image without ID":   {images, replace(id, "")},
		"no list":            {images, func(string) string { return "{}" }},
		"list cut":           {images, func(list string) string { return list[:len(list)-2] }},
		"comma at the end":   {images, replace("}]", "},]")},
		"wrong type":         {images, replace(`"names":["localhost/a:1"]`, `"names":"a"`)},
		"invalid digest":     {images, replace(`"digest":"sha256:`, `"digest":"sha256:x`)},
		"layer twice":        {layers, twice},
		"layers cut":         {layers, func(list string) string { return list[1:] }},
		"incomplete layer":   {layers, replace(`"created":`, `"flags":{"incomplete":true},"created":`)},
		"container's name":   {containers, replace(`["d"]`, `["c"]`)},
		"containers cut":     {containers, func(list string) string { return list[:1] }},
		"mounts are no list": {mounts, func(string) string { return "{" }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Dir(storelab.Dir(t) + "/store/x")
			for _, part := range []string{"", "-library"} {
				if err := os.Mkdir(dir+part, 0o700); err != nil {
					t.Fatal(err)
				}
				copyTree(t, l.Root, dir+part+"/root")
				copyTree(t, l.RunRoot, dir+part+"/run")
				file := filepath.Join(dir+part, tt.file)
				data, err := os.ReadFile(file)
				if err != nil && tt.file != mounts {
					t.Fatal(err)
				}
				spoilt := tt.spoil(string(data))
				if spoilt == string(data) {
					t.Fatalf("nothing is wrong with %s", data)
				}
				if err := os.WriteFile(file, []byte(spoilt), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := reader(t, Options{Root: dir + "/root", RunRoot: dir + "/run", Driver: "vfs"})
			if snap, ok := s.readLists(t.Context()); ok {
				t.Errorf("it is taken: %s", shown(t, snap))
			}
			library := reader(t, Options{Root: dir + "-library/root", RunRoot: dir + "-library/run", Driver: "vfs"})
			_, refused := library.library()
			var want *Snapshot
			if refused == nil {
				want, refused = library.Snapshot(t.Context())
			}
			got, err := s.Snapshot(t.Context())
			if (err == nil) != (refused == nil) {
				t.Fatalf("got %v, the library says %v", err, refused)
			}
			if err == nil && !reflect.DeepEqual(leveled(got), leveled(want)) {
				t.Errorf("got %s\nwant %s", shown(t, got), shown(t, want))
			}
		})
	}
}

// TestDriverOptionsAreTheLibrarys checks that a wrong driver option is said also by
// what needs no driver.
func TestDriverOptionsAreTheLibrarys(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "overlay")
	l.Image(storelab.Spec{Names: []string{"localhost/a:1"}, Layers: [][]int{{10}}})
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for option, wrong := range map[string]bool{
		"overlay.mountopt=nodev": false, "overlay.mount_program=" + program: false, "overlay.ignore_chown_errors=true": false,
		"overlay.mount_program=/nowhere": true, "overlay.bogus=1": true, "overlay.bogus.mountopt=nodev": true, "overlay.size=much": true, "overlay.imagestore=here": true,
		"overlay.imagestore=/nowhere": true, "overlay.ignore_chown_errors=maybe": true, "mountopt": true,
	} {
		root := filepath.Join(storelab.Dir(t), "root") // of one that it knows the library would take no other options
		copyTree(t, l.Root, root)
		s := reader(t, Options{Root: root, RunRoot: root + "-run", Driver: "overlay", DriverOptions: []string{option}})
		if snap, err := s.Snapshot(t.Context()); (err != nil) != wrong || err == nil && len(snap.Images) != 1 {
			t.Errorf("%s: %v", option, err)
		}
	}
}

// TestListsAreReadBehindLocks checks that a snapshot waits for who changes a list.
func TestListsAreReadBehindLocks(t *testing.T) {
	s, o := testStore(t)
	addImage(t, s, amd64, name)
	if _, err := s.Snapshot(t.Context()); err != nil { // makes the lock of layers
		t.Fatal(err)
	}
	p := s.places()
	for _, path := range []string{p.layerLocks[0], p.imageLocks[0], p.containerLock, p.mountLock} {
		lock, err := lockfile.GetLockFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lock.Lock()
		done := make(chan bool)
		go func() {
			_, ok := reader(t, o).readLists(t.Context())
			done <- ok
		}()
		select {
		case <-done:
			t.Errorf("it does not wait for %s", path)
			lock.Unlock()
			continue
		case <-time.After(50 * time.Millisecond):
		}
		lock.Unlock()
		if !<-done {
			t.Errorf("behind %s the store is unsound", path)
		}
	}
}

// FuzzSplit checks that cutting a list loses nothing and lets nothing through.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{`[]`, ``, ` [ {"a":"]}"} , {"b":{"c":[{}]}} ] `, `[{}{}]`, `[{},]`, `[,{}]`, `[{"a":"\\"},{"b":"\""}]`, `[null]`, `["{"]`, "[\v]", " ", `{}`, `[{]`, `[{}]x`, `[{"a`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		records, ok := split(data)
		ok = ok && !slices.ContainsFunc(records, func(r []byte) bool { return !json.Valid(r) })
		var want []json.RawMessage
		wanted := len(data) == 0 || json.Unmarshal(data, &want) == nil && want != nil // null is one to encoding/json
		if slices.ContainsFunc(want, func(r json.RawMessage) bool { return r[0] != '{' }) {
			wanted = false
		}
		if ok != wanted {
			t.Fatalf("%q: %t, want %t", data, ok, wanted)
		}
		if ok && !slices.EqualFunc(records, want, func(a []byte, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Errorf("%q is %q, want %q", data, records, want)
		}
	})
}
