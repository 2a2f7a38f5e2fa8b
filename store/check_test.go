package store

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.podman.io/storage"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/storelab"
)

// TestCheckFindsEachDamage damages a store in one way after the other, and mends
// it again: what a check tells is that, in the layer and in all that stands on it.
func TestCheckFindsEachDamage(t *testing.T) {
	l := storelab.New(t, storelab.Dir(t), "overlay")
	id := l.Image(storelab.Spec{Names: []string{name}, Layers: [][]int{{100}, {50}}})
	l.Container("c", id)
	d := deleter(t, l)
	check := func() (found []Damage) {
		t.Helper()
		found, err := d.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := check(); len(found) > 0 {
		t.Fatalf("a whole store: %+v", found)
	}
	img := find(t, d.Store, id)
	for folder, want := range map[*storage.Layer]bool{
		{ID: img.TopLayer}: true, {ID: "gone"}: false, {ID: "gone", ReadOnly: true}: true,
	} {
		if err := d.checkFolder(folder); (err == nil) != want {
			t.Errorf("%+v: %v", folder, err)
		}
	}
	layer := filepath.Join(l.Root, "overlay", img.TopLayer)
	config := filepath.Join(l.Root, "overlay-images", id, "="+base64.StdEncoding.EncodeToString([]byte("sha256:"+id)))
	for _, tt := range []struct {
		name, path string
		damage     func(path string) error
		tells      string
		layer      bool // that it is one
	}{
		{"without what says what lies below", filepath.Join(layer, "lower"), os.Remove, "its file lower is missing", true},
		{"with a file of somebody else's", filepath.Join(layer, "diff", "stranger"), func(path string) error { return os.WriteFile(path, nil, 0o600) }, "something put files into it", true},
		{"without its files", filepath.Join(layer, "diff"), os.RemoveAll, "no such file", true},
		{"with another config", config, func(path string) error {
			blob, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, bytes.Replace(blob, []byte("linux"), []byte("linus"), 1), 0o600))
		}, "has other content than its digest says", false},
	} {
		keep := filepath.Join(t.TempDir(), "kept")
		before := exists(tt.path)
		if before {
			if err := os.CopyFS(keep, os.DirFS(filepath.Dir(tt.path))); err != nil {
				t.Fatal(err)
			}
		}
		if err := tt.damage(tt.path); err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, damage := range check() {
			kinds = append(kinds, string(damage.Kind))
			if text := strings.Join(damage.Problems, "; "); !strings.Contains(text, tt.tells) {
				t.Errorf("%s: %s is told of with %s", tt.name, damage.Kind, text)
			}
			if damage.Removable != (damage.Kind != DamagedContainer) || damage.ReadOnly || damage.Unproven {
				t.Errorf("%s: %+v", tt.name, damage)
			}
			if (damage.Kind == DamagedImage) != slices.Equal(damage.Names, []string{name}) {
				t.Errorf("%s: %s has the names %v", tt.name, damage.Kind, damage.Names)
			}
		}
		want := []string{string(DamagedLayer), string(DamagedImage), string(DamagedContainer)}
		if !tt.layer {
			want = want[1:2]
		}
		if !slices.Equal(kinds, want) {
			t.Errorf("%s: damaged are %v", tt.name, kinds)
		}
		if err := os.RemoveAll(tt.path); err != nil {
			t.Fatal(err)
		}
		if before {
			if err := restoreFrom(keep, tt.path); err != nil {
				t.Fatal(err)
			}
		}
		if found := check(); len(found) > 0 {
			t.Fatalf("mended after %s: %+v", tt.name, found)
		}
	}
}

// restoreFrom puts back what was kept of a folder under the name that path has.
func restoreFrom(kept, path string) error {
	from := filepath.Join(kept, filepath.Base(path))
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(path, os.DirFS(from))
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, info.Mode())
}

// TestDamageOfReadOnlyStores is told, and nobody here may remove it; nor what only
// this machine could not read.
func TestDamageOfReadOnlyStores(t *testing.T) {
	missing, refused := &os.PathError{Op: "open", Path: "/x", Err: unix.ENOENT}, &os.PathError{Op: "open", Path: "/x", Err: unix.EACCES}
	images := []storage.Image{{ID: "a", Names: []string{"other:1"}}, {ID: "b", Names: []string{name}}}
	for _, tt := range []struct {
		kind     DamageKind
		readOnly bool
		errs     []error
		want     string
	}{
		{DamagedImage, false, []error{missing}, "removable"},
		{DamagedLayer, false, []error{errors.New("odd")}, "removable"},
		{DamagedContainer, false, []error{missing}, ""},
		{DamagedImage, true, []error{missing}, "read-only"},
		{DamagedImage, false, []error{refused}, "unproven"},
		{DamagedImage, false, []error{refused, missing, missing}, "removable"},
	} {
		d := appendDamage(nil, tt.kind, map[string][]error{"b": tt.errs}, tt.readOnly, images)[0]
		got := ""
		for word, is := range map[string]bool{"removable": d.Removable, "read-only": d.ReadOnly, "unproven": d.Unproven} {
			if is {
				got += word
			}
		}
		if got != tt.want || !slices.Equal(d.Names, []string{name}) || len(d.Problems) != len(slices.Compact(tt.errs)) {
			t.Errorf("%s, read-only %t, %v: %+v", tt.kind, tt.readOnly, tt.errs, d)
		}
	}
	found := appendDamage(nil, DamagedLayer, map[string][]error{"z": {missing}, "a": {missing}, "m": {missing}}, false, images)
	if got := fmt.Sprint(found[0].ID, found[1].ID, found[2].ID); got != "amz" || found[1].Names != nil {
		t.Errorf("in the order %s, %+v", got, found)
	}
}
