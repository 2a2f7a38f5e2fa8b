package engine

import (
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// TestFate: what is said of an image that lost its name is what a prune does.
func TestFate(t *testing.T) {
	step := store.History{CreatedBy: "one"}
	loser := store.Image{
		ID: "loser", TopLayer: "l", Digest: "sha256:1", NamesHistory: []string{"app:1"}, BigData: map[string]int64{"manifest": 5},
		Config: &store.Config{OS: "linux", Architecture: "amd64", History: []store.History{step}},
	}
	child := store.Image{ID: "child", TopLayer: "l", Names: []string{"built:1"}, Config: &store.Config{History: []store.History{step, {CreatedBy: "two"}}}}
	list := store.Image{ID: "list", IsList: true, Names: []string{"all:1"}, Members: []digest.Digest{"sha256:1"}}
	layers := []store.Layer{{ID: "l", UncompressedSize: 100, Created: time.Now().Add(-time.Hour)}}
	mounted := []store.Layer{{ID: "l", Mounts: 1}}
	named := loser
	named.Names = []string{"other:1"}
	for name, tt := range map[string]struct {
		img      store.Image
		others   []store.Image
		layers   []store.Layer
		used     []store.Container
		reason   gc.Reason
		dangling bool
	}{
		"nothing needs it":     {loser, nil, layers, nil, gc.Dangling, true},
		"it has another name":  {named, nil, layers, nil, gc.Named, false},
		"one was built on it":  {loser, []store.Image{child}, layers, nil, gc.Parent, false},
		"a list names it":      {loser, []store.Image{list}, layers, nil, gc.ListMember, false},
		"a container uses it":  {loser, nil, layers, []store.Container{{ID: "c", ImageID: "loser"}}, gc.UsedByContainer, true},
		"somebody mounted it":  {loser, nil, mounted, nil, gc.Mounted, true},
		"it came while we ran": {loser, []store.Image{child}, layers, nil, gc.Parent, false},
	} {
		snap := &store.Snapshot{Images: tt.others, Layers: tt.layers, Containers: tt.used}
		if name != "it came while we ran" {
			before := tt.img
			before.Names = append([]string{"app:1"}, tt.img.Names...)
			snap.Images = append([]store.Image{before}, tt.others...)
		}
		f, err := fate(snap, &tt.img)
		if err != nil || f.Reason != tt.reason || f.Dangling != tt.dangling || f.Goes != (tt.reason == gc.Dangling) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		if tt.reason == gc.Dangling && f.Alone != 105 {
			t.Errorf("%s: %d bytes", name, f.Alone)
		}
	}
}
