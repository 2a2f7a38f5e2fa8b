package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
	"github.com/mpull/mpull/store/unpack"
)

// Pull brings images into the store and moves names to them, as the package
// documentation of store describes. Of several platforms of one input the
// host's own gets the name, else the first; the others get their repo@digest
// names. On an error, what was there before is there still, under the names it
// had; the results are those that were reached.
func (e *Engine) Pull(ctx context.Context, inputs []string, o PullOptions) (results []PullResult, err error) {
	pulls, err := e.pulls(inputs, o)
	if err != nil {
		return nil, err
	}
	var refused []*UnprovenError
	err = e.write(ctx, func(w *store.Writer, snap *store.Snapshot) error {
		return e.beside(ctx, w.Store, inputs, func(e *Engine) error {
			defer func() { e.appraise(ctx, w, results) }()
			shared := e.share(w)
			for _, p := range pulls {
				p.engine, p.s, p.w, p.snap, p.shared = e, w.Store, w, snap, shared
				err := p.run(ctx)
				snap = p.snap
				results, refused = append(results, p.results()...), append(refused, p.refused...)
				if err != nil {
					return shared.keep.Interrupted(ctx, err)
				}
			}
			return nil
		})
	})
	return results, e.discard(ctx, err, refused...)
}

// pulls are those of the inputs, or of the names in a lock.
func (e *Engine) pulls(inputs []string, o PullOptions) (pulls []*pull, err error) {
	if o.Lock != nil {
		return e.locked(inputs, o)
	}
	if len(o.Platforms) == 0 {
		o.Platforms = []Fallback{{platform.Native(e.Platform())}}
	}
	for _, input := range inputs {
		pulls = append(pulls, &pull{o: o, input: input})
	}
	return pulls, nil
}

// shared is what the inputs of a pull have in common.
type shared struct {
	group *unpack.Group // bounds the layers under way
	keep  *ask.Keeper   // of what came of them
	wide  *ask.Widener  // bounds the connections on which they come
}

func (e *Engine) share(w *store.Writer) *shared {
	return &shared{group: unpack.NewGroup(unpack.DefaultWorkers), keep: ask.NewKeeper(e.asker, w), wide: ask.NewWidener(e.asker)}
}

// pull is one input of a Pull under way, or of a PlanPull, which is the same
// without a writer: it resolves, chooses, asks the policy and looks for room,
// and where a Pull would fetch and name it says what that would be.
type pull struct {
	engine *Engine
	s      *store.Store
	w      *store.Writer // nil in a PlanPull
	snap   *store.Snapshot
	o      PullOptions
	input  string
	title  string // what events call it; "" is the name of the source
	jobs   []*job
	shared *shared

	locked *LockedImage            // of a lock: nothing else will do
	absent []*registry.AbsentError // of all platforms, those that are not there
	asked  registry.Asked          // of the source, so far
	plans  []PullPlan              // of a PlanPull

	refused []*UnprovenError // images that were brought to look at their programs
	found   *registry.Source // where the input is, when it was found already
}

// results are those of the jobs that are done.
func (p *pull) results() (done []PullResult) {
	for _, j := range p.jobs {
		if j.done {
			done = append(done, j.result)
		}
	}
	return done
}

// job is one image of a pull.
type job struct {
	requests  Fallback
	exact     []*registry.Instance    // of all platforms: the first of these that is an image
	absent    *registry.AbsentError   // it is not there
	artifact  *registry.NotImageError // none of them is an image
	named     bool                    // it gets the name itself, not its digest name
	choice    *choice
	here      *store.Image   // the store has it, complete; nil: not
	fetched   bool           // its layers are in the store
	asked     registry.Asked // to choose it
	announced bool
	done      bool
	result    PullResult
}

func (p *pull) run(ctx context.Context) error {
	if !p.o.All {
		for _, requests := range p.o.Platforms {
			p.jobs = append(p.jobs, &job{requests: requests})
		}
		p.electHolder()
	}
	if p.o.Policy == PullMissing || p.o.Policy == PullNever {
		if err := p.locals(ctx, p.o.Policy == PullNever); err != nil {
			return err
		}
	}
	if len(p.jobs) > 0 && p.finished() {
		return nil
	}
	err := p.remote(ctx)
	if err == nil {
		return p.tellAbsent()
	}
	if (p.o.Policy == PullNewer || p.o.Policy == PullMissing) && ctx.Err() == nil && p.locals(ctx, true) == nil && p.finished() {
		better := "a newer image"
		if p.o.Policy == PullMissing {
			better = "an image that names the variant"
		}
		p.engine.note("could not ask for %s, so the one that is here is used: %v", better, err)
		return nil
	}
	return err
}

