package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// DiskUse says where the bytes of a store are, image by image, and what would
// give them back. JSON names are stable.
type DiskUse struct {
	gc.Totals
	PerImage      []ImageUse    `json:"perImage"`      // the largest of their own first
	LeftoversList []LeftoverUse `json:"leftoversList"` // what interrupted work left
	// Prune and PruneAll are the bytes that a prune would give back, and one of
	// all that no container uses; nil where that is refused, for the reason in
	// Problem.
	Prune    *int64 `json:"prune"`
	PruneAll *int64 `json:"pruneAll"`
	Problem  string `json:"problem,omitempty"`
}

// ImageUse is what one image takes, and what becomes of it.
type ImageUse struct {
	ID       string   `json:"id"`
	Names    []string `json:"names"`
	Was      string   `json:"was,omitempty"` // the name it lost last
	Platform string   `json:"platform"`
	gc.Share
	Prune    bool `json:"prune"`    // a prune would remove it
	PruneAll bool `json:"pruneAll"` // and one of all that no container uses
}

// LeftoverUse is something that interrupted work left, with its bytes.
type LeftoverUse struct {
	gc.Leftover
	Partial bool `json:"partial"` // the beginning of a layer, with which the next pull goes on
}

// DiskUse measures the store.
func (e *Engine) DiskUse(ctx context.Context) (use DiskUse, err error) {
	err = e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		usage := s.Usage()
		downloads, err := s.Downloads()
		if err != nil {
			return err
		}
		use.Totals = gc.MakeTotals(snap, downloads, usage)
		all, allErr := e.planOn(s, snap, PruneOptions{Policy: gc.Policy{All: true, Measure: usage, Downloads: downloads}})
		plan, err := e.planOn(s, snap, PruneOptions{Policy: gc.Policy{Measure: usage, Downloads: downloads}})
		if problem := cmp.Or(err, allErr); problem != nil {
			use.Problem = problem.Error()
		}
		// Whatever its age: how much each leftover takes.
		anyAge, leftErr := e.planOn(s, snap, PruneOptions{Policy: gc.Policy{Measure: usage, Downloads: downloads, LeftoverAge: -1, AllDownloads: true}})
		use.PerImage = imageUses(snap, usage, plan, all)
		use.LeftoversList = leftoverUses(plan, anyAge, downloads)
		if err == nil {
			use.Prune = &plan.Bytes
		}
		if allErr == nil {
			use.PruneAll = &all.Bytes
		}
		if errors.Is(leftErr, context.Canceled) {
			return leftErr
		}
		return usage.Err()
	})
	return use, err
}

func imageUses(snap *store.Snapshot, usage *store.Usage, plan, all *gc.Plan) []ImageUse {
	uses := make([]ImageUse, 0, len(snap.Images))
	now, whole := decisions(plan), decisions(all)
	for i, share := range gc.Shares(snap, usage) {
		if img := &snap.Images[i]; !img.ReadOnly {
			d, ofAll := now[img.ID], whole[img.ID]
			uses = append(uses, ImageUse{
				ID: img.ID, Names: img.Names, Was: cmp.Or(ofAll.Was, d.Was), Platform: img.Platform(), Share: share, Prune: d.Goes, PruneAll: ofAll.Goes,
			})
		}
	}
	slices.SortStableFunc(uses, func(a, b ImageUse) int { return cmp.Compare(b.Own, a.Own) })
	return uses
}

// decisions are those of a plan, by image ID; none of nil.
func decisions(plan *gc.Plan) map[string]gc.Decision {
	all := map[string]gc.Decision{}
	if plan != nil {
		for _, d := range plan.Images {
			all[d.ID] = d
		}
	}
	return all
}

// leftoverUses takes the bytes from a plan by which all go, and what goes now
// from the one that a prune makes.
func leftoverUses(plan, anyAge *gc.Plan, downloads []store.Download) []LeftoverUse {
	uses := []LeftoverUse{}
	if anyAge == nil {
		return uses
	}
	for _, l := range anyAge.Leftovers {
		l.Goes = plan != nil && slices.ContainsFunc(plan.Leftovers, func(now gc.Leftover) bool { return now.ID == l.ID && now.Goes })
		partial := slices.ContainsFunc(downloads, func(d store.Download) bool { return d.Path == l.ID && d.Partial })
		uses = append(uses, LeftoverUse{Leftover: l, Partial: partial})
	}
	return uses
}
