package gc

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"pgregory.net/rapid"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// anySnapshot draws stores of every shape: layers in trees, images on any of
// them, with and without names, histories, parents, lists and containers.
func anySnapshot(t *rapid.T) *store.Snapshot {
	snap := &store.Snapshot{TakenAt: now}
	age := rapid.Custom(func(t *rapid.T) time.Time {
		return now.Add(-time.Duration(rapid.IntRange(0, 72).Draw(t, "hours")) * time.Hour)
	})
	for i := range rapid.IntRange(1, 12).Draw(t, "layers") {
		layer := store.Layer{ID: fmt.Sprintf("%064x", i), Created: age.Draw(t, "age"), UncompressedSize: 1 << i, ReadOnly: rapid.IntRange(0, 9).Draw(t, "ro") == 0}
		if i > 0 && rapid.IntRange(0, 3).Draw(t, "based") > 0 {
			layer.Parent = fmt.Sprintf("%064x", rapid.IntRange(0, i-1).Draw(t, "parent"))
			// An additional store has what its layers stand on: a read-only layer
			// never stands on a writable one.
			layer.ReadOnly = layer.ReadOnly && snap.Layers[indexOf(snap, layer.Parent)].ReadOnly
		}
		snap.Layers = append(snap.Layers, layer)
	}
	layerID := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("%064x", rapid.IntRange(0, len(snap.Layers)-1).Draw(t, "layer"))
	})
	for i := range rapid.IntRange(0, 10).Draw(t, "images") {
		snap.Images = append(snap.Images, anyImage(t, snap, i, layerID, age))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "containers") {
		c := store.Container{ID: fmt.Sprintf("%064x", 3000+i), LayerID: layerID.Draw(t, "container layer")}
		if len(snap.Images) > 0 {
			c.ImageID = rapid.SampledFrom(snap.Images).Draw(t, "of").ID
		}
		snap.Containers = append(snap.Containers, c)
	}
	return snap
}

func indexOf(snap *store.Snapshot, id string) int {
	return slices.IndexFunc(snap.Layers, func(l store.Layer) bool { return l.ID == id })
}

func anyImage(t *rapid.T, snap *store.Snapshot, i int, layerID *rapid.Generator[string], age *rapid.Generator[time.Time]) store.Image {
	img := store.Image{ID: fmt.Sprintf("%064x", 1000+i), Digest: digest.Digest(fmt.Sprint("digest-", i)), Created: age.Draw(t, "created"), BigData: map[string]int64{"manifest": 1 << 20}}
	config := &store.Config{OS: "linux", Architecture: "amd64", History: []store.History{{CreatedBy: fmt.Sprint(rapid.IntRange(0, 1).Draw(t, "step"))}}}
	img.Config = config
	kind := rapid.IntRange(0, 9).Draw(t, "kind")
	if kind > 0 {
		img.TopLayer = layerID.Draw(t, "top")
	}
	if kind == 1 {
		img.MappedTopLayers = []string{layerID.Draw(t, "mapped")}
	}
	if kind == 2 && i > 0 {
		img.TopLayer, img.IsList, img.Config = "", true, nil
		img.Members = []digest.Digest{digest.Digest(fmt.Sprint("digest-", rapid.IntRange(0, i-1).Draw(t, "member")))}
	}
	if kind > 6 && i > 0 {
		if parent := snap.Images[rapid.IntRange(0, i-1).Draw(t, "from")]; parent.Config != nil {
			img.TopLayer = parent.TopLayer
			config.History = append(slices.Clone(parent.Config.History), config.History...)
		}
	}
	img.ReadOnly = kind == 3
	switch rapid.IntRange(0, 3).Draw(t, "name") {
	case 0:
		img.Names = []string{fmt.Sprint("docker.io/library/app:", i)}
	case 1:
		img.Displaced = []store.Displacement{{Name: "docker.io/library/app:x", At: age.Draw(t, "displaced")}}
	case 2:
		img.NamesHistory = []string{"docker.io/library/app:y"}
	}
	return img
}

