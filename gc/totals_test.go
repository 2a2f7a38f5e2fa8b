package gc

import (
	"testing"

	"github.com/mpull/mpull/store"
)

// disk is a store of total bytes, measured by the records of its layers; an
// image's own data take 1 byte, a container's 2.
type disk struct {
	byRecord
	total int64
}

func (disk) Container(string) int64 { return 2 }
func (d disk) Total() int64         { return d.total }

// TestTotals counts each byte once, in the right place: of a layer that an
// additional store has too, and of one on which an image stands twice, as well.
func TestTotals(t *testing.T) {
	snap := letters(t, `
		layer a 100
		layer b 20 on a
		layer b 20 read-only
		layer c 3 on a
		layer r 5000 read-only
		layer s 6000 read-only
		layer s 6 on a
		layer d 7
		layer e 5 on d
		layer m 11 on d
		layer v 60
		layer w 4 on v
		layer z 900
		image P b app:1
		image Q c was app:1 2h
		image R r was ro:1 2h read-only
		image S e mapped m web:1
		image T s old:1
		container x of Q`)
	snap.Layers[len(snap.Layers)-1].UncompressedSize = 40
	snap.Containers = append(snap.Containers, store.Container{ID: id("y"), LayerID: id("w")}) // its image is gone
	sizes := byRecord{}
	for _, l := range snap.Layers {
		sizes[l.ID] = l.UncompressedSize
	}
	sizes[id("b")], sizes[id("s")] = 20, 6
	got := MakeTotals(snap, []store.Download{{Bytes: 50}, {Bytes: 5}}, disk{sizes, 10000})
	want := Totals{
		Images: 4, Dangling: 1, Layers: 7, Containers: 2,
		UniqueLayers: 20 + 3 + 6 + 7 + 5 + 11, SharedLayers: 100, ImageData: 4, ContainerLayers: 40 + 60 + 4, ContainerData: 4, Leftovers: 900 + 55,
		Total: 10000,
	}
	want.Other = 10000 - 52 - 100 - 4 - 104 - 4 - 955
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if empty := MakeTotals(&store.Snapshot{}, nil, disk{total: 3}); empty != (Totals{Other: 3, Total: 3}) {
		t.Errorf("of an empty store: %+v", empty)
	}
}

// TestSharesOfMappedLayers counts what an image stands on twice only once, and
// nothing of an additional store.
func TestSharesOfMappedLayers(t *testing.T) {
	snap := letters(t, `
		layer r 5000 read-only
		layer a 100 on r
		layer b 20 on a
		layer m 3 on a
		image P b mapped m app:1
		image R r read-only`)
	sizes := byRecord{}
	for _, l := range snap.Layers {
		sizes[l.ID] = l.UncompressedSize
	}
	if got := Shares(snap, sizes); got[0] != (Share{Own: 124}) || got[1] != (Share{}) {
		t.Errorf("got %+v", got)
	}
}

// TestInUse names what uses an image: its first container, or a mount anywhere
// below it, also in a store whose layers stand on each other in a ring.
func TestInUse(t *testing.T) {
	for _, tt := range []struct {
		name, graph string
		want        *Keeper
	}{
		{"nothing", `
			layer a 1
			layer b 1 mounted
			image A a`, nil},
		{"a container", `
			layer a 1
			image A a
			container x of A
			container y of A`, &Keeper{UsedByContainer, id("x"), "x-name"}},
		{"its only layer is mounted", `
			layer a 1 mounted
			image A a`, &Keeper{Reason: Mounted}},
		{"the lowest layer is mounted", `
			layer a 1 mounted
			layer b 1 on a
			layer c 1 on b
			image A c`, &Keeper{Reason: Mounted}},
		{"a mapped copy of the top layer is mounted", `
			layer a 1
			layer m 1 mounted
			image A a mapped m`, &Keeper{Reason: Mounted}},
		{"a ring, beside a mount", `
			layer a 1 on b
			layer b 1 on a
			layer c 1 mounted
			image A a`, nil},
		{"a ring with a mount", `
			layer a 1 on b
			layer b 1 on c mounted
			layer c 1 on a
			image A c`, &Keeper{Reason: Mounted}},
	} {
		snap := letters(t, tt.graph)
		got := InUse(snap, &snap.Images[0])
		if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
