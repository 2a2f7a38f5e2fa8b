package gc

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// MakePlan decides about every image of a snapshot exactly once, and about
// everything that interrupted work left. It is pure, apart from what
// policy.Measure reads. It fails only when the policy makes no sense.
func MakePlan(snap *store.Snapshot, policy Policy, now time.Time) (*Plan, error) {
	plan, err := makePlan(snap, policy, now)
	if err != nil || policy.Free == 0 {
		return plan, err
	}
	plan.Free = policy.Free
	if plan.Bytes < policy.Free && !policy.All {
		policy.All = true
		all, err := makePlan(snap, policy, now)
		if err != nil {
			return nil, err
		}
		plan.WithAll = all.Bytes
	}
	return plan, nil
}

func makePlan(snap *store.Snapshot, policy Policy, now time.Time) (*Plan, error) {
	if snap == nil {
		return nil, errors.New("planning a prune: no snapshot")
	}
	if err := policy.resolve(); err != nil {
		return nil, fmt.Errorf("planning a prune: %w", err)
	}
	g := newGraph(snap)
	view := query.New(snap, policy.Names)
	match, err := view.Match(policy.Filters, view.Since, now)
	if err != nil {
		return nil, fmt.Errorf("planning a prune: %w", err)
	}
	p := &planner{
		graph: g, view: view, kin: view.Kinship(), match: match, policy: policy, now: now,
		sizes: sizer{g, policy.Measure}, refs: slices.Clone(g.refs),
		decisions: make([]Decision, len(snap.Images)), blocked: make([]int, len(snap.Images)),
		plan: &Plan{
			Version: PlanVersion, CreatedAt: now.UTC().Round(0),
			Images: make([]Decision, 0, len(snap.Images)), Layers: []LayerBytes{}, Leftovers: []Leftover{},
		},
	}
	p.leftovers()
	p.judge()
	p.remove()
	p.keepRest()
	return p.plan, nil
}

// planner holds what one planning needs.
type planner struct {
	*graph
	view      *query.View
	kin       *query.Kinship
	match     query.Matcher
	policy    Policy
	now       time.Time
	sizes     sizer
	refs      []int // what remains of graph.refs while the plan removes
	decisions []Decision
	blocked   []int // image -> staying children and lists that keep it
	ready     queue // images that may go now
	plan      *Plan
}

// judge fills every decision but for what depends on other images: an image
// that may go has no Reason that keeps it, and is in ready when nothing blocks
// it.
func (p *planner) judge() {
	newest := p.newest()
	for i := range p.snap.Images {
		img := &p.snap.Images[i]
		d := &p.decisions[i]
		*d = Decision{ID: img.ID, Digest: img.Digest, Names: img.Names, Since: p.view.Since(img).UTC(), Platform: img.Platform()}
		if lost := query.LostBy(img); len(lost) > 0 {
			d.Was, d.ByOtherTool = lost[0].Name, lost[0].OtherTool
		}
		d.Reason, d.By, d.ByName = p.stays(img, d)
		if d.Reason == "" && newest[i] {
			d.Reason = KeptByCount
		}
		if d.Reason != "" {
			continue
		}
		if !p.policy.All {
			p.blocked[i] = len(p.kin.Children(i)) + len(p.kin.Lists(i))
		}
		if p.blocked[i] == 0 {
			p.ready = append(p.ready, ready{i, d.Since, img.ID})
		}
	}
	heap.Init(&p.ready)
}

// stays returns why an image stays by itself, whatever happens to the others;
// "" when it may go.
func (p *planner) stays(img *store.Image, d *Decision) (reason Reason, by, byName string) {
	if img.ReadOnly {
		return ReadOnly, "", ""
	}
	if k, used := p.user(img); used {
		return k.Reason, k.By, k.ByName
	}
	if p.policy.Spares != nil {
		if why, rule := p.policy.Spares(img); why != "" {
			return why, rule, ""
		}
	}
	if len(img.Names) > 0 && !p.policy.All {
		if slices.ContainsFunc(img.Names, func(name string) bool { return !strings.Contains(name, "@") }) {
			return Named, "", ""
		}
		return Pinned, "", ""
	}
	switch {
	case img.ConfigError != nil && !incomplete(img):
		return Damaged, "", ""
	case p.kin.Blind != nil && !p.policy.All:
		return ListMember, p.kin.Blind.ID, first(p.kin.Blind.Names)
	case incomplete(img) && !older(d.Since, p.now, p.policy.LeftoverAge):
		return TooYoung, "", ""
	case nameless(img) && !older(p.view.Pulled(img), p.now, p.policy.MinAge):
		return TooYoung, "", ""
	case p.policy.All && !img.IsList && p.policy.Grace > 0 && !older(p.lastPull(img), p.now, p.policy.Grace):
		return TooYoung, "", ""
	}
	if f := p.match(img); f != nil {
		return FilteredOut, f.String(), ""
	}
	return "", "", ""
}

