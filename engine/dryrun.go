package engine

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

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
	Download   int64               `json:"download"`   // compressed bytes to fetch, less what is here or kept
	Kept       int64               `json:"kept"`       // bytes that an interrupted pull left
	DiskNeeded int64               `json:"diskNeeded"` // bytes, at the least: without as much the pull is refused
	DiskFree   int64               `json:"diskFree"`   // bytes; -1 when not known
	Name       string              `json:"name"`       // the name that the image gets, "" for none
	Moves      *PlannedMove        `json:"moves"`      // who loses that name; nil when nobody does
	Requests   registry.Asked      `json:"requests"`
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

// PlanPull tells what Pull with the same options would do, one plan for each
// image. It resolves, chooses, asks the signature policy, looks for room and ends
// with the errors with which Pull would; an error may come with plans. It reads
// manifests and configs, writes nothing, takes no lock, and creates no store.
func (e *Engine) PlanPull(ctx context.Context, inputs []string, o PullOptions) (plans []PullPlan, err error) {
	pulls, err := e.pulls(inputs, o)
	if err != nil {
		return nil, err
	}
	plans = []PullPlan{}
	err = e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		for _, p := range pulls {
			err := e.besideStore(ctx, p.input, func(e *Engine) error {
				p.engine, p.s, p.snap = e, s, snap
				return p.run(ctx)
			})
			plans, snap = append(plans, p.plans...), p.snap
			if err != nil {
				return err
			}
		}
		return nil
	})
	return plans, err
}

