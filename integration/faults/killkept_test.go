package faults

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpull/mpull/integration/testimage"
)

// TestKillKept kills what moves names among images that are kept: use, pull
// --keep, load, save and doctor --repair. After each kill every image that was
// kept has a name, the tag is at one of them, and the same command succeeds.
func TestKillKept(t *testing.T) {
	kills := figure(t, 8, 60, 600)
	random := rand.New(rand.NewPCG(11, uint64(kills)))
	b, reg := newBed(t), newRegistry(t)
	platforms := []string{"linux/amd64", "linux/arm64", "linux/s390x"}
	index, err := testimage.Index(platforms, testimage.Spec{Layers: 4, Files: 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.PushIndex("set:1", index); err != nil {
		t.Fatal(err)
	}
	set, other := reg.Host+"/set:1", reg.Host+"/app:latest"
	pull := []string{"pull", "--quiet", "--tls-verify=false"}
	for _, p := range platforms {
		pull = append(pull, "--platform", p)
	}
	first := b.Must(append(pull, set)...)
	kept := strings.Fields(first.Stdout)
	if len(kept) != len(platforms) {
		t.Fatal(first)
	}
	archive := filepath.Join(b.Dir, "set.tar")
	save := []string{"save", "--quiet", "--output", archive, set}
	for _, p := range platforms {
		save = append(save, "--platform", p)
	}
	b.Must(save...)
	spec := testimage.Spec{Layers: 3, Files: 10}
	kept = append(kept, push(t, reg, "app:latest", spec))
	b.Must("pull", "--quiet", "--tls-verify=false", other)

	k := &killing{t: t, b: b, name: set, random: random, within: map[string]time.Duration{}}
	var sum killRounds
	rounds := 0
	for ; sum.killed < kills && rounds < 6*kills; rounds++ {
		args := [][]string{
			{"use", "--platform", platforms[rounds%len(platforms)], set},
			{"load", "--quiet", "--input", archive},
			{"pull", "--quiet", "--keep", "--tls-verify=false", other},
			{"doctor", "--repair", "--force"},
			save,
		}[random.IntN(5)]
		next := ""
		if args[0] == "pull" {
			spec.Seed = uint64(rounds + 1)
			next = push(t, reg, "app:latest", spec)
		}
		if k.within[args[0]] == 0 {
			k.within[args[0]] = first.Took / 4
		}
		k.kill(&sum, args...)
		holdsKept(t, k, &sum, kept, args)
		b.Must(args...)
		if next != "" {
			kept = append(kept, next)
		}
		holdsKept(t, k, &sum, kept, args)
		if t.Failed() {
			t.Fatalf("after round %d", rounds)
		}
	}
	t.Logf("%d rounds in all: %d killed, %d images kept, 0 lost", rounds, sum.killed, len(kept))
	if sum.killed < kills {
		t.Errorf("only %d of %d rounds killed anything: the delays are too long", sum.killed, rounds)
	}
	if r := b.Mpull("prune", "--force"); r.Code != 0 {
		t.Error(r)
	}
	holdsKept(t, k, &sum, kept, []string{"prune"})
}

// holdsKept checks that each image has a name, and the tag is at one of them.
func holdsKept(t *testing.T, k *killing, sum *killRounds, kept, args []string) {
	t.Helper()
	v := k.judge(sum)
	named := slices.Collect(maps.Values(v.Names))
	for _, id := range kept {
		if !slices.Contains(named, id) {
			t.Errorf("broken promise: %s lost the names of %.12s, which was kept; there are %v", args[0], id, v.Names)
		}
	}
	if !slices.Contains(kept, v.Names[k.name]) {
		t.Errorf("broken promise: after %s the tag is %q", args[0], v.Names[k.name])
	}
}
