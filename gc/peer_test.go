package gc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/storelab"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/store"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// history changes a store at random, by the library and by podman.
type history struct {
	*storelab.Lab
	rand   *rand.Rand
	images []string
	lists  int
	noList bool // podman before 5 does not look into manifest lists
}

func (h *history) podman(args ...string) string {
	h.TB.Helper()
	cmd := exec.Command("podman", append([]string{"--root", h.Root, "--runroot", h.RunRoot, "--storage-driver", h.Driver}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			h.TB.Fatalf("podman %v: %v: %s", args, err, exit.Stderr)
		}
		h.TB.Fatalf("podman %v: %v", args, err)
	}
	return string(out)
}

func (h *history) name() string { return fmt.Sprintf("localhost/app:%d", h.rand.IntN(4)) }
func (h *history) any() string  { return h.images[h.rand.IntN(len(h.images))] }

// step does one thing: a new image, a child of one, a tag move, an untag, a
// manifest list.
func (h *history) step() {
	h.TB.Helper()
	var names []string
	if h.rand.IntN(3) == 0 {
		names = []string{h.name()}
	}
	switch n := h.rand.IntN(10); {
	case n < 2 || len(h.images) == 0:
		h.add(h.Image(storelab.Spec{Layers: [][]int{{10}}}), names)
	case n < 4:
		h.add(h.Image(storelab.Spec{Parent: h.any(), Layers: [][]int{{10}}}), names)
	case n < 5:
		h.add(h.Image(storelab.Spec{Parent: h.any(), Empty: 1}), names)
	case n < 6:
		h.podman("tag", h.any(), h.name())
	case n < 7:
		h.podman("untag", h.any())
	case n < 8 && !h.noList:
		h.lists++
		h.List([]string{fmt.Sprintf("localhost/list:%d", h.lists)}, h.any())
	default:
		h.rename(h.any(), []string{h.name()})
	}
}

func (h *history) add(id string, names []string) {
	h.images = append(h.images, id)
	h.rename(id, names)
}

func (h *history) rename(id string, names []string) {
	h.TB.Helper()
	if err := h.Lib.AddNames(id, names); len(names) > 0 && err != nil {
		h.TB.Fatal(err)
	}
}

// The dangling set is podman's, whatever happened to the store before.
func TestDanglingIsWhatPodmanSays(t *testing.T) {
	testenv.Need(t, "podman")
	h := &history{Lab: storelab.New(t, storelab.Dir(t), "vfs"), rand: rand.New(rand.NewPCG(4, 2))}
	version := strings.TrimSpace(h.podman("version", "--format", "{{.Client.Version}}"))
	h.noList = version[0] < '5' && version[1] == '.'
	s, err := store.Open(store.Options{Root: h.Root, RunRoot: h.RunRoot, Driver: h.Driver})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	most := 0
	for n := range 50 {
		h.step()
		snap, err := s.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		plan, err := MakePlan(snap, Policy{MinAge: -1}, snap.TakenAt)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range plan.Removals() {
			if d.Reason == Dangling {
				got = append(got, "sha256:"+d.ID)
			}
		}
		want := strings.Fields(h.podman("images", "-a", "-f", "dangling=true", "-q", "--no-trunc"))
		slices.Sort(got)
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			t.Fatalf("after %d steps: got\n%v\npodman says\n%v\n%v", n+1, got, want, plan)
		}
		most = max(most, len(got))
	}
	if most < 3 {
		t.Errorf("at most %d images were dangling: these histories prove little", most)
	}
	wouldGo, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := MakePlan(wouldGo, Policy{MinAge: -1}, wouldGo.TakenAt)
	if err != nil {
		t.Fatal(err)
	}
	h.podman("image", "prune", "-f")
	after, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(wouldGo.Images)-len(plan.Removals()), len(after.Images); got != want {
		t.Errorf("the plan leaves %d images, podman's prune left %d", got, want)
	}
	for _, d := range plan.Removals() {
		if slices.ContainsFunc(after.Images, func(img store.Image) bool { return img.ID == d.ID }) {
			t.Errorf("podman's prune left %.12s, planned as %s", d.ID, d.Reason)
		}
	}
}
