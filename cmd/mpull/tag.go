//go:build linux

package main

import (
	"github.com/urfave/cli/v2"
)

func (p *program) tagCommand() *cli.Command {
	return &cli.Command{
		Name:      "tag",
		Usage:     "give an image more names",
		UsageText: "tag IMAGE NAME...",
		Description: `Gives IMAGE each NAME. A NAME that another image holds moves to IMAGE; that is
recorded, and the command that undoes it is printed.

Examples:
  mpull tag alpine:3.15 localhost/base:stable
  mpull tag 6e30ab57aeee docker.io/library/alpine:3.15

Exit codes: 0 done; 125 failed, also when IMAGE is not here, as podman has it.`,
		Flags: []cli.Flag{progressFlag()},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 2, -1, "tag IMAGE NAME..."); err != nil {
				return err
			}
			listener, err := p.listen(c)
			if err != nil {
				return err
			}
			return asFailure(p.engine(listener).Tag(c.Context, c.Args().First(), c.Args().Tail(), "tag"))
		},
	}
}

func (p *program) untagCommand() *cli.Command {
	return &cli.Command{
		Name:      "untag",
		Usage:     "take names from an image",
		UsageText: "untag IMAGE [NAME...]",
		Description: `Takes each NAME from IMAGE; without NAME, all names. The image stays, and
remembers what it lost. A name that CRI-O's configuration pins stays.

Examples:
  mpull untag alpine:3.15
  mpull untag 6e30ab57aeee localhost/base:stable

Exit codes: 0 done; 125 failed, also when IMAGE is not here or has no such NAME,
as podman has it.`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, -1, "untag IMAGE [NAME...]"); err != nil {
				return err
			}
			return asFailure(p.engine(p.tellMoves).Untag(c.Context, c.Args().First(), c.Args().Tail(), "untag"))
		},
	}
}
