package platform

import "slices"

// Candidate is one entry of an index, or a single image seen as an index of one
// entry, its platform taken from its config.
type Candidate struct {
	// Platform is nil when the entry of an OCI index has none. As in podman such an
	// entry fits any request, after all that name a platform. A platform with every
	// field empty, which only a Docker list can have, fits none.
	Platform *Platform
	// Silent says that the image's config was read and names no platform either.
	// Such an image fits a default, as in podman, and nothing that was asked for.
	Silent bool
	// Half is what a silent image says all the same: an operating system or an
	// architecture alone. Those that say another one come last.
	Half Platform
	// Artifact marks an entry that is no image, though it may name a platform.
	Artifact bool
	// Hidden marks what is not an image, such as attestations: never chosen and
	// never listed. Entries of unknown/unknown need no mark.
	Hidden bool
	// Zstd says that the entry is annotated as zstd compressed. Of two entries of
	// one platform podman takes that one.
	Zstd bool
}

// Outcome says what became of a candidate.
type Outcome string

// The outcomes: Taken is the choice, PassedOver would do but a better one or an
// earlier one is there, Refused would not do.
const (
	Taken      Outcome = "taken"
	PassedOver Outcome = "passed over"
	Refused    Outcome = "refused"
)

// Verdict is a candidate's outcome and the rule that decided it.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	Rule    Rule    `json:"rule"`
}

// Attempt is one request and its verdict on each candidate, in their order.
type Attempt struct {
	Request  Request   `json:"request"`
	Verdicts []Verdict `json:"verdicts"`
}

// Decision tells what was chosen and why.
type Decision struct {
	// Chosen is the index of the candidate taken, -1 when there is none.
	Chosen int `json:"chosen"`
	// Rule is why it was taken; empty when there is none.
	Rule Rule `json:"rule,omitempty"`
	// Attempts holds the requests tried, in order. The last one is the one that
	// matched, if any did; requests after it were not tried.
	Attempts []Attempt `json:"attempts"`
}

// Choose tries each request in order and takes the best candidate of the first
// that any fits. For one request the choice is podman's (see the package comment
// for where it goes further): the preferred variant first, a zstd entry before
// others of its variant, then the first in the index. Fitting nothing is a
// [*NotFoundError]; the decision then still tells how each candidate failed.
//
// A choice by [RuleNoPlatform] is a guess that the image's config must confirm; in
// a list it ends the search like any other.
func Choose(requests []Request, candidates []Candidate) (Decision, error) {
	d := Decision{Chosen: -1}
	for _, r := range requests {
		a, chosen, versions := try(r, candidates)
		d.Attempts = append(d.Attempts, a)
		if len(versions) > 0 {
			e := newNotFoundError(requests, candidates)
			e.Nearest, e.Versions = nil, versions
			return d, e
		}
		if chosen >= 0 {
			d.Chosen, d.Rule = chosen, a.Verdicts[chosen].Rule
			return d, nil
		}
	}
	return d, newNotFoundError(requests, candidates)
}

// try judges every candidate for one request. Only the best keeps Taken. Where
// the best are of several versions of Windows and none was asked for, none is
// taken and the versions are returned: each runs on another machine.
func try(r Request, candidates []Candidate) (Attempt, int, []Platform) {
	target, list := r.Target(), wants(r)
	verdicts := make([]Verdict, len(candidates))
	ranks := make([]int, len(candidates))
	best := -1
	for i, c := range candidates {
		verdicts[i], ranks[i] = judge(target, list, c)
		if verdicts[i].Rule == RuleUnnamed && !r.Explicit {
			verdicts[i].Outcome, ranks[i] = PassedOver, 2*len(list)
			if c.Half.contradicts(target) {
				ranks[i]++
			}
		}
		if verdicts[i].Outcome == Refused {
			continue
		}
		if best < 0 || ranks[i] < ranks[best] || ranks[i] == ranks[best] && c.Zstd && !candidates[best].Zstd {
			best = i
		}
	}
	if best < 0 {
		return Attempt{r, verdicts}, best, nil
	}
	if versions := versionsOf(candidates, verdicts, ranks, best); len(versions) > 1 {
		return Attempt{r, verdicts}, -1, versions
	}
	verdicts[best].Outcome = Taken
	for i, c := range candidates {
		if i == best || verdicts[i].Outcome == Refused || ranks[i] != ranks[best] {
			continue
		}
		verdicts[i].Rule = RuleDuplicate
		if c.Zstd != candidates[best].Zstd {
			verdicts[i].Rule = ruleCompression
		}
	}
	return Attempt{r, verdicts}, best, nil
}

// versionsOf lists the platforms of the candidates that rank as the best when
// they differ in the version of their operating system, and marks them so.
func versionsOf(candidates []Candidate, verdicts []Verdict, ranks []int, best int) (versions []Platform) {
	var at []int
	for i, c := range candidates {
		if verdicts[i].Outcome == Refused || ranks[i] != ranks[best] || c.Platform == nil {
			continue
		}
		at = append(at, i)
		if p := spell(*c.Platform); p.OSVersion != "" && !slices.Contains(versions, p) {
			versions = append(versions, p)
		}
	}
	if len(versions) > 1 {
		for _, i := range at {
			verdicts[i].Rule = ruleManyVersions
		}
	}
	return versions
}

// judge returns PassedOver and a rank, the lower the better, for a candidate that
// fits. Entries spelled in another way, which podman does not understand, rank
// after all that it does, and entries without a platform last.
func judge(target Platform, list []want, c Candidate) (Verdict, int) {
	switch {
	case c.Hidden:
		return Verdict{Refused, RuleHidden}, 0
	case c.Artifact:
		return Verdict{Refused, ruleArtifact}, 0
	case c.Platform == nil && c.Silent:
		return Verdict{Refused, RuleUnnamed}, 0
	case c.Platform == nil:
		return Verdict{PassedOver, RuleNoPlatform}, 2 * len(list)
	}
	p := spell(*c.Platform)
	if p.isUnknown() {
		return Verdict{Refused, ruleUnknown}, 0
	}
	at := slices.IndexFunc(list, func(w want) bool { return w.variant == p.Variant })
	switch {
	case at < 0, p.OS != target.OS, p.Architecture != target.Architecture:
		return Verdict{Refused, refusal(target, p)}, 0
	case target.OSVersion != "" && !sameVersion(p.OSVersion, target.OSVersion):
		return Verdict{Refused, ruleOtherVersion}, 0
	case p != *c.Platform:
		return Verdict{PassedOver, ruleSpelling}, len(list) + at
	}
	return Verdict{PassedOver, list[at].rule}, at
}

// refusal names the first field in which p fails target.
func refusal(target, p Platform) Rule {
	switch {
	case p.OS != target.OS:
		return ruleOtherOS
	case contains32(target.Architecture, p.Architecture):
		return ruleOnlyAsked
	case p.Architecture != target.Architecture:
		return ruleOtherArch
	case isLevel(p.Architecture, p.Variant) && (target.Variant == "" || isLevel(target.Architecture, target.Variant)):
		return ruleStronger
	}
	return ruleOtherVariant
}
