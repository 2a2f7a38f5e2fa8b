//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
)

func (p *program) restoreCommand() *cli.Command {
	return &cli.Command{
		Name:      "restore",
		Usage:     "give an image the name back that it lost",
		UsageText: "restore IMAGE [NAME]",
		Description: `Gives IMAGE the name back that it lost last, or NAME. IMAGE is an ID, or the
name itself when only one image lost it. No registry is asked. The image that
has the name now loses it, which is recorded too: mpull restore undoes restore.

Examples:
  mpull restore 6587d5f44ca3
  mpull restore 6587d5f44ca3 docker.io/library/alpine:3.15

Exit codes: 0 done; 1 no such image; 125 failed, or several images are meant.`,
		Flags: []cli.Flag{p.progressFlag()},
		Action: action(1, 2, func(ctx context.Context, names []string) error {
			return p.tellRestored(p.engine(p.tellMoves).Restore(ctx, names[0], cmp.Or(names[1:]...)))
		}),
	}
}

func (p *program) useCommand() *cli.Command {
	var platform platformFlags
	return &cli.Command{
		Name:      "use",
		Usage:     "switch a name to the local image of a platform",
		UsageText: "use --platform OS/ARCH[/VARIANT] NAME",
		Description: `Moves NAME to the local image of that platform which holds it, once held it, or
is kept beside it. No registry is asked. The move is recorded, and use of the
other platform undoes it.

Examples:
  mpull use --platform linux/amd64 alpine:3.15
  mpull use --platform native alpine:3.15

Exit codes: 0 done; 1 no local image of that name or platform; 125 failed, or
several images are meant.`,
		Flags:  append(platform.flags(onePlatform), p.progressFlag()),
		Action: action(1, 1, func(ctx context.Context, names []string) error { return p.use(ctx, platform, names[0]) }),
	}
}

func (p *program) use(ctx context.Context, platform platformFlags, name string) error {
	const onePlease = "use takes exactly one platform: --platform OS/ARCH[/VARIANT]"
	wanted, err := platform.one(host.Wants(), onePlease)
	switch {
	case err != nil:
		return err
	case wanted == nil:
		return usagef(onePlease)
	}
	return p.tellRestored(p.engine(p.tellMoves).Use(ctx, name, *wanted))
}

func (p *program) tellRestored(r engine.Restored, err error) error {
	if err != nil {
		return err
	}
	when := "already"
	if r.Moved {
		when = "now"
	}
	if p.events != nil {
		p.events.write("restored", r)
	} else {
		p.line("%s is %.12s%s %s", escape(r.Name), r.ID, forWhat(r.Platform, r.IsList), when)
	}
	_, err = fmt.Fprintln(p.out, r.ID)
	return err
}
