package gc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mpull/mpull/store"
)

// Remover deletes. *store.Deleter is one: it holds the exclusive lock.
type Remover interface {
	// Delete deletes what choose picks of a snapshot that nobody can change any
	// more, and tells what became of each, in the order of the choice.
	Delete(ctx context.Context, choose func(fresh *store.Snapshot) (store.Removal, error)) ([]store.Deletion, error)
	// DeleteDownload removes the directory of a dead download.
	DeleteDownload(ctx context.Context, path string) (gone bool, err error)
}

// Status tells what became of something that was planned to go.
type Status string

// The statuses of an Outcome.
const (
	Removed Status = "removed"
	Gone    Status = "already-gone" // somebody else removed it: as good as removed, but not our bytes
	Skipped Status = "skipped"      // it changed since the plan: Reason and By say how
	Failed  Status = "failed"       // Err says why
)

// Outcome is what became of one planned image or leftover.
type Outcome struct {
	Kind   string `json:"kind"` // "image", or the leftover's kind
	ID     string `json:"id"`
	Status Status `json:"status"`
	Reason Reason `json:"reason,omitempty"` // why it was skipped: what keeps it now
	By     string `json:"by,omitempty"`     // ID of the container, child image or list that keeps it
	Bytes  int64  `json:"bytes"`            // that came free with it
	Error  string `json:"error,omitempty"`
	Err    error  `json:"-"`
	// Names are those that were lost with an image.
	Names []string `json:"names,omitempty"`
}

// Result is what a prune did.
type Result struct {
	Outcomes  []Outcome `json:"outcomes"`
	Reclaimed int64     `json:"reclaimed"` // bytes that really came free
}

// Err joins what failed; nil when nothing did. Skipped and gone images are no
// failures.
func (r *Result) Err() error {
	var errs []error
	for i := range r.Outcomes {
		errs = append(errs, r.Outcomes[i].Err)
	}
	return errors.Join(errs...)
}

// ErrUsed is returned when a plan is executed a second time.
var ErrUsed = errors.New("this plan was executed already: make a new one")

// Execute removes what the plan removes, and nothing else. What changed since
// the plan was made is skipped: an image that gained or lost a name, a
// container, a mount, a child, a place in a list. That is decided at the last
// moment, in the step that deletes. What is gone is a success. measure gives
// the bytes of layers that come free now but did not when the plan was made;
// nil means estimates.
//
// The result is complete as far as the work went, also when the error is not
// nil: the plan was used, or ctx ended.
func Execute(ctx context.Context, plan *Plan, remover Remover, measure Measure) (*Result, error) {
	if plan.used.Swap(true) {
		return &Result{}, ErrUsed
	}
	x := &execution{plan: plan, measure: measure, known: make(map[string]int64, len(plan.Layers)), names: map[string][]string{}, result: &Result{}}
	for _, l := range plan.Layers {
		x.known[l.ID] = l.Bytes
	}
	for _, d := range plan.Removals() {
		x.names[d.ID] = d.Names
	}
	if err := x.downloads(ctx, remover); err != nil {
		return x.result, fmt.Errorf("removing leftovers: %w", err)
	}
	done, err := remover.Delete(ctx, x.choose)
	for _, d := range done {
		x.deleted(d)
	}
	if err != nil {
		return x.result, fmt.Errorf("pruning: %w", err)
	}
	return x.result, nil
}

type execution struct {
	*check
	plan    *Plan
	measure Measure
	sizes   sizer
	known   map[string]int64    // layer -> bytes
	planned map[string]int64    // leftover layer, or an image's own data -> bytes
	names   map[string][]string // of the images that are planned to go
	result  *Result
}

// choose picks what is still as it was when the plan was made.
func (x *execution) choose(fresh *store.Snapshot) (store.Removal, error) {
	g := newGraph(fresh)
	x.check, x.sizes, x.planned = newCheck(x.plan, g), sizer{g, x.measure}, map[string]int64{}
	x.measureFirst()
	return store.Removal{Layers: x.leftoversToDelete(), Images: x.imagesToDelete()}, nil
}

