package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// unpackFactor is how much larger layers are taken to be once unpacked: no
// manifest says it. gzip of a root file system is seldom better than three to
// one.
const unpackFactor = 3

// PullPlan is what a pull of one platform would do. JSON names are stable.
type PullPlan struct {
	Reference  string              `json:"reference"`
	Platform   string              `json:"platform"`
	Rule       platform.Rule       `json:"rule"` // why this instance
	Foreign    bool                `json:"foreign"`
	ID         string              `json:"id"`     // image ID in the store
	Digest     digest.Digest       `json:"digest"` // of the instance's manifest
	Present    bool                `json:"present"`
	Layers     int                 `json:"layers"`
	LayersHere int                 `json:"layersHere"`
	Bytes      int64               `json:"bytes"`      // compressed, of all layers
	Download   int64               `json:"download"`   // compressed bytes to fetch, less what is here; -1 when a layer's size is not known
	DiskNeeded int64               `json:"diskNeeded"` // bytes, an estimate: the download and three times that for what is unpacked
	DiskFree   int64               `json:"diskFree"`   // bytes; -1 when not known
	Name       string              `json:"name"`       // the name that the image gets, "" for none
	Moves      *PlannedMove        `json:"moves"`      // who loses that name; nil when nobody does
	Requests   PullRequests        `json:"requests"`
	RateLimit  *registry.RateLimit `json:"rateLimit"` // what the registry says is left; nil when it says nothing
}

// PlannedMove is a name that a pull would take from an image.
type PlannedMove struct {
	Name     string `json:"name"`
	ID       string `json:"id"`
	Platform string `json:"platform"`
	Dangling bool   `json:"dangling"` // the image would be dangling then
	Kept     bool   `json:"kept"`     // --keep gives it its repo@digest name
	Bytes    int64  `json:"bytes"`    // that removing it would free
}

// PullRequests counts what a pull asks a registry for.
type PullRequests struct {
	Manifests int `json:"manifests"` // what Docker Hub counts against the rate limit
	Blobs     int `json:"blobs"`     // configs and layers
}

// PlanPull tells what Pull with the same options would do, one plan for each
// platform. It reads manifests and configs, writes nothing, takes no lock, and
// creates no store. The policy is not regarded: the registry is asked.
func (e *Engine) PlanPull(ctx context.Context, input string, o PullOptions) ([]PullPlan, error) {
	if len(o.Platforms) == 0 {
		o.Platforms = []Fallback{{platform.Native(e.Platform())}}
	}
	plans := []PullPlan{}
	err := e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		free := int64(-1)
		if disk, err := store.DiskOf(s.Root()); err == nil {
			free = disk.Free
		}
		return e.look(ctx, input, LookOptions{Retry: o.Retry}, func(ctx context.Context, img *registry.Image, source registry.Source) error {
			img.Local = func(d digest.Digest) (manifest, config []byte, ok bool) { return storedIn(s, snap, d) }
			p := &planner{pull: &pull{engine: e, snap: snap, o: o, input: input}, free: free}
			var err error
			plans, err = p.all(ctx, img, source)
			return err
		})
	})
	return plans, err
}

// planner is a pull that only looks.
type planner struct {
	*pull
	free int64 // bytes on the store's disk, -1 when not known
}

// all plans every image that the pull would bring, as pull.attempt does.
func (p *planner) all(ctx context.Context, img *registry.Image, source registry.Source) ([]PullPlan, error) {
	instances, err := img.Instances(ctx)
	if err != nil {
		return nil, err
	}
	if p.o.All {
		if err := p.allJobs(ctx, img, instances); err != nil {
			return nil, err
		}
	} else {
		for _, requests := range p.o.Platforms {
			p.jobs = append(p.jobs, &job{requests: requests})
		}
		p.electHolder()
	}
	asked := map[*job]registry.Asked{} // to choose, which the pull asks too
	var before registry.Asked
	for _, j := range p.jobs {
		if err := p.chooseFor(ctx, img, instances, j); err != nil {
			return nil, err
		}
		now := img.Asked()
		asked[j] = registry.Asked{Manifests: now.Manifests - before.Manifests, Blobs: now.Blobs - before.Blobs}
		before = now
	}
	if p.o.All {
		if err := p.leaveAbsent(); err != nil {
			return nil, err
		}
	}
	plans := make([]PullPlan, 0, len(p.jobs))
	for _, j := range p.jobs {
		plan := p.plan(img, source, j.choice)
		if img.Ref.Transport() == docker.Transport {
			plan.Requests.Manifests += asked[j].Manifests
			plan.Requests.Blobs += asked[j].Blobs
		}
		if err := p.planName(plan, source, j.named); err != nil {
			return nil, err
		}
		plans = append(plans, *plan)
	}
	limit, err := registry.ReadRateLimit(ctx, p.engine.config.Registry, img.Ref)
	if err != nil {
		p.engine.emit(Event{Note: &NoteEvent{Text: fmt.Sprintf("the rate limit is not known: %v", err)}})
	}
	for i := range plans {
		plans[i].RateLimit = limit
	}
	if err := p.tellAbsent(); err != nil {
		return plans, err
	}
	return plans, ctx.Err()
}

