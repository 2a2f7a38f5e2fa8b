//go:build linux

package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/platform"
)

type matchOptions struct {
	platform platformFlags
	registry registryFlags
	format   string
}

func (p *program) matchCommand() *cli.Command {
	var o matchOptions
	return &cli.Command{
		Name:      "match",
		Usage:     "explain which platform of an image a pull would take",
		UsageText: "match [flags] IMAGE",
		Description: `Compares each platform that IMAGE offers with the one wanted, and prints whether a
pull takes it, passes it over for a better one, or refuses it, and by which rule.
Without a platform, this machine's is wanted. An ordered fallback shows one table
for each platform tried.

A rule's short name in the table is stable: scripts may rely on it.

Examples:
  mpull match alpine:3.15
  mpull match --platform linux/arm/v6 alpine:3.15
  mpull match --platform native,linux/arm/v7 alpine:3.15
  mpull match --arch amd64 --variant v3 --format json alpine:3.15

Exit codes: 0 something is taken; 1 nothing fits; 125 the image or its registry is
not there, or bad usage.`,
		Flags: append(append(o.platform.flags(orderedPlatforms), o.registry.flags()...),
			&cli.StringFlag{Name: "format", Usage: "print json, or by a Go `TEMPLATE`", Destination: &o.format}),
		Action: action(1, 1, func(ctx context.Context, names []string) error { return p.match(ctx, o, names[0]) }),
	}
}

func (p *program) match(ctx context.Context, o matchOptions, image string) error {
	if err := checkFormat[engine.Matching](o.format); err != nil {
		return err
	}
	if err := p.applyRegistry(o.registry); err != nil {
		return err
	}
	look, err := p.lookOptions(o.platform)
	if err != nil {
		return err
	}
	m, err := p.lookEngine(true, image).Match(ctx, image, look)
	if err != nil {
		return err
	}
	if err := showOne(p.out, o.format, m, func() { p.printMatching(m) }); err != nil {
		return err
	}
	if m.Missing != nil {
		p.line("Nothing fits: %v", m.Missing)
		if m.Missing.Hint != "" {
			p.line("Hint: %s", escape(m.Missing.Hint))
		}
		return &codeError{exitNo}
	}
	if m.Unproven {
		p.line("It names no platform: a pull looks at its program, and takes it only when that is for the platform asked for")
	}
	if m.Foreign {
		p.line("It is the only one, and nobody asked for another: a pull takes %s and warns", orNone(escape(m.Platform)))
	}
	return nil
}

func (p *program) printMatching(m *engine.Matching) {
	for _, a := range m.Attempts {
		wanted := a.Target
		if a.Native {
			wanted = a.Target + ", what mpull is built for and pulls by default; levels, 32-bit relatives and emulated platforms are taken when asked for"
		} else if a.Asked != a.Target {
			wanted = a.Asked + ", that is " + a.Target
		}
		p.line("Wanted: %s", escape(wanted))
		t := &table{head: []string{"PLATFORM", "DIGEST", "OUTCOME", "RULE", "WHY"}, spare: "RULE"} // WHY says it in words
		for _, candidate := range a.Candidates {
			if candidate.Rule == platform.RuleHidden {
				continue // attestations are no platforms
			}
			t.add(orDash(candidate.Platform), shortDigest(candidate.Digest.String()), string(candidate.Outcome), string(candidate.Rule), candidate.Why)
		}
		t.write(p.out)
	}
}
