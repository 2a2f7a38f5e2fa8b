package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/unpack"
)

// Pull brings images into the store and moves names to them, as the package
// documentation of store describes. Of several platforms of one input the
// host's own gets the name, else the first; the others get their repo@digest
// names. On an error, what was there before is there still, under the names it
// had; the results are those that were reached.
func (e *Engine) Pull(ctx context.Context, inputs []string, o PullOptions) ([]PullResult, error) {
	if len(o.Platforms) == 0 {
		o.Platforms = []Fallback{{platform.Native(e.Platform())}}
	}
	var results []PullResult
	err := e.write(ctx, func(w *store.Writer, snap *store.Snapshot) error {
		group := unpack.NewGroup(unpack.DefaultWorkers)
		for _, input := range inputs {
			p := &pull{Engine: e, w: w, snap: snap, o: o, input: input, group: group}
			err := p.run(ctx)
			snap = p.snap
			results = append(results, p.results()...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return results, err
}

// pull is one input of a Pull under way.
type pull struct {
	*Engine
	w     *store.Writer
	snap  *store.Snapshot
	o     PullOptions
	input string
	jobs  []*job
	group *unpack.Group // bounds the layers under way, over all inputs

	locked *LockedImage // of a lock: nothing else will do
}

// results are those of the jobs that are done.
func (p *pull) results() []PullResult {
	var done []PullResult
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
	named     bool // it gets the name itself, not its digest name
	choice    *choice
	present   bool // the store has it, complete
	fetched   bool // its layers are in the store
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
		if err := p.locals(ctx); err != nil {
			return err
		}
	}
	if len(p.jobs) > 0 && p.finished() {
		return nil
	}
	err := p.remote(ctx)
	if err != nil && p.o.Policy == PullNewer && ctx.Err() == nil && p.locals(ctx) == nil && p.finished() {
		p.emit(Event{Note: &NoteEvent{Text: fmt.Sprintf("could not ask for a newer image, so the one that is here is used: %v", err)}})
		return nil
	}
	return err
}

// electHolder decides which job gets the name: the host's own platform, else
// the first.
func (p *pull) electHolder() {
	native := platform.Native(p.Platform()).Target()
	at := slices.IndexFunc(p.jobs, func(j *job) bool { return j.requests[0].Target().Same(native) })
	for i, j := range p.jobs {
		j.named = i == max(at, 0)
	}
}

func (p *pull) finished() bool {
	return !slices.ContainsFunc(p.jobs, func(j *job) bool { return !j.done })
}

// locals answers what it can from the store. Under PullNever all must be
// there.
func (p *pull) locals(ctx context.Context) error {
	if p.o.All && p.o.Policy == PullNever {
		return fmt.Errorf("--policy never cannot tell what all platforms are: name them")
	}
	for _, j := range p.jobs {
		if j.done {
			continue
		}
		r, err := p.local(ctx, j)
		switch {
		case err == nil:
			j.result, j.done = r, true
		case p.o.Policy == PullNever || !isUnknown(err):
			return err
		}
	}
	return nil
}

// local answers from the store, without a request: the image of that platform
// that holds the name, or held it and gets it back.
func (p *pull) local(ctx context.Context, j *job) (PullResult, error) {
	if p.locked != nil {
		return p.lockedLocal(ctx, j)
	}
	img, err := lookupID(p.snap, strings.TrimPrefix(p.input, "sha256:"))
	if err != nil {
		return PullResult{}, err
	}
	if img != nil {
		return presentResult(img), nil
	}
	names, err := p.localNames(p.input)
	if err != nil {
		return PullResult{}, err
	}
	for _, request := range j.requests {
		img, name := ofPlatform(p.snap, names, request)
		if img == nil || img.ConfigError != nil || !img.HasManifest() || !hasLayers(p.snap, img) {
			continue
		}
		return p.name(ctx, presentResult(img), name, j.named)
	}
	return PullResult{}, &UnknownImageError{Input: p.input, Held: onceHeld(p.snap, names)}
}

func presentResult(img *store.Image) PullResult {
	return PullResult{ID: img.ID, Digest: img.Digest, Platform: platformOf(img), Present: true}
}

func isUnknown(err error) bool {
	var unknown *UnknownImageError
	return errors.As(err, &unknown)
}

// name moves the name to the image, or gives it its repo@digest name when the
// name belongs to another platform of this command or was not wanted.
func (p *pull) name(ctx context.Context, r PullResult, name string, named bool) (PullResult, error) {
	if name == "" {
		return r, nil
	}
	if !named || p.o.NoTag {
		name = digestName(name, r.Digest)
	}
	r.Name = name
	return r, p.moveName(ctx, p.w, nameMove{name: name, to: r.ID, keep: p.o.Keep, command: p.o.Command})
}