// lastPull returns when an image came, or came again.
func (p *planner) lastPull(img *store.Image) time.Time {
	came := p.view.Pulled(img)
	if p.policy.Touched != nil && !came.IsZero() {
		if again := p.policy.Touched(img); again.After(came) {
			return again
		}
	}
	return came
}

// incomplete tells whether an image's manifest or config was never written:
// its writer died. One that is there but unreadable is damaged, which is
// nothing to remove unasked.
func incomplete(img *store.Image) bool {
	return !img.IsList && errors.Is(img.ConfigError, fs.ErrNotExist)
}

// nameless tells whether an image never had a name, as far as is known.
func nameless(img *store.Image) bool {
	return len(img.Names) == 0 && len(img.NamesHistory) == 0 && len(img.Displaced) == 0
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// remove takes the images that may go, oldest first, until none is left or
// enough comes free. Removing one may free those that only it kept.
func (p *planner) remove() {
	for len(p.ready) > 0 && !p.policy.Enough && (p.policy.Free == 0 || p.plan.Bytes < p.policy.Free) {
		i := heap.Pop(&p.ready).(ready).image
		img, d := &p.snap.Images[i], &p.decisions[i]
		d.Goes = true
		d.Reason = cmp.Or(d.Reason, p.why(img))
		d.Data = p.sizes.image(img)
		d.Bytes = d.Data
		_, freed := p.release(p.refs, img)
		for _, layer := range freed {
			l := LayerBytes{p.snap.Layers[layer].ID, p.sizes.layer(layer)}
			p.plan.Layers = append(p.plan.Layers, l)
			d.Bytes += l.Bytes
		}
		d.Alone = d.Data + p.sizes.sum(p.alone(img))
		p.plan.Bytes += d.Bytes
		p.plan.Images = append(p.plan.Images, *d)
		if !p.policy.All {
			p.unblock(i)
		}
	}
}

func (p *planner) why(img *store.Image) Reason {
	switch {
	case incomplete(img):
		return Incomplete
	case p.policy.All:
		return Unused
	}
	return Dangling
}

// unblock frees the images that image i kept as their child or their list.
func (p *planner) unblock(i int) {
	img := &p.snap.Images[i]
	for _, at := range slices.Concat(p.kin.Parents(i), p.kin.Members(i)) {
		p.blocked[at]--
		d := &p.decisions[at]
		if p.blocked[at] == 0 && d.Reason == "" {
			d.Reason, d.By, d.ByName = ParentRemoved, img.ID, first(img.Names)
			heap.Push(&p.ready, ready{at, d.Since, d.ID})
		}
	}
}

// keepRest completes the plan with the images that stay, in the order of the
// snapshot. Their bytes are estimates: what stays is not worth a walk.
func (p *planner) keepRest() {
	estimate := sizer{graph: p.graph}
	for i := range p.decisions {
		d := &p.decisions[i]
		if d.Goes {
			continue
		}
		if d.Reason == "" || d.Reason == ParentRemoved {
			k, _ := p.relative(p.kin, i, func(at int) bool { return p.decisions[at].Goes })
			d.Reason, d.By, d.ByName = cmp.Or(k.Reason, TargetReached), k.By, k.ByName
		}
		img := &p.snap.Images[i]
		d.Data = estimate.image(img)
		d.Alone = d.Data + estimate.sum(p.alone(img))
		p.plan.Images = append(p.plan.Images, *d)
	}
}

// newest marks the images that Policy.Keep spares.
func (p *planner) newest() []bool {
	keep := make([]bool, len(p.snap.Images))
	if p.policy.Keep == 0 {
		return keep
	}
	groups := make(map[[2]string][]ready)
	for i := range p.snap.Images {
		img := &p.snap.Images[i]
		names := query.LostNames(img)
		if len(img.Names) > 0 {
			if !p.policy.All {
				continue
			}
			names = img.Names
		}
		for _, name := range names {
			key := [2]string{name, img.Platform()}
			groups[key] = append(groups[key], ready{i, p.view.Since(img), img.ID})
		}
	}
	for _, group := range groups {
		slices.SortFunc(group, func(a, b ready) int {
			held := func(r ready) int { return min(1, len(p.snap.Images[r.image].Names)) }
			return cmp.Or(held(b)-held(a), b.since.Compare(a.since), cmp.Compare(b.id, a.id))
		})
		for _, r := range group[:min(p.policy.Keep, len(group))] {
			keep[r.image] = true
		}
	}
	return keep
}

// ready is an image that may go.
type ready struct {
	image int
	since time.Time
	id    string
}

// queue is a heap of images, the one displaced first on top; the ID makes the
// order a total one.
type queue []ready

func (q queue) Len() int { return len(q) }
func (q queue) Less(a, b int) bool {
	return cmp.Or(q[a].since.Compare(q[b].since), cmp.Compare(q[a].id, q[b].id)) < 0
}
func (q queue) Swap(a, b int) { q[a], q[b] = q[b], q[a] }

// Push and Pop are heap.Interface's.
func (q *queue) Push(x any) { *q = append(*q, x.(ready)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
