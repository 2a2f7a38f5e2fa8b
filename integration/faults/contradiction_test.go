package faults

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

func set(text string) func(string) error {
	return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
}

// contradiction is a store that is not what its lists say. It can be read, so
// nothing but a look at both tells.
type contradiction struct {
	name, path string
	harm       func(string) error
}

func contradictions() []contradiction {
	var all []contradiction
	for _, list := range []string{"overlay-images/images.json", "overlay-layers/layers.json", "overlay-containers/containers.json"} {
		all = append(all,
			contradiction{list + " missing", list, os.Remove}, contradiction{list + " empty", list, set("")},
			contradiction{list + " null", list, set("null")}, contradiction{list + " says []", list, set("[]")},
			contradiction{list + " cut", list, truncate}, contradiction{list + " names nothing", list, set(`[{}]`)})
	}
	return append(all,
		contradiction{"no overlay-images", "overlay-images", os.RemoveAll},
		contradiction{"a layer of an image is not listed", "overlay-layers/layers.json", dropFirst},
		contradiction{"an image is not listed", "overlay-images/images.json", dropFirst},
	)
}

// TestContradictingStoreIsNotPlannedOn damages what a store says about itself.
// prune refuses in words and names doctor, doctor finds it, and neither of them,
// with whatever options, removes anything; where the list of images is lost, podman's
// prune does not either.
func TestContradictingStoreIsNotPlannedOn(t *testing.T) {
	testenv.Need(t, "buildah", "podman")
	reg := newRegistry(t)
	push(t, reg, "kept:1", testimage.Spec{Layers: 2, Seed: 2})
	all := contradictions()
	for _, c := range all[:figure(t, 4, len(all), len(all))] {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			push(t, reg, "app:1", testimage.Spec{Layers: 2, Seed: 1})
			b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/kept:1")
			if r := b.Tool("buildah", "from", "--pull-never", reg.Host+"/kept:1"); r.Code != 0 {
				t.Fatal(r)
			}
			b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/app:1")
			push(t, reg, "app:1", testimage.Spec{Layers: 2, Seed: 3})
			b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/app:1")
			if err := c.harm(filepath.Join(b.Root, c.path)); err != nil {
				t.Fatal(err)
			}
			before := contents(t, b.Root)
			for _, args := range [][]string{{"prune", "--force"}, {"prune", "--all", "--force"}, {"prune", "--dry-run"}} {
				r := b.Mpull(args...)
				if r.Code != 125 || strings.Contains(r.Stderr, "panic") {
					t.Errorf("%v: %s", args, r)
				}
			}
			if r := b.Mpull("doctor"); r.Code != 1 || !strings.Contains(r.Stdout, "damaged ") {
				t.Errorf("doctor: %s", r)
			}
			if strings.HasPrefix(c.name, "overlay-images/images.json ") { // else it sees a dangling image, and takes it
				b.Tool("podman", "image", "prune", "--force")
			}
			if after := contents(t, b.Root); !maps.Equal(before, after) {
				t.Errorf("something changed: %s", difference(before, after))
			}
			if strings.Contains(c.name, "is not listed") {
				return // doctor may repair that, below
			}
			if r := b.Mpull("doctor", "--repair", "--force"); r.Code != 1 {
				t.Errorf("doctor --repair: %s", r)
			}
			if after := contents(t, b.Root); !maps.Equal(before, after) {
				t.Errorf("doctor changed something: %s", difference(before, after))
			}
		})
	}
}

func difference(before, after map[string]bool) string {
	var lines []string
	for path := range before {
		if !after[path] {
			lines = append(lines, "-"+path)
		}
	}
	for path := range after {
		if !before[path] {
			lines = append(lines, "+"+path)
		}
	}
	return strings.Join(lines, "\n")
}

// contents lists the directories and files of a store that belong to images,
// layers and containers.
func contents(t *testing.T, root string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, pattern := range []string{"overlay/*/diff", "overlay-images/*/*", "overlay-layers/*.gz", "overlay-containers/*/*"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			found[path] = true
		}
	}
	return found
}