// electHolder decides which job gets the name: the host's own platform, else
// the first.
func (p *pull) electHolder() {
	native := platform.Native(p.engine.Platform()).Target()
	at := slices.IndexFunc(p.jobs, func(j *job) bool { return j.requests[0].Target().Same(native) })
	for i, j := range p.jobs {
		j.named = i == max(at, 0)
	}
}

func (p *pull) finished() bool {
	return !slices.ContainsFunc(p.jobs, func(j *job) bool { return !j.done })
}

// locals answers what it can from the store. Under PullNever all must be
// there. unsaid says that an image without a variant will do for one that was
// asked for.
func (p *pull) locals(ctx context.Context, unsaid bool) error {
	if p.o.All && p.o.Policy == PullNever {
		return fmt.Errorf("--policy never cannot tell what all platforms are: name them")
	}
	for _, j := range p.jobs {
		if j.done {
			continue
		}
		r, err := p.local(ctx, j, unsaid)
		switch {
		case err == nil:
			j.result, j.done = r, true
		case p.o.Policy == PullNever || !isMissing(err):
			return err
		}
	}
	return nil
}

// isMissing tells whether an error says that the store does not have the one
// image that was meant: a registry may.
func isMissing(err error) bool {
	return query.IsUnknown(err) || errors.As(err, new(*query.NotHereError)) || errors.As(err, new(*query.AmbiguousError))
}

// local answers from the store, without a request: the image of that platform
// that the input stands for, which gets the name.
func (p *pull) local(ctx context.Context, j *job, unsaid bool) (PullResult, error) {
	if p.locked != nil {
		return p.lockedLocal(ctx, j)
	}
	found, err := p.here(ctx, j)
	if err == nil && found.Unsaid && !unsaid {
		err = &query.UnknownError{Input: p.input}
	}
	if err != nil {
		return PullResult{}, err
	}
	r := p.presentResult(found.Image)
	if found.Name == "" { // it was named by its ID or its digest
		return r, nil
	}
	return p.name(ctx, r, cmp.Or(p.o.As, found.Name), j.named)
}

// here finds the local image of a job, complete. An ID names one image, whose
// platform only counts when one was asked for.
func (p *pull) here(ctx context.Context, j *job) (query.Found, error) {
	view := p.engine.view(p.snap)
	if found, err := view.Find(p.input); err == nil && found.Name == "" && !j.requests[0].Explicit {
		return found, nil
	}
	var first error
	for _, request := range j.requests {
		found, err := view.Of(p.input, request, p.engine.programs(ctx, p.s))
		if err == nil && view.Sizes().Complete(found.Image) {
			return found, nil
		}
		first = cmp.Or(first, err, error(&query.UnknownError{Input: p.input}))
	}
	return query.Found{}, first
}

// presentResult is that of an image which is here.
func (p *pull) presentResult(img *store.Image) PullResult {
	r := PullResult{ID: img.ID, Digest: img.Digest, Platform: query.PlatformOf(img), Present: true}
	if own := p.s.OwnDigests(img); len(own) > 0 {
		r.Digest = own[0]
	}
	return r
}

// name moves the name to the image, or keeps it by its repo@digest name when
// the name belongs to another platform of this command or was not wanted.
func (p *pull) name(ctx context.Context, r PullResult, name string, named bool) (_ PullResult, err error) {
	if p.w == nil {
		return r, p.planPresent(r, name, named)
	}
	if name == "" {
		return r, nil
	}
	if !named || p.o.NoTag {
		r.Name, err = p.w.KeepName(ctx, query.Repository(name), r.ID)
		return r, err
	}
	r.Name = name
	return r, p.engine.moveName(ctx, p.w, nameMove{name: name, to: r.ID, keep: p.o.Keep, command: p.o.Command})
}
