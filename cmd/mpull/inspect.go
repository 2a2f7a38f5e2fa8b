//go:build linux

package main

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/registry"
)

const inspectHelp = `A bare name, an ID or the beginning of one means images of local storage: prints
podman's array, with Variant, Platform, PlatformCheck and Displaced (who took which
name, when, by which command) beside podman's fields. PlatformCheck has the platform
that the image claims and the actual one of the program it starts; it is left out
when that is not known. Where they differ a line on stderr says so. --platform picks
the image of that platform which holds or held the name.

TRANSPORT:NAME is looked at where it lies, without pulling it: prints skopeo's
document, with Variant and InstanceDigest beside skopeo's fields. Transports:
docker://IMAGE, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, dir:DIR,
containers-storage:IMAGE. --platform, or skopeo's --override-os, --override-arch
and --override-variant, choose the instance; one that is not there is an error.

Needs no policy.json, creates no store, changes nothing.

Examples:
  mpull inspect alpine:3.15
  mpull inspect --format '{{.Id}} {{.Platform}}' alpine:3.15
  mpull inspect --format '{{.PlatformCheck.Claimed}} {{.PlatformCheck.Actual}}' alpine:3.15
  mpull inspect docker://docker.io/library/alpine:3.15
  mpull inspect --config --override-arch arm --override-variant v7 docker://alpine:3.15
  mpull inspect --raw docker://docker.io/library/alpine:3.15 | jq -rc .manifests[].platform

Exit codes: 0 done; 1 no such local image; 125 the registry, the image or the
platform asked for is not there, or bad usage.`

type inspectOptions struct {
	platform            platformFlags
	registry            registryFlags
	raw, config, noTags bool
	format, kind        string // kind is --type
}

func (p *program) inspectCommand() *cli.Command {
	var o inspectOptions
	return &cli.Command{
		Name:        "inspect",
		Usage:       "show all about a local image, or about one that is not pulled",
		UsageText:   "inspect [flags] IMAGE...\n  mpull inspect [flags] TRANSPORT:NAME",
		Description: inspectHelp,
		Flags: append(append(o.platform.flags(onePlatform+"; for TRANSPORT:NAME, a list such as native,linux/arm/v7 is tried in order"), o.registry.flags()...),
			&cli.BoolFlag{Name: "raw", Usage: "print the manifest or index byte for byte; with --config, the config", Destination: &o.raw},
			&cli.BoolFlag{Name: "config", Usage: "print the config of the image", Destination: &o.config},
			&cli.BoolFlag{Name: "no-tags", Aliases: []string{"n"}, Usage: "do not list the repository's tags: one request less", Destination: &o.noTags},
			&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Usage: "print json, or each image by a Go `TEMPLATE`", Destination: &o.format},
			&cli.StringFlag{Name: "type", Aliases: []string{"t"}, Usage: "podman's `TYPE` of object: image or all, which mean the same here", Value: "all", Destination: &o.kind},
		),
		Action: action(1, -1, func(ctx context.Context, names []string) error { return p.inspect(ctx, o, names) }),
	}
}

func (p *program) inspect(ctx context.Context, o inspectOptions, names []string) error {
	if o.kind != "all" && o.kind != "image" {
		return usagef("mpull inspects images only: --type %s is podman's", o.kind)
	}
	if o.raw && o.format != "" {
		return usagef("--raw prints bytes as they are and cannot go with --format")
	}
	remote := slices.ContainsFunc(names, registry.HasTransport)
	if err := o.checkFormat(remote); err != nil {
		return err
	}
	if err := p.applyRegistry(o.registry); err != nil {
		return err
	}
	if !remote && !o.raw && !o.config {
		return p.inspectLocal(ctx, o, names)
	}
	if len(names) > 1 {
		return usagef("a TRANSPORT:NAME, --raw and --config stand for one image; %d were given", len(names))
	}
	if !remote {
		return p.inspectOne(ctx, o, "containers-storage:"+names[0])
	}
	return p.inspectOne(ctx, o, names[0])
}

// checkFormat looks for the fields of --format in what will be printed.
func (o inspectOptions) checkFormat(remote bool) error {
	switch {
	case o.config:
		return checkFormat[imgspecv1.Image](o.format)
	case remote:
		return checkFormat[engine.Inspection](o.format)
	}
	return checkFormat[engine.ImageData](podmanFields(o.format))
}

// lookOptions choose the instance that is looked at: by one ordered fallback.
func (p *program) lookOptions(f platformFlags) (engine.LookOptions, error) {
	requests, err := f.fallback(host.Wants(), "one --platform, please; several to try in order are written --platform a,b")
	return engine.LookOptions{Retry: p.retry, Requests: requests}, err
}

// inspectOne prints skopeo's document, manifest or config of one image.
func (p *program) inspectOne(ctx context.Context, o inspectOptions, image string) error {
	look, err := p.lookOptions(o.platform)
	if err != nil {
		return err
	}
	e := p.lookEngine(!strings.HasPrefix(image, "containers-storage:"), image)
	switch {
	case o.config:
		config, err := e.InspectConfig(ctx, image, look)
		if err != nil {
			return err
		}
		if o.raw {
			return p.printRaw(config.Blob)
		}
		return p.printDocument(o.format, config.Config)
	case o.raw:
		m, err := e.RawManifest(ctx, image, look)
		if err != nil {
			return err
		}
		return p.printRaw(m.Blob)
	}
	doc, err := e.Inspect(ctx, image, engine.InspectOptions{LookOptions: look, NoTags: o.noTags})
	if err != nil {
		return err
	}
	return p.printDocument(o.format, doc)
}

// printDocument prints a document as skopeo does.
func (p *program) printDocument(format string, doc any) error {
	return showOne(p.out, cmp.Or(format, "json"), doc, nil)
}

// inspectLocal prints podman's array. As podman, it prints what was found also
// when something was not.
func (p *program) inspectLocal(ctx context.Context, o inspectOptions, names []string) error {
	wanted, err := o.platform.one(host.Wants(), "a local image is of one platform; several were given")
	if err != nil {
		return err
	}
	found, failed := p.readEngine().InspectImages(ctx, names, wanted)
	if ctx.Err() != nil {
		return failed
	}
	if o.format == "" || o.format == "json" {
		err = printPodmanJSON(p.out, found)
	} else {
		err = printTemplate(p.out, podmanFields(o.format), found, true)
	}
	if err != nil {
		return err
	}
	for _, data := range found {
		if liar := data.PlatformCheck.Liar(); liar != "" {
			p.line("Warning: %.12s: %s, but its program is for %s", data.ID, escape(liar), data.PlatformCheck.Actual)
		}
	}
	return failed
}

// podmanFields rewrites the fields that podman has under two names.
func podmanFields(format string) string {
	format = regexp.MustCompile(`\.Id\b`).ReplaceAllString(format, ".ID")
	return strings.ReplaceAll(format, ".Config.Healthcheck", ".HealthCheck")
}
