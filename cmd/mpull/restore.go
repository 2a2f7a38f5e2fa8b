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

type restoreOptions struct{ progress string }

func (p *program) restoreCommand() *cli.Command {
	var o restoreOptions
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
		Flags: []cli.Flag{progressFlag(&o.progress)},
		Action: action(1, 2, func(ctx context.Context, names []string) error {
			return p.restore(ctx, o, names[0], cmp.Or(names[1:]...))
		}),
	}
}

// restore gives an image a name back, the one that it lost last when name is "".
func (p *program) restore(ctx context.Context, o restoreOptions, image, name string) error {
	listener, err := p.listen(o.progress)
	if err != nil {
		return err
	}
	r, err := p.engine(listener).Restore(ctx, image, name)
	return p.tellRestored(r, err)
}

type useOptions struct {
	platform platformFlags
	progress string
}

func (p *program) useCommand() *cli.Command {
	var o useOptions
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
		Flags:  append(o.platform.flags(onePlatform), progressFlag(&o.progress)),
		Action: action(1, 1, func(ctx context.Context, names []string) error { return p.use(ctx, o, names[0]) }),
	}
}

func (p *program) use(ctx context.Context, o useOptions, name string) error {
	listener, err := p.listen(o.progress)
	if err != nil {
		return err
	}
	const onePlease = "use takes exactly one platform: --platform OS/ARCH[/VARIANT]"
	wanted, err := o.platform.one(host.Wants(), onePlease)
	switch {
	case err != nil:
		return err
	case wanted == nil:
		return usagef(onePlease)
	}
	r, err := p.engine(listener).Use(ctx, name, *wanted)
	return p.tellRestored(r, err)
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
