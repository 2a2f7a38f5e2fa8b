package engine_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// A device's image takes the name of this machine's, the name is given back,
// and what dangles then is removed. The store and the registry are made for the
// example; with the zero Config it would be podman's store on this machine.
func Example_pull() {
	ctx := context.Background()
	where, stop, err := world()
	if err != nil {
		log.Fatal(err)
	}
	defer stop()
	where.Events = func(ev engine.Event) {
		if ev.Moved != nil {
			fmt.Printf("%s lost its name\n", ev.Moved.Loser.Platform())
		}
	}
	e := engine.New(where)

	// 1. Two platforms of one tag, one after the other.
	for _, wanted := range []string{"linux/amd64", "linux/arm/v7"} {
		request, err := platform.ParseRequest(wanted, e.Platform())
		if err != nil {
			log.Fatal(err)
		}
		pulled, err := e.Pull(ctx, []string{"docker.io/library/alpine:3.15"}, engine.PullOptions{
			Platforms: []engine.Fallback{{request}},
			Command:   "example " + wanted, // what the record of the one that loses the name will say
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("pulled", pulled[0].Platform)
	}

	// 2. What is here, and why.
	images, err := e.Images(ctx, engine.ListOptions{Sort: "tag"})
	if err != nil {
		log.Fatal(err)
	}
	for _, img := range images {
		fmt.Printf("%s:%s %s dangling=%t", img.Repository, img.Tag, img.Platform, img.Dangling)
		for _, d := range img.Displaced {
			fmt.Printf(", was %s until %q", d.Name, d.Command)
		}
		fmt.Println()
	}

	// 3. The name goes back, offline.
	restored, err := e.Restore(ctx, "alpine:3.15", "")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("restored", restored.Platform)

	// 4. See what a prune would remove, then remove exactly that.
	plan, err := e.PlanPrune(ctx, engine.PruneOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range plan.Removals() {
		fmt.Println("goes:", d.Platform, d.Reason)
	}
	result, err := e.Prune(ctx, plan)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("reclaimed what was planned:", result.Reclaimed == plan.Bytes && plan.Bytes > 0)

	// Output:
	// pulled linux/amd64
	// linux/amd64 lost its name
	// pulled linux/arm/v7
	// docker.io/library/alpine:3.15 linux/arm/v7 dangling=false
	// <none>:<none> linux/amd64 dangling=true, was docker.io/library/alpine:3.15 until "example linux/arm/v7"
	// linux/arm/v7 lost its name
	// restored linux/amd64
	// goes: linux/arm/v7 dangling
	// reclaimed what was planned: true
}

// world makes a registry with alpine:3.15 behind docker.io, and the files that
// lead there. Stop removes all of it.
func world() (c engine.Config, stop func(), err error) {
	r := testregistry.New()
	index, err := testimage.Index([]string{"linux/amd64", "linux/arm/v7"}, testimage.Spec{})
	if err != nil {
		return c, nil, err
	}
	if err := r.PushIndex("library/alpine:3.15", index); err != nil {
		return c, nil, err
	}
	dir, err := os.MkdirTemp("", "mpull-example-")
	if err != nil {
		return c, nil, err
	}
	conf, policy := filepath.Join(dir, "registries.conf"), filepath.Join(dir, "policy.json")
	text := fmt.Sprintf("unqualified-search-registries = [\"docker.io\"]\n[[registry]]\nprefix = \"docker.io\"\nlocation = %q\ninsecure = true\n", r.Host)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return c, nil, err
	}
	if err := os.WriteFile(policy, []byte(`{"default": [{"type": "insecureAcceptAnything"}]}`), 0o600); err != nil {
		return c, nil, err
	}
	c = engine.Config{
		Store:    store.Options{Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), Driver: "vfs"},
		Registry: registry.Options{RegistriesConf: conf, PolicyFile: policy},
		Host: func() preflight.Host {
			return host.Facts{Platform: platform.Platform{OS: "linux", Architecture: "amd64"}}
		},
	}
	return c, func() { r.Close(); _ = os.RemoveAll(dir) }, nil
}

// A prune of images that were displaced more than a week ago, sparing the
// newest of each name and platform, until 10 GB come free. A plan can also be
// made from values alone; see package gc.
func ExampleEngine_PlanPrune_policy() {
	until, err := query.ParseFilter("until=168h")
	if err != nil {
		log.Fatal(err)
	}
	policy := gc.Policy{Filters: []query.Filter{until}, Keep: 1, Free: 10_000_000_000}
	plan, err := gc.MakePlan(&store.Snapshot{}, policy, time.Unix(1_700_000_000, 0))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("nothing is here, so nothing goes:", plan.Empty())
	// Output: nothing is here, so nothing goes: true
}
