package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
	"github.com/mpull/mpull/store"
)

// keepsVar is how many sequences TestKeptStaysKept lives through.
const keepsVar = "MPULL_TEST_KEEPS"

// TestKeptStaysKept changes stores at random, mostly with mpull and now and then
// with podman, and asks after each step that what was kept still is: only rmi,
// untag and a prune of names that were shown take a keep name away, no
// two images ever have one, and a prune plans none that is kept.
func TestKeptStaysKept(t *testing.T) {
	server := testregistry.New()
	defer server.Close()
	for seed, repo := range []string{"team/app:1", "team/web:1", "team/web:2"} {
		index, err := testimage.Index(testimage.AlpinePlatforms(), testimage.Spec{Seed: uint64(seed), Files: 1, FileSize: 64})
		if err != nil {
			t.Fatal(err)
		}
		if err := server.PushIndex(repo, index); err != nil {
			t.Fatal(err)
		}
	}
	many := 4
	if n, err := strconv.Atoi(os.Getenv(keepsVar)); err == nil {
		many = n
	}
	steps := 0
	for n := range many {
		k := newKeeping(t, server.Host, uint64(n))
		for range 14 {
			k.step()
			steps++
		}
		k.close()
		if t.Failed() {
			t.Fatalf("sequence %d:\n%s", n, strings.Join(k.told, "\n"))
		}
	}
	t.Logf("%d sequences, %d steps", many, steps)
}

// keeping is one store under change.
type keeping struct {
	*machine
	e    *engine.Engine
	host string
	rand *rand.Rand
	kept map[string]string // keep name -> image ID
	said []*engine.MovedEvent
	told []string
}

func newKeeping(t *testing.T, host string, seed uint64) *keeping {
	dir, err := os.MkdirTemp(t.TempDir(), "k")
	if err != nil {
		t.Fatal(err)
	}
	k := &keeping{machine: machineFor(t, dir, drivers(t)[0], host), host: host, rand: rand.New(rand.NewPCG(7, seed)), kept: map[string]string{}}
	conf, err := engineStore(k.machine)
	if err != nil {
		t.Fatal(err)
	}
	k.e = engine.New(engine.Config{
		Store:    conf,
		Registry: registry.Options{RegistriesConf: filepath.Join(dir, "registries.conf"), PolicyFile: filepath.Join(dir, "home/.config/containers/policy.json"), TempDir: filepath.Join(dir, "tmp")},
		Events: func(ev engine.Event) {
			if ev.Moved != nil {
				k.said = append(k.said, ev.Moved)
			}
		},
	})
	return k
}

// engineStore is the store that the machine's tools use.
func engineStore(m *machine) (store.Options, error) {
	var info struct {
		Store struct{ Root, RunRoot, Driver string }
	}
	err := json.Unmarshal([]byte(m.run("mine", "mpull", "info", "--format", "json")), &info)
	return store.Options{Root: info.Store.Root, RunRoot: info.Store.RunRoot, Driver: info.Store.Driver}, err
}

func (k *keeping) close() { _ = os.RemoveAll(filepath.Join(k.dir, "store")) }

func (k *keeping) images() []engine.ListedImage {
	k.t.Helper()
	rows, err := k.e.Images(k.t.Context(), engine.ListOptions{All: true, Sort: "id"})
	if err != nil {
		k.t.Fatal(err)
	}
	return slices.CompactFunc(rows, func(a, b engine.ListedImage) bool { return a.ID == b.ID })
}

func pick[T any](k *keeping, list []T) T { return list[k.rand.IntN(len(list))] }

func (k *keeping) ref() string {
	return k.host + pick(k, []string{"/team/app:1", "/team/web:1", "/team/web:2", "/team/app:again"})
}

func (k *keeping) request(text string) platform.Request {
	p, err := platform.Parse(text)
	if err != nil {
		k.t.Fatal(err)
	}
	return platform.Request{Platform: p, Explicit: true}
}