func anyPolicy(t *rapid.T) Policy {
	p := Policy{
		All: rapid.Bool().Draw(t, "all"), Keep: rapid.IntRange(0, 2).Draw(t, "keep"),
		Free: rapid.SampledFrom([]int64{0, 0, 1, 1 << 20, 1 << 40}).Draw(t, "free"), MinAge: -1,
	}
	if rapid.Bool().Draw(t, "filtered") {
		f, err := query.ParseFilter(rapid.SampledFrom([]string{"until=24h", "reference=app", "was=*", "platform=linux/amd64", "label!=x"}).Draw(t, "filter"))
		if err != nil {
			t.Fatal(err)
		}
		p.Filters = []query.Filter{f}
	}
	return p
}

// needed returns the writable layers that a set of images needs, with what
// containers need.
func needed(snap *store.Snapshot, keep func(store.Image) bool) map[string]bool {
	parent := map[string]string{}
	for _, l := range snap.Layers {
		parent[l.ID] = l.Parent
	}
	live := map[string]bool{}
	mark := func(id string) {
		for ; id != "" && !live[id]; id = parent[id] {
			live[id] = true
		}
	}
	for _, img := range snap.Images {
		if keep(img) {
			mark(img.TopLayer)
			for _, id := range img.MappedTopLayers {
				mark(id)
			}
		}
	}
	for _, c := range snap.Containers {
		mark(c.LayerID)
	}
	return live
}

func TestNothingLiveIsEverPlanned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snap, policy := anySnapshot(t), anyPolicy(t)
		plan, err := MakePlan(snap, policy, now)
		if err != nil {
			t.Fatal(err)
		}
		goes := map[string]bool{}
		decided := map[string]int{}
		bytes := int64(0)
		for _, d := range plan.Images {
			goes[d.ID] = d.Goes
			decided[d.ID]++
			if d.Goes {
				bytes += 1 << 20
			}
		}
		live := needed(snap, func(img store.Image) bool { return !goes[img.ID] && !img.ReadOnly })
		for _, img := range snap.Images {
			if decided[img.ID] != 1 {
				t.Errorf("image %s has %d decisions", img.ID[60:], decided[img.ID])
			}
			used := slices.ContainsFunc(snap.Containers, func(c store.Container) bool { return c.ImageID == img.ID })
			if goes[img.ID] && (len(img.Names) > 0 && !policy.All || img.ReadOnly || used) {
				t.Errorf("image %s goes: %+v", img.ID[60:], img)
			}
		}
		sizes := map[string]int64{}
		readOnly := map[string]bool{}
		for _, l := range snap.Layers {
			sizes[l.ID], readOnly[l.ID] = l.UncompressedSize, l.ReadOnly
		}
		freed := map[string]bool{}
		free := func(id string) {
			if live[id] || readOnly[id] || freed[id] {
				t.Errorf("layer %s is freed: live %t, read-only %t, freed before %t", id[60:], live[id], readOnly[id], freed[id])
			}
			freed[id] = true
			bytes += sizes[id]
		}
		for _, l := range plan.Layers {
			free(l.ID)
		}
		for _, l := range plan.Leftovers {
			if l.Goes {
				free(l.ID)
			}
		}
		if bytes != plan.Bytes {
			t.Errorf("the plan says %d bytes, its parts have %d", plan.Bytes, bytes)
		}
		if err := plan.validate(); err != nil {
			t.Error(err)
		}
		if again, _ := MakePlan(snap, policy, now); !reflect.DeepEqual(plan, again) {
			t.Error("a second plan differs")
		}
		if err := Verify(plan, snap, nil); err != nil {
			t.Errorf("nothing changed, but: %v", err)
		}
	})
}

// every layer below what goes comes free, unless something that stays needs it
func TestWhatNobodyNeedsComesFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snap := anySnapshot(t)
		for i := range snap.Layers {
			snap.Layers[i].ReadOnly = false
			snap.Layers[i].Created = now.Add(-100 * time.Hour)
		}
		plan, err := MakePlan(snap, Policy{MinAge: -1}, now)
		if err != nil {
			t.Fatal(err)
		}
		goes := map[string]bool{}
		for _, d := range plan.Removals() {
			goes[d.ID] = true
		}
		live := needed(snap, func(img store.Image) bool { return !goes[img.ID] })
		freed := len(plan.Layers)
		for _, l := range plan.Leftovers {
			if l.Goes {
				freed++
			}
		}
		if freed+len(live) < len(snap.Layers) && !slices.ContainsFunc(snap.Images, func(img store.Image) bool { return img.ReadOnly }) {
			t.Errorf("%d layers, %d needed, only %d come free", len(snap.Layers), len(live), freed)
		}
	})
}
