package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// appraise adds to the results of a pull or load whether each image starts
// here, and, where they are several, how large it is. An image that was here
// before is looked at only beside others: its pull shall cost a request and no
// more. What cannot be told is left out, as the pull itself has succeeded.
func (e *Engine) appraise(ctx context.Context, w *store.Writer, results []PullResult) {
	if ctx.Err() != nil {
		return
	}
	if len(results) > 1 {
		if snap, err := w.Snapshot(ctx); err == nil {
			sizes := e.view(snap).Sizes()
			for i := range results {
				at := slices.IndexFunc(snap.Images, func(img store.Image) bool { return img.ID == results[i].ID })
				if at >= 0 {
					results[i].Size = sizes.Of(&snap.Images[at])
				}
			}
		}
	}
	seen := map[string]*preflight.Result{}
	for i := range results {
		r := &results[i]
		if r.Present && len(results) == 1 {
			return
		}
		if _, ok := seen[r.ID]; !ok {
			seen[r.ID] = e.predict(ctx, w.Store, r)
		}
		r.Check = seen[r.ID]
	}
}

// predict tells what keeps an image from starting here, and where it lies about
// its platform. nil means that nobody knows, as where its files cannot be read
// without a mount.
func (e *Engine) predict(ctx context.Context, s *store.Store, r *PullResult) *preflight.Result {
	img, err := s.Lookup(r.ID)
	if err != nil {
		return nil
	}
	check, err := e.checkImage(ctx, s, img, CheckOptions{})
	if err != nil {
		e.debug(fmt.Sprintf("cannot predict whether %s starts: %v", query.ShortID(r.ID), err))
		return nil
	}
	check.Image = cmp.Or(r.Name, query.ShortID(r.ID))
	if liar := check.Platform.Liar(); liar != "" {
		e.note("warning: %s: %s, but its program is for %s", check.Image, liar, check.Platform.Actual)
	}
	if check.Verdict != preflight.Native && !check.DataOnly {
		e.emit(Event{Check: &check})
	}
	return &check
}
