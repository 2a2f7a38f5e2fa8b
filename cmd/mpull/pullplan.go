//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/docker/go-units"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/registry"
)

// planPull prints what a pull would do, and does nothing.
func (p *program) planPull(ctx context.Context, format string, names []string, job engine.PullOptions) error {
	plans, err := p.readEngine().PlanPull(ctx, names, job)
	if err != nil && len(plans) == 0 {
		return err
	}
	return errors.Join(show(p.out, format, plans, plans, func() {
		for i := range plans {
			printPlan(p.out, &plans[i])
		}
	}), err)
}

func printPlan(w io.Writer, plan *engine.PullPlan) {
	fmt.Fprintln(w, escape(plan.Reference))
	t := &table{whole: true}
	t.add("  instance", orNone(plan.Platform)+" "+plan.Digest.String()+": "+whyChosen(plan))
	t.add("  image", plan.ID)
	t.add("  download", downloadText(plan))
	t.add("  disk", diskText(plan))
	t.add("  name", nameText(plan))
	if plan.Requests.Manifests > 0 {
		t.add("  requests", fmt.Sprintf("%s, which Docker Hub counts, and %s", plural(plan.Requests.Manifests, "manifest"), plural(plan.Requests.Blobs, "blob")))
	}
	if plan.RateLimit != nil {
		t.add("  rate limit", rateText(plan.RateLimit, plan.Requests.Manifests))
	}
	t.write(w)
}

func whyChosen(plan *engine.PullPlan) string {
	if plan.Foreign {
		return "not this machine's platform, but the only one there is"
	}
	return plan.Rule.Text()
}

func downloadText(plan *engine.PullPlan) string {
	switch {
	case plan.Present:
		return "nothing: the image is here"
	case plan.Download < 0:
		return fmt.Sprintf("unknown: the manifest gives no size for a layer; %d of %s here", plan.LayersHere, plural(plan.Layers, "layer"))
	}
	text := fmt.Sprintf("%s of %s; %d of %s here", size(plan.Download), size(plan.Bytes), plan.LayersHere, plural(plan.Layers, "layer"))
	if plan.Kept > 0 {
		text += fmt.Sprintf("; an interrupted pull left %s", size(plan.Kept))
	}
	return text
}

func diskText(plan *engine.PullPlan) string {
	text := size(plan.DiskNeeded) + " or more needed"
	if plan.DiskFree >= 0 {
		text += ", " + size(plan.DiskFree) + " free"
	}
	return text
}

func nameText(plan *engine.PullPlan) string {
	m := plan.Moves
	switch {
	case plan.Name == "":
		return "none"
	case m == nil:
		return plan.Name
	}
	fate := "stays in use otherwise"
	if m.Kept {
		fate = "is kept by its digest"
	} else if m.Dangling {
		fate = "becomes dangling and holds " + size(m.Bytes)
	}
	return fmt.Sprintf("%s moves from %.12s for %s, which %s", plan.Name, m.ID, orNone(m.Platform), fate)
}

func rateText(l *registry.RateLimit, needed int) string {
	s := fmt.Sprintf("%d manifests left", l.Remaining)
	if l.Limit > 0 {
		s = fmt.Sprintf("%d of %d manifests left", l.Remaining, l.Limit)
	}
	if l.Window > 0 {
		s += " in " + units.HumanDuration(time.Duration(l.Window)*time.Second)
	}
	if l.Remaining < needed {
		s += ": too few for this pull"
	}
	return s
}
