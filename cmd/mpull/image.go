//go:build linux

package main

import (
	"context"

	"github.com/urfave/cli/v2"
)

// imageCommand gathers what podman has under "image".
func (p *program) imageCommand() *cli.Command {
	list, inspect, info := p.imagesCommand(), p.inspectCommand(), p.platformsCommand()
	list.Name, list.Aliases, list.UsageText = "ls", []string{"list"}, "image ls [flags] [NAME...]"
	inspect.UsageText = "image inspect [flags] IMAGE..."
	info.Name, info.UsageText = "info", "image info [flags] IMAGE" // oc's name
	return &cli.Command{Name: "image", Usage: "the image commands under the names that podman has for them", UsageText: "image COMMAND",
		Description: `image load, prune, pull, rm, save, tag and untag are the commands without
image; rm is rmi.

Examples:
  mpull image ls --filter dangling=true
  mpull image inspect alpine:3.15
  mpull image rm alpine:3.15

Exit codes: those of the command.`,
		Subcommands: []*cli.Command{list, inspect, info, p.imageExistsCommand()}}
}

// imageExistsCommand is for scripts, as podman's is.
func (p *program) imageExistsCommand() *cli.Command {
	return &cli.Command{
		Name: "exists", Usage: "tell by the exit code whether an image is in local storage", UsageText: "image exists IMAGE",
		Description: `Prints nothing.

Examples:
  mpull image exists alpine:3.15 || mpull alpine:3.15
  mpull image exists docker.io/library/alpine:3.15 && echo here

Exit codes: 0 it is here; 1 it is not; 125 failed.`,
		Action: action(1, 1, func(ctx context.Context, names []string) error { return p.exists(ctx, names[0]) }),
	}
}

func (p *program) exists(ctx context.Context, image string) error {
	here, err := p.readEngine().Exists(ctx, image)
	if err == nil && !here {
		err = &codeError{exitNo}
	}
	return err
}
