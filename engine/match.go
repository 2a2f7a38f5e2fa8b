package engine

import (
	"context"
	"errors"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
)

// Matching tells which instance of an image a pull takes, and why each of the
// others is not it. JSON names are stable.
type Matching struct {
	Reference string                  `json:"reference"`
	Chosen    digest.Digest           `json:"chosen"` // "" when nothing fits
	Platform  string                  `json:"platform"`
	Rule      platform.Rule           `json:"rule"`
	Foreign   bool                    `json:"foreign"`  // a single image of another platform, taken because nobody asked for one
	Unproven  bool                    `json:"unproven"` // it names no platform, and one was asked for: its program decides
	Attempts  []MatchAttempt          `json:"attempts"`
	Missing   *platform.NotFoundError `json:"-"` // why nothing fits; nil when something does
}

// MatchAttempt is one request of an ordered fallback. Requests after the one
// that matched are not tried and not in it.
type MatchAttempt struct {
	Asked      string           `json:"asked"`
	Target     string           `json:"target"` // what that stands for
	Native     bool             `json:"native"` // nobody asked: it is this machine's default
	Candidates []MatchCandidate `json:"candidates"`
}

// MatchCandidate is one entry of the index and what became of it.
type MatchCandidate struct {
	Platform string           `json:"platform"` // "" when the index names none
	Digest   digest.Digest    `json:"digest"`
	Outcome  platform.Outcome `json:"outcome"`
	Rule     platform.Rule    `json:"rule"`
	Why      string           `json:"why"` // the rule in words
}

// Match explains which instance Pull would take for the same requests. Where
// nothing fits there is no error: Missing tells it.
func (e *Engine) Match(ctx context.Context, input string, o LookOptions) (m *Matching, err error) {
	err = e.look(ctx, input, o, func(ctx context.Context, img *registry.Image, source registry.Source) error {
		instances, err := img.Instances(ctx)
		if err != nil {
			return err
		}
		c, err := e.decide(ctx, img, instances, e.requests(o))
		missing, ok := errors.AsType[*platform.NotFoundError](err)
		if err != nil && !ok {
			return err
		}
		m = matching(c)
		m.Reference, m.Missing = registry.RefName(source.Ref), missing
		return nil
	})
	return m, err
}

// decide is choose without reading the instance where the index alone decides:
// no other may fit, nor may it be one of WebAssembly, which is an image or an
// artifact by its layers.
func (e *Engine) decide(ctx context.Context, img *registry.Image, instances []registry.Instance, requests []platform.Request) (*choice, error) {
	decision, err := platform.Choose(requests, candidatesOf(instances))
	if err != nil || decision.Rule == platform.RuleNoPlatform || decision.Rule == platform.RuleUnnamed || hasTwins(decision) ||
		instances[decision.Chosen].Platform.OS == "wasi" {
		return e.choose(ctx, img, instances, requests)
	}
	return &choice{rule: decision.Rule, decision: decision, instances: instances}, nil
}

func matching(c *choice) *Matching {
	m := &Matching{Rule: c.rule, Foreign: c.foreign, Unproven: c.unproven != nil}
	switch at := c.decision.Chosen; {
	case c.detail != nil:
		m.Chosen, m.Platform = c.detail.Digest, c.detail.Platform().String()
	case at >= 0:
		m.Chosen, m.Platform = c.instances[at].Digest, c.instances[at].Platform.String()
	}
	m.Attempts = []MatchAttempt{}
	for _, a := range c.decision.Attempts {
		attempt := MatchAttempt{Asked: a.Request.String(), Target: a.Request.Target().String(), Native: !a.Request.Explicit, Candidates: []MatchCandidate{}}
		for i, v := range a.Verdicts {
			in := c.instances[i]
			attempt.Candidates = append(attempt.Candidates, MatchCandidate{in.Platform.String(), in.Digest, v.Outcome, v.Rule, v.Rule.Text()})
		}
		m.Attempts = append(m.Attempts, attempt)
	}
	return m
}