// TestLeftoversAreSeenAndHealed makes what interrupted tools leave beside a
// store's records. It is no damage, prune goes on, and repair removes it.
func TestLeftoversAreSeenAndHealed(t *testing.T) {
	b, reg := newBed(t), newRegistry(t)
	push(t, reg, "app:1", testimage.Spec{Layers: 2, Seed: 1})
	b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/app:1")
	id := strings.Repeat("ab", 32)
	removable := []string{
		"overlay/" + id + "/diff/f", "overlay-layers/" + id + ".tar-split.gz", "overlay-layers/.tmp-layers.json12",
		"overlay-images/.tmp-images.json34", "overlay/compat1/f", "overlay/metacopy-check2/f",
	}
	alone := []string{"overlay-images/notes.txt", "overlay/compat3/f"}
	for _, name := range slices.Concat(removable, alone) {
		path := filepath.Join(b.Root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"compat1", "metacopy-check2"} { // from yesterday
		if err := os.Chtimes(filepath.Join(b.Root, "overlay", name), yesterday(), yesterday()); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(b.Root, "overlay/l/DANGLING")
	if err := os.Symlink("../gone/diff", link); err != nil {
		t.Fatal(err)
	}
	before := b.Judge()
	r := b.Must("doctor")
	if n := strings.Count(r.Stdout, "leftover "); n != len(removable)+len(alone)+1 || strings.Contains(r.Stdout, "damaged") {
		t.Errorf("doctor sees %d leftovers: %s", n, r)
	}
	b.Must("prune", "--force")
	if r := b.Mpull("doctor", "--repair"); r.Code != 125 || !strings.Contains(r.Stderr, "--force") {
		t.Errorf("doctor --repair without a terminal: %s", r)
	}
	b.Must("doctor", "--repair", "--force")
	for _, name := range removable {
		if _, err := os.Lstat(filepath.Join(b.Root, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	for _, name := range alone {
		if _, err := os.Lstat(filepath.Join(b.Root, name)); err != nil {
			t.Errorf("%s was to be left alone: %v", name, err)
		}
	}
	if _, err := os.Lstat(link); err == nil {
		t.Error("the dangling link is still there")
	}
	if after := b.Judge(); len(after.Names) != 1 || !maps.Equal(before.Names, after.Names) {
		t.Errorf("the names were %v and are %v", before.Names, after.Names)
	}
}

func yesterday() time.Time { return time.Now().Add(-24 * time.Hour) }

// TestKilledRemovalOfTheLastImage leaves what podman rmi leaves when it is killed
// behind its first step: the list names no image, and one directory is there.
// prune refuses and names doctor, which repairs; then prune takes the layers.
func TestKilledRemovalOfTheLastImage(t *testing.T) {
	b, reg := newBed(t), newRegistry(t)
	push(t, reg, "app:1", testimage.Spec{Layers: 2, Seed: 1})
	b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/app:1")
	if err := set("[]")(filepath.Join(b.Root, "overlay-images/images.json")); err != nil {
		t.Fatal(err)
	}
	if r := b.Mpull("prune", "--force"); r.Code != 125 || !strings.Contains(r.Stderr, "mpull doctor") {
		t.Errorf("prune: %s", r)
	}
	if r := b.Mpull("doctor"); r.Code != 1 || !strings.Contains(r.Stdout, "its removal was interrupted") || !strings.Contains(r.Stderr, "mpull doctor --repair") {
		t.Errorf("doctor: %s", r)
	}
	b.Must("doctor", "--repair", "--force")
	b.Must("doctor")
	if err := b.PruneAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := contents(t, b.Root); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// dropFirst takes the first record out of a list.
func dropFirst(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var records []json.RawMessage
	if err := json.Unmarshal(data, &records); err != nil {
		return err
	}
	if data, err = json.Marshal(records[1:]); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}
