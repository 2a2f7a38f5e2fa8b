//go:build linux

package main

import (
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
		Flags: []cli.Flag{progressFlag()},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, 2, "restore IMAGE [NAME]"); err != nil {
				return err
			}
			listener, err := p.listen(c)
			if err != nil {
				return err
			}
			r, err := p.engine(listener).Restore(c.Context, c.Args().Get(0), c.Args().Get(1), "restore")
			return p.tellRestored(r, err)
		},
	}
}

func (p *program) useCommand() *cli.Command {
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
		Flags: append(platformFlags(), progressFlag()),
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, 1, "use --platform OS/ARCH[/VARIANT] NAME"); err != nil {
				return err
			}
			listener, err := p.listen(c)
			if err != nil {
				return err
			}
			wanted, err := requests(c, host.Wants())
			if err != nil {
				return err
			}
			if len(wanted) != 1 || len(wanted[0]) != 1 {
				return usagef("use takes exactly one platform: --platform OS/ARCH[/VARIANT]")
			}
			r, err := p.engine(listener).Use(c.Context, c.Args().First(), wanted[0][0], "use --platform "+wanted[0][0].String())
			return p.tellRestored(r, err)
		},
	}
}

func (p *program) tellRestored(r engine.Restored, err error) error {
	if err != nil {
		return err
	}
	if p.events != nil {
		p.events.restored(r)
	} else if !r.Moved {
		p.line("%s is %.12s%s already", escape(r.Name), r.ID, forWhat(r.Platform, r.IsList))
	} else {
		p.line("%s is %.12s%s now", escape(r.Name), r.ID, forWhat(r.Platform, r.IsList))
	}
	_, err = fmt.Fprintln(p.out, r.ID)
	return err
}
