//go:build linux

package main

import (
	"context"

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
		Flags: []cli.Flag{p.progressFlag()},
		Action: action(2, -1, func(ctx context.Context, names []string) error {
			return asFailure(p.engine(p.tellMoves).Tag(ctx, names[0], names[1:]))
		}),
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
		Action: action(1, -1, func(ctx context.Context, names []string) error {
			return asFailure(p.engine(p.tellMoves).Untag(ctx, names[0], names[1:]))
		}),
	}
}
