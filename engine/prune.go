package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// PruneOptions says what a prune may remove. The zero value removes dangling
// images and old leftovers.
type PruneOptions struct {
	gc.Policy
	// Protect names images that stay: references or patterns, as of the filter
	// reference, IDs or digests, also cut short.
	Protect []string
	// Young spares, with All, what came less than this ago. nil means DefaultGrace
	// where CRI-O works on the store, else none, and none where a filter until
	// says how old an image must be.
	Young *time.Duration
	Disk  Threshold
}

// DefaultGrace is longer than most pulls take. Beside CRI-O an image has no
// container between its pull and the container's creation, and pulls under way
// rely on the layers of images that are here.
const DefaultGrace = 10 * time.Minute

// PlanPrune decides what a prune would remove, with the bytes
// measured on disk. Nothing is locked or changed: the plan can be shown, and
// then carried out with Prune.
func (e *Engine) PlanPrune(ctx context.Context, o PruneOptions) (plan *gc.Plan, err error) {
	if err := store.Contradictions(e.config.Store); err != nil {
		return nil, err
	}
	err = e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		usage := s.Usage()
		if o.Measure == nil {
			o.Measure = usage
		}
		if plan, err = e.planOn(s, snap, o); err != nil {
			return err
		}
		return usage.Err()
	})
	return plan, err
}

// planOn is PlanPrune of a snapshot.
func (e *Engine) planOn(s *store.Store, snap *store.Snapshot, o PruneOptions) (_ *gc.Plan, err error) {
	if err := e.elsewhere(o.All); err != nil {
		return nil, err
	}
	if why := s.WhyReadOnly(); why != nil && store.Present(e.config.Store) {
		return nil, fmt.Errorf("nothing can be removed from the store at %s: %w", s.Root(), why)
	}
	if found := snap.Contradictions(); len(found) > 0 {
		return nil, &store.ContradictionError{Root: s.Root(), Damaged: found}
	}
	policy := o.Policy
	if policy.Names == nil {
		policy.Names = e.localNames
	}
	if policy.Downloads == nil {
		if policy.Downloads, err = s.Downloads(); err != nil {
			return nil, err
		}
	}
	if err := forgetDeadRuns(s, snap); err != nil {
		return nil, err
	}
	if policy.Spares, err = e.spares(e.view(snap), o.Protect); err != nil {
		return nil, err
	}
	if policy.Grace, err = e.grace(snap, &o); err != nil {
		return nil, err
	}
	policy.Touched = s.Touched
	if err := o.Disk.apply(&policy, s); err != nil {
		return nil, err
	}
	return gc.MakePlan(snap, policy, time.Now())
}

// VerifyPlan tells whether a plan made earlier still holds: its error is a
// *gc.ChangedError when something in it must not go any more, or is gone. What
// CRI-O pins now must not, whatever was known when the plan was made.
func (e *Engine) VerifyPlan(ctx context.Context, plan *gc.Plan) error {
	unused := slices.ContainsFunc(plan.Removals(), func(d gc.Decision) bool { return d.Reason == gc.Unused })
	if err := e.elsewhere(unused); err != nil {
		return err
	}
	config, err := e.config.Store.CRIO.Config()
	if err != nil {
		return err
	}
	var pinned []gc.Change
	for _, d := range plan.Removals() {
		if pattern := config.Pins(d.Names...); pattern != "" {
			pinned = append(pinned, gc.Change{ID: d.ID, Reason: gc.PinnedByCRIO, By: pattern})
		}
	}
	if len(pinned) > 0 {
		return &gc.ChangedError{Changes: pinned}
	}
	return e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		downloads, err := s.Downloads()
		if err != nil {
			return err
		}
		return gc.Verify(plan, snap, downloads)
	})
}

// Totals says where the bytes of the store are; the parts add up to what is on
// disk.
func (e *Engine) Totals(ctx context.Context) (totals gc.Totals, err error) {
	err = e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		downloads, err := s.Downloads()
		if err != nil {
			return err
		}
		usage := s.Usage()
		totals = gc.MakeTotals(snap, downloads, usage)
		return usage.Err()
	})
	return totals, err
}

// Prune carries out a plan behind the exclusive lock: exactly what it names,
// less what changed since it was made. A plan can be used once.
func (e *Engine) Prune(ctx context.Context, plan *gc.Plan) (result *gc.Result, err error) {
	if plan.Empty() {
		return &gc.Result{}, nil
	}
	err = e.deleter(ctx, func(d *store.Deleter) error {
		result, err = gc.Execute(ctx, plan, d, d.Usage())
		return err
	})
	return result, err
}