// step does one thing and holds the store to its promises.
func (k *keeping) step() {
	k.t.Helper()
	all := k.images()
	k.said = nil
	ctx := k.t.Context()
	var img engine.ListedImage
	if len(all) > 0 {
		img = pick(k, all)
	}
	var err error
	var did string
	var taken []string // names that may go
	switch n := k.rand.IntN(24); {
	case len(all) < 2 || n < 6:
		o := engine.PullOptions{Command: "pull", Keep: k.rand.IntN(3) == 0, NoTag: k.rand.IntN(6) == 0, All: k.rand.IntN(8) == 0}
		o.Policy = pick(k, []engine.PullPolicy{engine.PullAlways, engine.PullMissing, engine.PullNever})
		if o.All {
			o.Policy = engine.PullAlways
		}
		for _, p := range k.rand.Perm(len(testimage.AlpinePlatforms()))[:1+k.rand.IntN(3)] {
			o.Platforms = append(o.Platforms, engine.Fallback{k.request(testimage.AlpinePlatforms()[p])})
		}
		ref := k.ref()
		did = fmt.Sprintf("pull %s %v keep=%t no-tag=%t all=%t %s", ref, o.Platforms, o.Keep, o.NoTag, o.All, o.Policy)
		_, err = k.e.Pull(ctx, []string{ref}, o)
	case n < 11:
		p, ref := pick(k, testimage.AlpinePlatforms()), k.ref()
		did = "use " + p + " " + ref
		_, err = k.e.Use(ctx, ref, k.request(p))
	case n < 13:
		did = "restore " + img.ID[:12]
		_, err = k.e.Restore(ctx, img.ID, "")
	case n < 15:
		ref := k.ref()
		did = "tag " + img.ID[:12] + " " + ref
		err = k.e.Tag(ctx, img.ID, []string{ref})
	case n < 16 && len(img.Names) > 0:
		taken = []string{pick(k, img.Names)}
		did = "untag " + taken[0]
		err = k.e.Untag(ctx, img.ID, taken)
	case n < 17 && len(img.Names) > 0:
		taken = []string{pick(k, img.Names)}
		did = "rmi " + taken[0]
		_, err = k.e.Remove(ctx, taken, engine.RemoveOptions{Command: "rmi"})
	case n < 18:
		did, err = k.archive()
	case n < 19:
		ref := k.ref()
		did = "podman tag " + img.ID[:12] + " " + ref
		err = k.command("mine", "podman", "tag", img.ID, ref).Run()
	case n < 20:
		ref, p := k.ref(), pick(k, testimage.AlpinePlatforms())
		did = "podman pull " + p + " " + ref
		err = k.command("mine", "podman", "pull", "-q", "--platform", p, ref).Run()
	case n < 21 && len(img.Names) > 0:
		taken = []string{pick(k, img.Names)}
		did = "podman untag " + img.ID[:12] + " " + taken[0]
		err = k.command("mine", "podman", "untag", img.ID, taken[0]).Run()
	case n < 22 && len(img.Names) > 0:
		taken = img.Names // by a digest, podman removes the image
		name := pick(k, img.Names)
		did = "podman rmi " + name
		err = k.command("mine", "podman", "rmi", name).Run()
	case n < 23:
		taken = img.Names
		did = "rmi " + img.ID[:12]
		_, err = k.e.Remove(ctx, []string{img.ID}, engine.RemoveOptions{Command: "rmi", Force: k.rand.IntN(2) == 0})
	default:
		did = "prune"
		err = k.prune()
	}
	if err != nil {
		did += "   # " + err.Error()
	}
	k.told = append(k.told, did)
	k.judge(taken)
}

// archive saves the images of a name and loads them again.
func (k *keeping) archive() (did string, err error) {
	ref := k.ref()
	did = "save and load " + ref
	path := filepath.Join(k.dir, "tmp", "a.tar")
	f, err := os.Create(path)
	if err != nil {
		return did, err
	}
	defer os.Remove(path)
	defer f.Close()
	if _, err := k.e.Save(k.t.Context(), f, []string{ref}, engine.SaveOptions{All: true, TempDir: filepath.Join(k.dir, "tmp")}); err != nil {
		return did, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return did, err
	}
	_, err = k.e.Load(k.t.Context(), f, path)
	return did, err
}

func (k *keeping) prune() error {
	plan, err := k.e.PlanPrune(k.t.Context(), engine.PruneOptions{Policy: gc.Policy{MinAge: -1}})
	if err != nil {
		return err
	}
	_, err = k.e.Prune(k.t.Context(), plan)
	return err
}

// judge compares what is kept with what was.
func (k *keeping) judge(taken []string) {
	k.t.Helper()
	now := map[string]string{}
	for _, img := range k.images() {
		for _, n := range img.Names {
			repo, d, digested := strings.Cut(n, "@")
			if !digested {
				continue
			}
			if other := now[n]; other != "" {
				k.t.Errorf("%s keeps %.12s and %.12s", n, other, img.ID)
			}
			now[n] = img.ID
			if !slices.Contains(img.Digests, digest.Digest(d)) {
				k.t.Errorf("%s of %s is the name of %.12s, which has other digests", n, repo, img.ID)
			}
		}
	}
	for n, id := range k.kept {
		if now[n] != id && !slices.Contains(taken, n) {
			k.t.Errorf("%s kept %.12s, and keeps %.12s now", n, id, now[n])
		}
	}
	for _, m := range k.said {
		if m.Kept != "" && now[m.Kept] != m.Loser.ID {
			k.t.Errorf("%.12s was said to be kept as %s, which is %.12s", m.Loser.ID, m.Kept, now[m.Kept])
		}
	}
	plan, err := k.e.PlanPrune(k.t.Context(), engine.PruneOptions{Policy: gc.Policy{MinAge: -1}})
	if err != nil {
		k.t.Fatal(err)
	}
	for _, d := range plan.Removals() {
		for n, id := range now {
			if id == d.ID {
				k.t.Errorf("%.12s is kept as %s, and planned to go", id, n)
			}
		}
	}
	k.kept = now
}
