package gc

import (
	"fmt"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/store"
)

// bigSnapshot has images of layers each: half of them shared with neighbours,
// every second image displaced, every tenth one the child of another.
func bigSnapshot(images, layers int) *store.Snapshot {
	snap := &store.Snapshot{TakenAt: now}
	add := func(i int, parent string) string {
		id := fmt.Sprintf("%064x", i)
		snap.Layers = append(snap.Layers, store.Layer{ID: id, Parent: parent, Created: now.Add(-time.Duration(i) * time.Second), UncompressedSize: 1000})
		return id
	}
	n := 0
	for i := range images {
		img := store.Image{ID: fmt.Sprintf("%064x", 1<<40+int64(i)), Digest: digest.Digest(fmt.Sprint("sha256:", i)), BigData: map[string]int64{"manifest": 1000}}
		img.Config = &store.Config{OS: "linux", Architecture: "arm", Variant: "v7"}
		for range layers {
			n++
			img.TopLayer = add(n, img.TopLayer)
			img.Config.DiffIDs = append(img.Config.DiffIDs, digest.Digest(img.TopLayer))
			img.Config.History = append(img.Config.History, store.History{CreatedBy: img.TopLayer})
		}
		if i%2 == 0 {
			img.Names = []string{fmt.Sprint("docker.io/library/app:", i)}
		} else {
			img.Displaced = []store.Displacement{{Name: fmt.Sprint("docker.io/library/app:", i-1), At: now.Add(-time.Duration(i) * time.Minute)}}
		}
		if parent := i - 1; i%10 == 9 {
			p := &snap.Images[parent]
			img.TopLayer = p.TopLayer
			img.Config.DiffIDs = p.Config.DiffIDs
			img.Config.History = append(append([]store.History{}, p.Config.History...), store.History{CreatedBy: "label"})
		}
		snap.Images = append(snap.Images, img)
	}
	return snap
}

func BenchmarkMakePlan10000Images100000Layers(b *testing.B) {
	snap := bigSnapshot(10000, 10)
	policy := Policy{Keep: 1}
	for b.Loop() {
		if _, err := MakePlan(snap, policy, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExecuteCheck10000Images(b *testing.B) {
	snap := bigSnapshot(10000, 10)
	plan, err := MakePlan(snap, Policy{}, now)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := Verify(plan, snap, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMakePlanFiltered(b *testing.B) {
	snap := bigSnapshot(10000, 10)
	policy := Policy{Filters: mustFilters(b, "until=1h", "was=app", "platform=linux/arm")}
	for b.Loop() {
		if _, err := MakePlan(snap, policy, now); err != nil {
			b.Fatal(err)
		}
	}
}
