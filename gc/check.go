package gc

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// check compares a plan with a fresh snapshot.
type check struct {
	*graph
	plan        *Plan
	going       map[string]int    // images that are still there and may go -> index in the snapshot
	kept        map[string]Keeper // images that changed
	goingLayers map[string]int    // leftover layers that are still leftovers
}

// Keeper is what keeps an image that would go else, or a leftover that was
// planned to go.
type Keeper struct {
	Reason Reason
	By     string // ID of the container, child image or list
	ByName string // its first name
}

func newCheck(plan *Plan, g *graph) *check {
	c := &check{graph: g, plan: plan, going: make(map[string]int), kept: make(map[string]Keeper), goingLayers: make(map[string]int)}
	at := make(map[string]int, len(g.snap.Images))
	for i := range g.snap.Images {
		at[g.snap.Images[i].ID] = i
	}
	var soft []int // images that go only while nothing was built on them
	for i, d := range plan.Removals() {
		index, ok := at[d.ID]
		if !ok {
			continue
		}
		if k, changed := c.changed(&plan.Images[i], &g.snap.Images[index]); changed {
			c.kept[d.ID] = k
			continue
		}
		c.going[d.ID] = index
		if d.Reason != Unused {
			soft = append(soft, index)
		}
	}
	c.settle(soft)
	c.leftoverLayers()
	return c
}

// changed tells what keeps an image by itself now.
func (c *check) changed(d *Decision, img *store.Image) (Keeper, bool) {
	if img.ReadOnly {
		return Keeper{Reason: ReadOnly}, true
	}
	if k, used := c.user(img); used {
		return k, true
	}
	if d.Reason == Unused && !sameNames(d.Names, img.Names) || d.Reason != Unused && len(img.Names) > 0 {
		return Keeper{Reason: Named}, true
	}
	if d.Reason == Incomplete && !incomplete(img) {
		return Keeper{Reason: Dangling}, true // its writer came back and completed it
	}
	return Keeper{}, false
}

// sameNames compares without regard to order: the library keeps none.
func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// settle keeps the images that an image outside the plan keeps: a child or a
// list of theirs. Those are kept by one that changed, too.
func (c *check) settle(soft []int) {
	k := query.NewKinship(c.snap)
	for again := true; again; {
		again = false
		for _, i := range soft {
			img := &c.snap.Images[i]
			if _, goes := c.going[img.ID]; !goes {
				continue
			}
			why, kept := c.relative(k, i, func(at int) bool { return c.goes(c.snap.Images[at].ID) })
			if !kept && k.Blind != nil {
				why, kept = Keeper{Reason: ListMember, By: k.Blind.ID}, true
			}
			if kept {
				c.kept[img.ID] = why
				delete(c.going, img.ID)
				again = true
			}
		}
	}
}

func (c *check) goes(id string) bool {
	_, ok := c.going[id]
	return ok
}

// leftoverLayers finds the planned layers that still nothing uses: a pull that
// was interrupted may have been taken up again.
func (c *check) leftoverLayers() {
	refs := slices.Clone(c.refs)
	for i := range c.plan.Leftovers {
		l := &c.plan.Leftovers[i]
		layer := c.find(l.ID)
		if !l.Goes || l.Kind != LeftoverLayer || layer == none || refs[layer] > 0 || c.snap.Layers[layer].Mounts > 0 || c.snap.Layers[layer].ReadOnly {
			continue
		}
		c.goingLayers[l.ID] = layer
		if above := c.above[layer]; above != none {
			refs[above]--
		}
	}
}

// layerStays tells why a planned layer does not go any more, "" when it does.
func (c *check) layerStays(id string) Reason {
	layer := c.find(id)
	switch _, goes := c.goingLayers[id]; {
	case goes:
		return ""
	case layer == none:
		return Vanished
	case c.snap.Layers[layer].Mounts > 0:
		return Mounted
	}
	return Parent
}

// ChangedError is returned by Verify: what the plan removes is not any more
// what it was.
type ChangedError struct {
	Changes []Change
}

// Change is one planned image or leftover that must not be removed any more.
type Change struct {
	ID     string
	Reason Reason // what keeps it now, or Vanished
	By     string // ID of the container, child image or list that keeps it
}

func (e *ChangedError) Error() string {
	var b strings.Builder
	for i, c := range e.Changes {
		if i == 3 {
			fmt.Fprintf(&b, " and %d more", len(e.Changes)-i)
			break
		}
		fmt.Fprintf(&b, " %.12s (%s)", path.Base(c.ID), c.Reason)
	}
	return fmt.Sprintf("the store changed since the plan was made:%s: make a new plan", b.String())
}

// Verify compares a plan with a fresh snapshot and the dead downloads that are
// there now, and returns a *ChangedError when something in it must not go any
// more, or is gone: somebody, perhaps this very plan, removed it since.
func Verify(plan *Plan, fresh *store.Snapshot, downloads []store.Download) error {
	c := newCheck(plan, newGraph(fresh))
	var changes []Change
	for _, d := range plan.Removals() {
		if k, ok := c.kept[d.ID]; ok {
			changes = append(changes, Change{d.ID, k.Reason, k.By})
		} else if !c.goes(d.ID) {
			changes = append(changes, Change{ID: d.ID, Reason: Vanished})
		}
	}
	for i := range plan.Leftovers {
		l := &plan.Leftovers[i]
		why := c.layerStays(l.ID)
		if l.Kind == LeftoverDownload {
			why = Vanished
			if slices.ContainsFunc(downloads, func(d store.Download) bool { return d.Path == l.ID }) {
				why = ""
			}
		}
		if l.Goes && why != "" {
			changes = append(changes, Change{ID: l.ID, Reason: why})
		}
	}
	if len(changes) > 0 {
		return &ChangedError{changes}
	}
	return nil
}