// measureFirst measures, before it is too late, the layers that the plan did
// not expect to come free: what used them went meanwhile.
func (x *execution) measureFirst() {
	refs := slices.Clone(x.refs)
	for _, l := range x.goingLayers {
		_, freed := x.drop(refs, x.above[l], nil, nil)
		x.learn(freed)
	}
	for i := range x.plan.Images {
		if at, ok := x.going[x.plan.Images[i].ID]; ok {
			_, freed := x.release(refs, &x.snap.Images[at])
			x.learn(freed)
		}
	}
}

func (x *execution) learn(layers []int) {
	for _, layer := range layers {
		id := x.snap.Layers[layer].ID
		if _, ok := x.known[id]; !ok {
			x.known[id] = x.sizes.layer(layer)
		}
	}
}

func (x *execution) downloads(ctx context.Context, remover Remover) error {
	for i := range x.plan.Leftovers {
		l := &x.plan.Leftovers[i]
		if !l.Goes || l.Kind != LeftoverDownload {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		gone, err := remover.DeleteDownload(ctx, l.ID)
		x.add(string(l.Kind), store.Deletion{ID: l.ID, Gone: gone, Err: err}, l.Bytes)
	}
	return nil
}

func (x *execution) leftoversToDelete() (ids []string) {
	for i := range x.plan.Leftovers {
		l := &x.plan.Leftovers[i]
		if !l.Goes || l.Kind != LeftoverLayer {
			continue
		}
		switch why := x.layerStays(l.ID); why {
		case "":
			ids = append(ids, l.ID)
			x.planned[l.ID] = l.Bytes
		case Vanished:
			x.add(string(l.Kind), store.Deletion{ID: l.ID, Gone: true}, 0)
		default:
			x.skip(string(l.Kind), l.ID, Keeper{Reason: why})
		}
	}
	return ids
}

func (x *execution) imagesToDelete() (ids []string) {
	for _, d := range x.plan.Removals() {
		_, goes := x.going[d.ID]
		k, skipped := x.kept[d.ID]
		switch {
		case skipped:
			x.skip("image", d.ID, k)
		case !goes:
			x.add("image", store.Deletion{ID: d.ID, Gone: true}, 0)
		default:
			ids = append(ids, d.ID)
			x.planned[d.ID] = d.Data
		}
	}
	return ids
}

// deleted takes note of what became of a layer or an image.
func (x *execution) deleted(d store.Deletion) {
	bytes := x.planned[d.ID]
	if !d.Image {
		x.add(string(LeftoverLayer), d, bytes)
		if d.Err == nil {
			x.drop(x.refs, x.above[x.goingLayers[d.ID]], nil, nil)
		}
		return
	}
	if d.Err == nil {
		_, freed := x.release(x.refs, &x.snap.Images[x.going[d.ID]])
		for _, layer := range freed {
			bytes += x.known[x.snap.Layers[layer].ID]
		}
	}
	x.add("image", d, bytes)
}

func (x *execution) skip(kind, id string, k Keeper) {
	x.result.Outcomes = append(x.result.Outcomes, Outcome{Kind: kind, ID: id, Status: Skipped, Reason: k.Reason, By: k.By})
}

func (x *execution) add(kind string, d store.Deletion, bytes int64) {
	o := Outcome{Kind: kind, ID: d.ID, Status: Removed, Bytes: bytes}
	switch {
	case errors.Is(d.Err, store.ErrMounted):
		o.Status, o.Reason, o.Bytes = Skipped, Mounted, 0
	case errors.Is(d.Err, store.ErrInUse):
		o.Status, o.Reason, o.Bytes = Skipped, UsedByContainer, 0
	case d.Err != nil:
		o.Status, o.Err, o.Error, o.Bytes = Failed, d.Err, d.Err.Error(), 0
	case d.Gone:
		o.Status, o.Bytes = Gone, 0
	}
	if o.Status == Removed {
		o.Names = x.names[d.ID]
	}
	x.result.Reclaimed += o.Bytes
	x.result.Outcomes = append(x.result.Outcomes, o)
}
