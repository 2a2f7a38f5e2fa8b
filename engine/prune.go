package engine

import (
	"context"
	"time"

	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// PlanPrune decides what a prune under policy would remove, with the bytes
// measured on disk. Nothing is locked or changed: the plan can be shown, and
// then carried out with Prune.
func (e *Engine) PlanPrune(ctx context.Context, policy gc.Policy) (plan *gc.Plan, err error) {
	err = e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		usage := s.Usage()
		if policy.Measure == nil {
			policy.Measure = usage
		}
		if policy.Downloads, err = s.Downloads(); err != nil {
			return err
		}
		if plan, err = gc.MakePlan(snap, policy, time.Now()); err != nil {
			return err
		}
		return usage.Err()
	})
	return plan, err
}

// Prune carries out a plan behind the exclusive lock: exactly what it names,
// less what changed since it was made. A plan can be used once.
func (e *Engine) Prune(ctx context.Context, plan *gc.Plan) (result *gc.Result, err error) {
	if plan.Empty() {
		return &gc.Result{}, nil
	}
	err = e.remove(ctx, func(d *store.Deleter, snap *store.Snapshot) error {
		result, err = gc.Execute(ctx, plan, snap, d, d.Usage())
		return err
	})
	return result, err
}
