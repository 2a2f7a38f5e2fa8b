package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// TestHistories lets podman, buildah and mpull change a store in turns, at
// random, and then asks mpull and podman which images dangle, and mpull what a
// prune would remove, before podman prunes. Each history is told by its seed.
func TestHistories(t *testing.T) {
	testenv.Need(t, "podman", "buildah")
	available := drivers(t)
	registry := testregistry.New()
	defer registry.Close()
	stockHistories(t, registry)
	many := 50
	if testenv.Short(t) {
		many = 6
	}
	ended := make([]*history, many)
	t.Run("seed", func(t *testing.T) { // ends when its parallel tests have ended
		for n := range many {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				h := &history{
					machine: machineFor(t, inMemory(t), available[n%len(available)], registry.Host), host: registry.Host,
					rand: rand.New(rand.NewPCG(4, uint64(n))), done: map[string]int{},
				}
				ended[n] = h
				h.live()
				h.compare()
			})
		}
	})
	provesEnough(t, ended)
}

// inMemory is a directory for a store, which syncs often: in memory where this
// user may mount, since what a power failure leaves is not asked here.
func inMemory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if os.Geteuid() != 0 {
		return dir
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1g,mode=755"); err != nil {
		t.Logf("the store is on disk: %v", err)
		return dir
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// provesEnough fails a test whose histories did not do what they are for.
func provesEnough(t *testing.T, ended []*history) {
	done := map[string]int{}
	for _, h := range ended {
		if h == nil {
			return // only one of them was asked for, with -run
		}
		for key, n := range h.done {
			done[key] += n
		}
	}
	t.Logf("%d histories: %v", len(ended), done)
	wanted := []string{"dangling", "pruned"}
	if len(ended) >= 50 {
		for _, d := range deeds() {
			wanted = append(wanted, d.name)
		}
	}
	for _, key := range wanted {
		if done[key] == 0 {
			t.Errorf("no history has %q: they prove too little", key)
		}
	}
}

// stockHistories fills a registry with two tags of three platforms each.
func stockHistories(t *testing.T, registry *testregistry.Registry) {
	t.Helper()
	for seed, repo := range []string{"team/app:1", "team/app:2"} {
		index, err := testimage.Index(historyPlatforms(), testimage.Spec{Seed: uint64(seed), Files: 1, FileSize: 64})
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.PushIndex(repo, index); err != nil {
			t.Fatal(err)
		}
	}
}

func historyPlatforms() []string { return []string{"linux/" + runtime.GOARCH, foreign(), "linux/386"} }

// history is a store that tools change.
type history struct {
	*machine
	host string
	rand *rand.Rand
	done map[string]int // deeds that were not refused, and what they led to
	told []string       // command lines
}

// held is an image as mpull lists it.
type held struct {
	ID       string
	Names    []string
	History  []string
	Platform string
}

// deed is one thing that a tool does to a store that has images.
type deed struct {
	name string
	do   func(h *history, img held) bool // false when it was refused
}

// deeds are what a history is made of. A name that is given may be another
// image's, which then loses it.
func deeds() []deed {
	return []deed{
		{"mpull pull", func(h *history, _ held) bool { return h.must("mpull", h.pull()...) }},
		{"podman pull", func(h *history, _ held) bool { return h.must("podman", h.pull()...) }},
		{"mpull tag", func(h *history, img held) bool { return h.must("mpull", "tag", img.ID, h.name()) }},
		{"podman tag", func(h *history, img held) bool { return h.must("podman", "tag", img.ID, h.name()) }},
		{"mpull untag", func(h *history, img held) bool { return h.must("mpull", "untag", img.ID) }},
		{"podman untag", func(h *history, img held) bool { return h.must("podman", "untag", img.ID) }},
		{"mpull use", (*history).use},
		{"mpull restore", func(h *history, img held) bool { return len(img.History) > 0 && h.may("mpull", "restore", img.ID) }},
		{"mpull rmi", func(h *history, img held) bool { return h.may("mpull", "rmi", oneOf(h, append(img.Names, img.ID))) }},
		{"podman rmi", func(h *history, img held) bool { return h.may("podman", "rmi", oneOf(h, append(img.Names, img.ID))) }},
		{"build", (*history).build},
		{"build in two steps", func(h *history, img held) bool {
			return h.build(img) && h.build(held{ID: h.newest()})
		}},
		{"container", func(h *history, img held) bool { return h.must("buildah", "from", "--pull-never", img.ID) }},
	}
}

func oneOf[T any](h *history, list []T) T { return list[h.rand.IntN(len(list))] }

// name is one of few, so that names move.
func (h *history) name() string {
	return oneOf(h, []string{h.host + "/team/app:1", h.host + "/team/app:2", "localhost/built:1"})
}

func (h *history) pull() []string {
	return []string{"pull", "-q", "--platform", oneOf(h, historyPlatforms()), fmt.Sprintf("%s/team/app:%d", h.host, 1+h.rand.IntN(2))}
}

func (h *history) use(held) bool {
	return h.may("mpull", "use", "--platform", oneOf(h, historyPlatforms()), fmt.Sprintf("%s/team/app:%d", h.host, 1+h.rand.IntN(2)))
}

// build makes a child of an image, as a build step does. It has a name, which
// may move away later: mpull spares what never had one while it is young, and
// podman does not.
func (h *history) build(img held) bool {
	h.must("buildah", "from", "--pull-never", "--name", "step", img.ID)
	return h.must("buildah", "commit", "-q", "--rm", "step", h.name())
}

func (h *history) live() {
	for _, platform := range historyPlatforms()[:2] { // the second takes the name of the first
		h.must("mpull", "pull", "-q", "--platform", platform, h.host+"/team/app:1")
	}
	all := deeds()
	for range 6 {
		images := h.images()
		if len(images) == 0 {
			h.must("mpull", h.pull()...)
			continue
		}
		if d := oneOf(h, all); d.do(h, oneOf(h, images)) {
			h.done[d.name]++
		}
	}
}

// must does what nothing forbids.
func (h *history) must(program string, args ...string) bool {
	h.t.Helper()
	h.told = append(h.told, strings.Join(append([]string{program}, args...), " "))
	h.run("mine", append([]string{program}, args...)...)
	return true
}

// may does what a tool may refuse, such as to remove an image in use.
func (h *history) may(program string, args ...string) bool {
	h.t.Helper()
	line := strings.Join(append([]string{program}, args...), " ")
	out, err := h.command("mine", append([]string{program}, args...)...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || !slices.Contains([]int{1, 2, 125}, exit.ExitCode()) || strings.Contains(string(out), "goroutine ")) {
		h.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	if err != nil {
		line += "   # refused"
	}
	h.told = append(h.told, line)
	return err == nil
}

// images are those in the store, in an order that does not depend on time.
func (h *history) images() []held {
	h.t.Helper()
	var rows, images []held
	if err := json.Unmarshal([]byte(h.run("mine", "mpull", "images", "-a", "--format", "json")), &rows); err != nil {
		h.t.Fatal(err)
	}
	for _, row := range rows { // newest first; an image has a row for each name
		if !slices.ContainsFunc(images, func(img held) bool { return img.ID == row.ID }) {
			images = append(images, row)
		}
	}
	return images
}

// newest is the image that was built last.
func (h *history) newest() string { return h.images()[0].ID }

// compare holds what mpull says of the store against what podman says and does.
func (h *history) compare() {
	h.t.Helper()
	question := []string{"images", "-q", "--no-trunc", "--filter", "dangling=true"}
	mine, theirs := h.set("mpull", question...), h.set("podman", question...)
	h.done["dangling"] += len(theirs)
	if !slices.Equal(mine, theirs) {
		h.t.Errorf("dangling:\n mpull %q\npodman %q\nafter\n%s", mine, theirs, strings.Join(h.told, "\n"))
	}
	planned, before := h.planned(), h.set("mpull", "images", "-a", "-q", "--no-trunc")
	h.must("podman", "image", "prune", "-f")
	after := h.set("mpull", "images", "-a", "-q", "--no-trunc")
	removed := slices.DeleteFunc(before, func(id string) bool { return slices.Contains(after, id) })
	h.done["pruned"] += len(removed)
	if !slices.Equal(planned, removed) {
		h.t.Errorf("a prune:\n mpull plans  %q\npodman removes %q\nafter\n%s", planned, removed, strings.Join(h.told, "\n"))
	}
}

// set is a sorted list of the IDs that a program prints.
func (h *history) set(program string, args ...string) []string {
	h.t.Helper()
	ids := strings.Fields(h.run("mine", append([]string{program}, args...)...))
	slices.Sort(ids)
	return slices.Compact(ids)
}

// planned are the IDs of the images that mpull's prune would remove.
func (h *history) planned() []string {
	h.t.Helper()
	var plan struct {
		Images []struct {
			ID   string
			Goes bool
		}
	}
	if err := json.Unmarshal([]byte(h.run("mine", "mpull", "prune", "--dry-run", "--format", "json")), &plan); err != nil {
		h.t.Fatal(err)
	}
	var ids []string
	for _, img := range plan.Images {
		if img.Goes {
			ids = append(ids, "sha256:"+img.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