// planAll plans every image that the pull would bring from a source.
func (p *pull) planAll(ctx context.Context, r *reading) error {
	first := len(p.plans)
	var errs []error // of what a pull would not bring; what it would is told first
	for _, j := range p.jobs {
		if j.done {
			continue
		}
		if err := p.allowed(ctx, r.img, j.choice); err != nil {
			return err
		}
		m := p.lackOf(r.source, j.choice.detail)
		plan := p.planOf(r, j, m)
		if err := p.planName(plan, p.target(r.source), j.named); err != nil {
			return err
		}
		if !plan.Present {
			errs = append(errs, p.room(m))
		}
		p.plans, j.done = append(p.plans, *plan), true
	}
	if err := p.planLimit(ctx, r.img, p.plans[first:]); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// planLimit asks the registry how many manifests it leaves.
func (p *pull) planLimit(ctx context.Context, img *registry.Image, plans []PullPlan) error {
	return p.engine.asker.Once(ctx, p.o.Retry, func(ctx context.Context, _ *types.SystemContext, _ *ask.Watchdog) error {
		limit, err := registry.ReadRateLimit(ctx, p.engine.config.Registry, img.Ref)
		if err != nil {
			p.engine.note("the rate limit is not known: %v", err)
		}
		for i := range plans {
			plans[i].RateLimit = limit
		}
		return ctx.Err()
	})
}

// planOf says what comes of a choice.
func (p *pull) planOf(r *reading, j *job, m lack) *PullPlan {
	d := j.choice.detail
	plan := &PullPlan{
		Reference: registry.RefName(r.source.Ref), Platform: d.Platform().String(), Rule: j.choice.rule, Foreign: j.choice.foreign,
		ID: imageID(d), Digest: d.Digest, Bytes: d.Size(), DiskFree: p.free(),
		Layers: m.layers, LayersHere: m.here, Download: m.download - m.kept, Kept: m.kept, DiskNeeded: m.space(),
	}
	if img := complete(p.s, p.snap, d, r.img.Digest); img != nil {
		plan.ID, plan.Present = img.ID, true
		plan.LayersHere, plan.Download, plan.Kept, plan.DiskNeeded = plan.Layers, 0, 0, 0
	}
	if r.img.Ref.Transport() != docker.Transport {
		return plan
	}
	plan.Requests = j.asked
	if !plan.Present { // then the copy asks for the instance of an index once more, the config, and the layers
		plan.Requests.Blobs += 1 + len(m.fetch)
		if r.img.IsIndex {
			plan.Requests.Manifests++
		}
	}
	return plan
}

// planPresent plans for an image of the store, which no source is asked about.
func (p *pull) planPresent(r PullResult, name string, named bool) error {
	img, err := p.s.Lookup(r.ID)
	if err != nil {
		return err
	}
	layers := len(img.Config.DiffIDs)
	plan := &PullPlan{
		Reference: p.input, Platform: r.Platform.String(), Rule: r.Rule, ID: r.ID, Digest: r.Digest, Present: true,
		Layers: layers, LayersHere: layers, DiskFree: p.free(),
	}
	if err := p.planName(plan, name, named); err != nil {
		return err
	}
	p.plans = append(p.plans, *plan)
	return nil
}

// free is what is free on the store's disk, in bytes, -1 when it is not known.
func (p *pull) free() int64 {
	disk, err := store.DiskOf(p.s.Root())
	if err != nil {
		return -1
	}
	return disk.Free
}

// lack is what the store lacks of an image.
type lack struct {
	layers, here int    // of the image; those that need not be fetched
	fetch        []Blob // the others, each once
	download     int64  // their bytes, compressed; those of unknown size are left out
	kept         int64  // bytes of them that an interrupted pull left
	reread       int64  // compressed bytes that are unpacked once more, out of the store
}

// space is what that takes on the disk, at the least: nobody says what a layer
// unpacks to, but it is hardly less than what it was compressed.
func (m lack) space() int64 {
	if m.download > math.MaxInt64/4 || m.reread > math.MaxInt64/4 {
		return math.MaxInt64 / 2 // no sum of that overflows
	}
	return 2*m.download - m.kept + m.reread
}

// lackOf compares an image with the store: a layer is here when those below
// it are; on top of others it still spares the fetching of its blob.
func (p *pull) lackOf(source registry.Source, d *registry.Detail) (m lack) {
	diffIDs := d.Config.RootFS.DiffIDs
	here, blobs := layersHere(p.snap, diffIDs), blobsHere(p.snap)
	fetched := make(map[digest.Digest]bool)
	for _, l := range d.Layers {
		if l.EmptyLayer {
			continue
		}
		m.layers++
		switch {
		case m.layers <= here:
			m.here++
		case m.layers <= len(diffIDs) && blobs[madeFrom{l.Digest, diffIDs[m.layers-1]}]:
			m.here++
			m.reread = add(m.reread, l.Size)
		case !fetched[l.Digest]:
			fetched[l.Digest] = true
			m.fetch = append(m.fetch, Blob{l.Digest.String(), max(l.Size, 0)})
			m.download = add(m.download, l.Size)
			if source.Ref.Transport() == docker.Transport { // other blobs are at hand
				m.kept = add(m.kept, min(p.s.Kept(l.Digest), max(l.Size, 0)))
			}
		}
	}
	return m
}

// add adds a size that a manifest names, which may be any number.
func add(sum, size int64) int64 {
	if size > math.MaxInt64-sum {
		return math.MaxInt64
	}
	return sum + max(size, 0)
}

// madeFrom is a blob and what it is when it is unpacked.
type madeFrom struct{ blob, diffID digest.Digest }

// blobsHere returns the blobs that layers of the store were made from.
func blobsHere(snap *store.Snapshot) map[madeFrom]bool {
	have := make(map[madeFrom]bool, len(snap.Layers))
	for _, l := range snap.Layers {
		if !l.Incomplete && l.CompressedDigest != "" {
			have[madeFrom{l.CompressedDigest, l.UncompressedDigest}] = true
		}
	}
	return have
}

// layersHere returns how many layers, from the bottom, the store has.
func layersHere(snap *store.Snapshot, diffIDs []digest.Digest) int {
	type key struct {
		parent string
		diffID digest.Digest
	}
	have := make(map[key]string, len(snap.Layers))
	for _, l := range snap.Layers {
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

// planName tells which name the image would get and from whom.
func (p *pull) planName(plan *PullPlan, name string, named bool) (err error) {
	if plan.Name = name; name == "" {
		return nil
	}
	if !named || p.o.NoTag {
		plan.Name = query.WithDigest(query.Repository(name), plan.Digest)
	}
	if img := p.engine.view(p.snap).Holder(plan.Name); img != nil && img.ID != plan.ID && !img.ReadOnly {
		plan.Moves, err = p.planMove(img, plan.Name)
	}
	return err
}

// planMove tells what becomes of the image that loses a name.
func (p *pull) planMove(loser *store.Image, name string) (*PlannedMove, error) {
	after := *loser
	after.Names = slices.DeleteFunc(slices.Clone(after.Names), func(n string) bool { return n == name && !p.o.Keep })
	f, err := fate(p.snap, &after)
	return &PlannedMove{Name: name, ID: loser.ID, Platform: loser.Platform(), Kept: p.o.Keep, Dangling: f.Dangling, Bytes: f.Alone}, err
}
