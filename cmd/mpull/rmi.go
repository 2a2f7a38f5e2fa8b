//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/store/query"
)

type rmiOptions struct {
	platform                        platformFlags
	all, force, ignore, keepParents bool
}

func (p *program) rmiCommand() *cli.Command {
	var o rmiOptions
	return &cli.Command{
		Name:      "rmi",
		Usage:     "remove images or names of images",
		UsageText: "rmi [flags] IMAGE...",
		Description: `Takes a name away; with its last name, or by ID, the image goes, and with it
nameless parents that nothing else needs. --platform removes exactly that
platform: linux/arm/v7 leaves an image that names no variant. An image that is
mounted, or that a container of any tool uses, is never removed, not even by
--force; one that CRI-O's configuration pins is removed by --force only.

Examples:
  mpull rmi alpine:3.15
  mpull rmi --force 6e30ab57aeee
  mpull rmi --platform linux/arm/v7 alpine:3.15

Exit codes: 0 all removed; 1 one was not here; 2 one is in use or pinned; 125
otherwise.`,
		Flags: append(o.platform.flags(onePlatform),
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "remove all images that no container uses", Destination: &o.all},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "by ID, remove an image that has several names; remove what CRI-O pins; one that is not here is no error", Destination: &o.force},
			&cli.BoolFlag{Name: "ignore", Aliases: []string{"i"}, Usage: "an image that is not here is no error", Destination: &o.ignore},
			&cli.BoolFlag{Name: "no-prune", Usage: "leave the nameless images that a removed one was built on", Destination: &o.keepParents},
		),
		Action: action(0, -1, func(ctx context.Context, names []string) error { return p.rmi(ctx, o, names) }),
	}
}

func (p *program) rmi(ctx context.Context, o rmiOptions, names []string) error {
	if len(names) == 0 && !o.all {
		return usagef("usage: mpull rmi [flags] IMAGE...")
	}
	wanted, err := o.platform.one(host.Wants(), "rmi takes one platform")
	if err != nil {
		return err
	}
	if o.all && (len(names) > 0 || wanted != nil) {
		return usagef("rmi --all removes all images: it takes no name and no platform")
	}
	p.stopDeadRuns(ctx)
	results, err := p.engine(p.tellMoves).Remove(ctx, names, engine.RemoveOptions{
		All: o.all, Force: o.force, Ignore: o.ignore || o.force, KeepParents: o.keepParents, Platform: wanted, Command: "rmi",
	})
	return errors.Join(p.tellRemoved(results), err)
}

// tellRemoved prints each result; the error returned has the highest of their
// exit codes.
func (p *program) tellRemoved(results []engine.Removed) error {
	code := exitOK
	for _, r := range results {
		for _, name := range r.Untagged {
			fmt.Fprintf(p.out, "Untagged: %s\n", escape(name))
		}
		for _, id := range r.Deleted {
			fmt.Fprintf(p.out, "Deleted: %s\n", id)
		}
		if len(r.Others) > 0 {
			var platforms []string
			for _, img := range r.Others {
				platforms = append(platforms, img.Platform())
			}
			if flag := query.PlatformOf(r.Others[0]).Flag(); flag != "" {
				p.line("also here: %s; mpull use %s %s gives it the name", escape(strings.Join(platforms, ", ")), flag, escape(r.Name))
			}
		}
		if r.Err != nil {
			report(p.streams, r.Err)
			code = max(code, exitCode(r.Err))
		}
	}
	if code != exitOK {
		return &codeError{code}
	}
	return nil
}
