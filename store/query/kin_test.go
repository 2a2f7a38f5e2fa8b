package query

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/store"
)

// step makes an image on a layer with a history of steps, a letter for each.
func step(id, top, history string, names ...string) store.Image {
	img := store.Image{ID: id, TopLayer: top, Names: names, Digest: digest.Digest("digest-" + id), Config: &store.Config{}}
	for _, s := range history {
		img.Config.History = append(img.Config.History, store.History{CreatedBy: string(s)})
	}
	return img
}

// relation writes what kinship says of image i: >parents <children =lists
// :members, "!" when it dangles, "~" when it is only a step.
func relation(k *Kinship, i int) string {
	letters := func(sign string, at []int) (text string) {
		for _, i := range at {
			text += sign + k.images[i].ID
		}
		return text
	}
	text := letters(">", k.Parents(i)) + letters("<", k.Children(i)) + letters("=", k.Lists(i)) + letters(":", k.Members(i))
	if k.Dangling(i) {
		text += "!"
	}
	if k.Intermediate(i) {
		text += "~"
	}
	return text
}

func TestKinship(t *testing.T) {
	damaged := store.Image{ID: "D", TopLayer: "b", ConfigError: errors.New("damaged")}
	list := func(id string, err error, members ...string) store.Image {
		img := store.Image{ID: id, Names: []string{"all:1"}, IsList: true, ConfigError: err}
		for _, m := range members {
			img.Members = append(img.Members, digest.Digest("digest-"+m))
		}
		return img
	}
	itself := list("L", nil, "L", "A")
	itself.Digest = "digest-L"
	for _, tt := range []struct {
		name   string
		images []store.Image
		want   string
	}{
		{"alone", []store.Image{step("A", "a", "x"), step("B", "b", "y", "b:1")}, "A!, B"},
		{"on the layer above", []store.Image{step("A", "a", "x"), step("B", "b", "xy", "b:1")}, "A<B~, B>A"},
		{"on the same layer", []store.Image{step("A", "b", "x"), step("B", "b", "xy")}, "A<B~, B>A!"},
		{"two layers up is no child", []store.Image{step("A", "a", "x"), step("B", "c", "xy")}, "A!, B!"},
		{"nor one of two steps", []store.Image{step("A", "a", "x"), step("B", "b", "xyz")}, "A!, B!"},
		{"nor one of other steps", []store.Image{step("A", "a", "x"), step("B", "b", "zy")}, "A!, B!"},
		{"a parent with a name is not looked for", []store.Image{step("A", "a", "x", "a:1"), step("B", "b", "xy")}, "A, B!"},
		{"without layers", []store.Image{step("A", "", "x"), step("B", "", "xy")}, "A<B~, B>A!"},
		{"on an image without layers, by the store's lowest layer", []store.Image{step("A", "", "x"), step("B", "a", "xy")}, "A!, B!"},
		{"a layer that is gone", []store.Image{step("A", "gone", "x"), step("B", "gone", "xy")}, "A!, B!"},
		{"who is damaged may be a child of any below", []store.Image{step("A", "a", "x"), step("B", "b", "y"), step("C", "c", "z"), damaged}, "A<D~, B<D~, C!, D>B>A!"},
		{"damaged ones are no parents", []store.Image{damaged, step("B", "b", "x")}, "D>B!, B<D~"},
		{"a list", []store.Image{step("A", "a", "x"), step("B", "b", "y"), list("L", nil, "A", "A", "gone")}, "A=L, B!, L:A"},
		{"a list that names itself", []store.Image{step("A", "a", "x"), itself}, "A=L, L:A"},
		{"a list that cannot be read may name all", []store.Image{step("A", "a", "x"), list("L", errors.New("damaged"))}, "A, L"},
		{"one that can names what it names", []store.Image{step("A", "a", "x"), list("L", nil)}, "A!, L"},
	} {
		k := NewKinship(&store.Snapshot{Images: tt.images, Layers: layersABC()})
		var got []string
		for i := range tt.images {
			got = append(got, tt.images[i].ID+relation(k, i))
		}
		if text := strings.Join(got, ", "); text != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, text, tt.want)
		}
	}
}

// layersABC are a, b on a, c on b; an additional store has b on nothing.
func layersABC() []store.Layer {
	return []store.Layer{
		{ID: "b", ReadOnly: true}, {ID: "a"}, {ID: "b", Parent: "a"}, {ID: "c", Parent: "b"}, {ID: "b", ReadOnly: true},
	}
}

// TestParents finds what an image was built on, named or not.
func TestParents(t *testing.T) {
	snap := &store.Snapshot{
		Images: []store.Image{
			step("A", "a", "x", "a:1"), step("B", "b", "xy"), step("C", "c", "xyz"), {ID: "D", TopLayer: "c", ConfigError: errors.New("damaged")},
		},
		Layers:     layersABC(),
		Containers: []store.Container{{ImageID: "A"}, {ImageID: "C"}, {ImageID: "A"}},
	}
	v := New(snap, nil)
	parent := v.Parents()
	var all, nameless []string
	for i := range snap.Images {
		img := &snap.Images[i]
		all, nameless = append(all, img.ID+parent(img)), append(nameless, img.ID+v.Kinship().ParentID(img))
	}
	if got := fmt.Sprint(all); got != "[A BA CB D]" {
		t.Errorf("built on %s", got)
	}
	if got := fmt.Sprint(nameless); got != "[A B CB DC]" {
		t.Errorf("built on nameless ones: %s", got)
	}
	if got := fmt.Sprint(v.Containers()); got != "map[A:2 C:1]" {
		t.Errorf("containers %s", got)
	}
}
