package faults

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testimage"
)

// damage is one way to damage a store. paths are patterns under the graph
// root; %i and %l are the ID of the victim image and of its top layer.
type damage struct {
	name  string
	paths string
	harm  func(path string) error
	whole bool // no tool can open the store any more
	none  bool // nothing is lost: the store is sound, or heals by itself
}

func truncate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, info.Size()/2)
}

func zero(path string) error { return overwrite(path, 0) }

func garbage(path string) error { return overwrite(path, 0xa5) }

func overwrite(path string, with byte) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i := range data {
		data[i] = with
	}
	return os.WriteFile(path, data, 0o600)
}

func grow(path string) error { return os.Truncate(path, 1<<50) }

// become puts something else in a file's or a folder's place.
func become(something func(path string) error) func(string) error {
	return func(path string) error {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		return something(path)
	}
}

func linkTo(target string) func(string) error {
	return func(path string) error { return os.Symlink(target, path) }
}

func damages() []damage {
	all := []damage{
		{name: "images.json truncated", paths: "overlay-images/images.json", harm: truncate, whole: true},
		{name: "images.json zeroed", paths: "overlay-images/images.json", harm: zero, whole: true},
		{name: "images.json garbage", paths: "overlay-images/images.json", harm: garbage, whole: true},
		{name: "layers.json truncated", paths: "overlay-layers/layers.json", harm: truncate, whole: true},
		{name: "layers.json zeroed", paths: "overlay-layers/layers.json", harm: zero, whole: true},
		{name: "layers.json garbage", paths: "overlay-layers/layers.json", harm: garbage, whole: true},
		{name: "containers.json garbage", paths: "overlay-containers/containers.json", harm: garbage, whole: true},
		{name: "link file missing", paths: "overlay/%l/link", harm: os.Remove, none: true},
		{name: "short link missing", paths: "overlay/l/*", harm: os.Remove, none: true},
		{name: "lower file missing", paths: "overlay/%l/lower", harm: os.Remove},
		{name: "diff folder missing", paths: "overlay/%l/diff", harm: os.RemoveAll},
		{name: "layer folder missing", paths: "overlay/%l", harm: os.RemoveAll},
		{name: "file of a layer missing", paths: "overlay/%l/diff/data1/file0", harm: os.Remove},
		{name: "file of a layer garbage", paths: "overlay/%l/diff/data1/file0", harm: garbage},
		{name: "file of a layer truncated", paths: "overlay/%l/diff/data1/file0", harm: truncate},
		{name: "file of a layer endless", paths: "overlay/%l/diff/data1/file0", harm: grow},
		{name: "file of a layer a FIFO", paths: "overlay/%l/diff/data1/file0", harm: become(func(p string) error { return unix.Mkfifo(p, 0o600) })},
		{name: "file of a layer a device", paths: "overlay/%l/diff/data1/file0", harm: become(func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o600, 1<<8|5) })},
		{name: "file of a layer a link", paths: "overlay/%l/diff/data1/file0", harm: become(linkTo("/dev/zero"))},
		{name: "folder of a layer a link", paths: "overlay/%l/diff/data1", harm: become(linkTo("/dev"))},
		{name: "image folder missing", paths: "overlay-images/%i", harm: os.RemoveAll},
	}
	for _, doc := range []struct{ name, path string }{
		{"manifest", "overlay-images/%i/manifest"},
		{"config", "overlay-images/%i/=*"},
		{"tar-split", "overlay-layers/%l.tar-split.gz"},
	} {
		all = append(all,
			damage{name: doc.name + " missing", paths: doc.path, harm: os.Remove},
			damage{name: doc.name + " truncated", paths: doc.path, harm: truncate},
			damage{name: doc.name + " garbage", paths: doc.path, harm: garbage})
	}
	return all
}

// TestCorruptedStore damages one object of a store with two images. doctor
// names the damaged object; repair removes it and nothing else; the next pull
// brings it back.
func TestCorruptedStore(t *testing.T) {
	reg := newRegistry(t)
	victim := push(t, reg, "victim:1", testimage.Spec{Layers: 2, Seed: 1})
	healthy := push(t, reg, "healthy:1", testimage.Spec{Layers: 2, Seed: 2})
	for _, d := range damages()[:figure(t, 8, len(damages()), len(damages()))] {
		t.Run(d.name, func(t *testing.T) {
			b := newBed(t)
			b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/healthy:1")
			b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/victim:1")
			before := sound(t, b, false)
			path := apply(t, b, d, victim)
			r := b.Mpull("doctor")
			if strings.Contains(r.Stderr, "panic") || strings.Contains(r.Stderr, "goroutine ") {
				t.Fatal(r)
			}
			switch {
			case d.whole:
				if r.Code != 1 || !strings.Contains(r.Stdout, path) {
					t.Errorf("doctor does not name %s: %s", path, r)
				}
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if r := b.Mpull("doctor", "--repair", "--force"); r.Code != 1 {
					t.Errorf("doctor --repair: %s", r)
				}
				if again, err := os.ReadFile(path); err != nil || !slices.Equal(data, again) {
					t.Errorf("%s was changed, %v", path, err)
				}
				if r := b.Mpull("images"); r.Code != 125 {
					t.Errorf("images of a store that cannot be opened: %s", r)
				}
				return
			case !d.none && (r.Code != 1 || !strings.Contains(r.Stdout, "damaged ")):
				t.Errorf("doctor finds nothing: %s", r)
			}
			if strings.Contains(r.Stdout, healthy) {
				t.Errorf("doctor blames the healthy image: %s", r)
			}
			if list := b.Must("images", "--no-trunc"); !strings.Contains(list.Stdout, healthy) {
				t.Errorf("images does not show the rest: %s", list)
			}
			b.Must("doctor", "--repair", "--force")
			b.Must("doctor")
			b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/victim:1")
			after := sound(t, b, true)
			for name, id := range before.Names {
				if after.Names[name] != id {
					t.Errorf("%s is %q after the repair and the pull", name, after.Names[name])
				}
			}
		})
	}
}

// apply damages the store and returns the path of what was damaged last.
func apply(t *testing.T, b *testbed.Bed, d damage, victim string) string {
	t.Helper()
	top := topLayer(t, b, victim)
	pattern := strings.NewReplacer("%i", victim, "%l", top).Replace(filepath.Join(b.Root, d.paths))
	paths, err := filepath.Glob(pattern)
	if d.name == "containers.json garbage" && len(paths) == 0 {
		if err := os.WriteFile(pattern, []byte("[]"), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = []string{pattern}
	}
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: nothing there, %v", pattern, err)
	}
	for _, path := range paths {
		if err := d.harm(path); err != nil {
			t.Fatal(err)
		}
	}
	return paths[len(paths)-1]
}

// topLayer finds the top layer of an image in the store.
func topLayer(t *testing.T, b *testbed.Bed, id string) string {
	t.Helper()
	s, err := openStore(b)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	img, err := s.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	return img.TopLayer
}
