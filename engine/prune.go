package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// PlanPrune decides what a prune under policy would remove, with the bytes
// measured on disk. Nothing is locked or changed: the plan can be shown, and
// then carried out with Prune.
func (e *Engine) PlanPrune(ctx context.Context, policy gc.Policy) (plan *gc.Plan, err error) {
	if err := store.Contradictions(e.config.Store); err != nil {
		return nil, err
	}
	err = e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		if s.ReadOnly() && store.Present(e.config.Store) {
			return fmt.Errorf("nothing can be removed from the store at %s: %w", s.Root(), store.ErrReadOnly)
		}
		if found := snap.Contradictions(); len(found) > 0 {
			return &store.ContradictionError{Root: s.Root(), Damaged: found}
		}
		usage := s.Usage()
		if policy.Measure == nil {
			policy.Measure = usage
		}
		if policy.Names == nil {
			policy.Names = e.localNames
		}
		if policy.Downloads, err = s.Downloads(); err != nil {
			return err
		}
		if err := forgetDeadRuns(s, snap); err != nil {
			return err
		}
		if plan, err = gc.MakePlan(snap, policy, time.Now()); err != nil {
			return err
		}
		return usage.Err()
	})
	return plan, err
}

// VerifyPlan tells whether a plan made earlier still holds: its error is a
// *gc.ChangedError when something in it must not go any more, or is gone.
func (e *Engine) VerifyPlan(ctx context.Context, plan *gc.Plan) error {
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