func (p *planner) plan(img *registry.Image, source registry.Source, c *choice) *PullPlan {
	d := c.detail
	plan := &PullPlan{
		Reference: refName(source.Ref), Platform: d.Platform().String(), Rule: c.rule, Foreign: c.foreign,
		ID: imageID(d), Digest: d.Digest, Bytes: d.Size(), DiskFree: p.free,
		Present: complete(p.snap, d, img.Digest) != nil,
	}
	missing, reread := p.layers(plan, d)
	plan.DiskNeeded = max(plan.Download, 0)*(1+unpackFactor) + reread*unpackFactor
	if img.Ref.Transport() == docker.Transport && !plan.Present {
		plan.Requests = copyRequests(img, missing)
	}
	return plan
}

// layers counts the layers, those that are here, and the bytes to fetch. It
// returns how many blobs that are, and the compressed bytes that are unpacked a
// second time out of the store. As in Pull, a layer is here when those below it
// are; on top of others it still spares the fetching of its blob.
func (p *planner) layers(plan *PullPlan, d *registry.Detail) (missing int, reread int64) {
	diffIDs := d.Config.RootFS.DiffIDs
	here := p.layersHere(diffIDs)
	blobs := p.blobsHere()
	fetched := make(map[digest.Digest]bool)
	for _, l := range d.Layers {
		if l.EmptyLayer {
			continue
		}
		plan.Layers++
		if plan.Present || plan.Layers <= here {
			plan.LayersHere++
			continue
		}
		if plan.Layers <= len(diffIDs) && blobs[madeFrom{l.Digest, diffIDs[plan.Layers-1]}] {
			plan.LayersHere++
			reread += max(l.Size, 0)
			continue
		}
		if fetched[l.Digest] {
			continue
		}
		fetched[l.Digest] = true
		missing++
		if l.Size < 0 {
			plan.Download = -1
		} else if plan.Download >= 0 {
			plan.Download += l.Size
		}
	}
	return missing, reread
}

// madeFrom is a blob and what it is when it is unpacked.
type madeFrom struct{ blob, diffID digest.Digest }

// blobsHere returns the blobs that layers of the store were made from.
func (p *planner) blobsHere() map[madeFrom]bool {
	have := make(map[madeFrom]bool, len(p.snap.Layers))
	for _, l := range p.snap.Layers {
		if !l.Incomplete && l.CompressedDigest != "" {
			have[madeFrom{l.CompressedDigest, l.UncompressedDigest}] = true
		}
	}
	return have
}

// layersHere returns how many layers, from the bottom, the store has.
func (p *planner) layersHere(diffIDs []digest.Digest) int {
	type key struct {
		parent string
		diffID digest.Digest
	}
	have := make(map[key]string, len(p.snap.Layers))
	for _, l := range p.snap.Layers {
		if !l.Incomplete && l.UncompressedDigest != "" {
			have[key{l.Parent, l.UncompressedDigest}] = l.ID
		}
	}
	parent := ""
	for i, d := range diffIDs {
		id, ok := have[key{parent, d}]
		if !ok {
			return i
		}
		parent = id
	}
	return len(diffIDs)
}

// copyRequests counts what the copy of an image asks beside what choosing it
// asked: the instance of an index once more, the config, and the layers.
func copyRequests(img *registry.Image, missing int) PullRequests {
	r := PullRequests{Blobs: 1 + missing}
	if img.IsIndex {
		r.Manifests = 1
	}
	return r
}

// planName tells which name the image would get and from whom.
func (p *planner) planName(plan *PullPlan, source registry.Source, named bool) (err error) {
	plan.Name = p.target(source)
	if plan.Name == "" {
		return nil
	}
	if !named || p.o.NoTag {
		plan.Name = query.WithDigest(plan.Name, plan.Digest)
	}
	if img := p.engine.view(p.snap).Holder(plan.Name); img != nil && img.ID != plan.ID && !img.ReadOnly {
		plan.Moves, err = p.planMove(img, plan.Name)
	}
	return err
}

// planMove tells what becomes of the image that loses a name.
func (p *planner) planMove(loser *store.Image, name string) (*PlannedMove, error) {
	after := *loser
	after.Names = slices.DeleteFunc(slices.Clone(after.Names), func(n string) bool { return n == name && !p.o.Keep })
	f, err := fate(p.snap, &after)
	return &PlannedMove{Name: name, ID: loser.ID, Platform: loser.Platform(), Kept: p.o.Keep, Dangling: f.Dangling, Bytes: f.Alone}, err
}
