package faults

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.podman.io/storage"

	"github.com/mpull/mpull/integration/testimage"
)

// TestUnfinishedImage makes images that a killed writer leaves: what is
// written last is not there. The next pull finishes them.
func TestUnfinishedImage(t *testing.T) {
	for _, lost := range []string{"manifest", "manifest-", "sha256:"} {
		t.Run(lost, func(t *testing.T) {
			b, reg := newBed(t), newRegistry(t)
			id := push(t, reg, "app:1", testimage.Spec{Layers: 2, Files: 2, Seed: 1})
			name := reg.Host + "/app:1"
			b.Must("pull", "--quiet", "--tls-verify=false", name)
			if n := forget(t, filepath.Join(b.Root, "overlay-images"), id, lost); n == 0 {
				t.Fatal("nothing was there to lose")
			}
			for _, policy := range []string{"missing", "always"} {
				b.Must("pull", "--quiet", "--policy", policy, "--tls-verify=false", name)
				if v := sound(t, b, false); v.Half != 0 || v.Names[name] != id {
					t.Errorf("%s: %d half images, the tag is %q", policy, v.Half, v.Names[name])
				}
			}
		})
	}
}

// forget takes the items with a key, or whose keys begin with it when it ends
// in a mark, out of an image's record and folder. It returns how many.
func forget(t *testing.T, dir, id, lost string) int {
	t.Helper()
	index := filepath.Join(dir, "images.json")
	data, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	var images []map[string]any
	if err := json.Unmarshal(data, &images); err != nil {
		t.Fatal(err)
	}
	is := func(key string) bool {
		if lost == storage.ImageDigestBigDataKey {
			return key == lost
		}
		return len(key) > len(lost) && key[:len(lost)] == lost
	}
	n := 0
	for _, img := range images {
		if img["id"] != id {
			continue
		}
		names := img["big-data-names"].([]any)
		img["big-data-names"] = slices.DeleteFunc(names, func(key any) bool {
			if !is(key.(string)) {
				return false
			}
			n++
			file := key.(string)
			if file != storage.ImageDigestBigDataKey { // as the library names files
				file = "=" + base64.StdEncoding.EncodeToString([]byte(file))
			}
			if err := os.Remove(filepath.Join(dir, id, file)); err != nil {
				t.Error(err)
			}
			return true
		})
		for _, field := range []string{"big-data-sizes", "big-data-digests"} {
			items := img[field].(map[string]any)
			for key := range items {
				if is(key) {
					delete(items, key)
				}
			}
		}
	}
	if data, err = json.Marshal(images); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(index, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}
