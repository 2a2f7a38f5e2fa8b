//go:build linux

package main

import (
	"regexp"
	"slices"
	"strings"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/platform"
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

func (p *program) inspectCommand() *cli.Command {
	return &cli.Command{
		Name:        "inspect",
		Usage:       "show all about a local image, or about one that is not pulled",
		UsageText:   "inspect [flags] IMAGE...\n  mpull inspect [flags] TRANSPORT:NAME",
		Description: inspectHelp,
		Flags:       inspectFlags(),
		Action:      p.inspect,
	}
}

// imageInspectCommand is podman's other name for the same.
func (p *program) imageInspectCommand() *cli.Command {
	c := p.inspectCommand()
	c.UsageText = "image inspect [flags] IMAGE..."
	return c
}

func inspectFlags() []cli.Flag {
	return append(append(platformFlags(), registryFlags()...),
		&cli.BoolFlag{Name: "raw", Usage: "print the manifest or index byte for byte; with --config, the config"},
		&cli.BoolFlag{Name: "config", Usage: "print the config of the image"},
		&cli.BoolFlag{Name: "no-tags", Aliases: []string{"n"}, Usage: "do not list the repository's tags: one request less"},
		&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Usage: "print json, or each image by a Go `TEMPLATE`"},
		&cli.StringFlag{Name: "type", Aliases: []string{"t"}, Usage: "podman's `TYPE` of object: image or all, which mean the same here", Value: "all"},
	)
}

func (p *program) inspect(c *cli.Context) error {
	if err := exactly(c, 1, -1, "inspect [flags] IMAGE..."); err != nil {
		return err
	}
	if t := c.String("type"); t != "all" && t != "image" {
		return usagef("mpull inspects images only: --type %s is podman's", t)
	}
	if c.Bool("raw") && c.String("format") != "" {
		return usagef("--raw prints bytes as they are and cannot go with --format")
	}
	if err := checkInspectFormat(c); err != nil {
		return err
	}
	if err := p.applyRegistryFlags(c); err != nil {
		return err
	}
	inputs := c.Args().Slice()
	remote := slices.ContainsFunc(inputs, engine.IsTransport)
	if len(inputs) > 1 && (remote || c.Bool("raw") || c.Bool("config")) {
		return usagef("a TRANSPORT:NAME, --raw and --config stand for one image; %d were given", len(inputs))
	}
	if remote || c.Bool("raw") || c.Bool("config") {
		return p.inspectOne(c, inputs[0], remote)
	}
	return p.inspectLocal(c, inputs)
}

// checkInspectFormat looks for the fields of --format in what will be printed.
func checkInspectFormat(c *cli.Context) error {
	format := c.String("format")
	switch {
	case c.Bool("config"):
		return checkFormat[imgspecv1.Image](format)
	case slices.ContainsFunc(c.Args().Slice(), engine.IsTransport):
		return checkFormat[engine.Inspection](format)
	}
	return checkFormat[engine.ImageData](podmanFields(format))
}

// inspectOne prints skopeo's document, manifest or config of one image.
func (p *program) inspectOne(c *cli.Context, input string, remote bool) error {
	if !remote {
		input = "containers-storage:" + input
	}
	o, err := p.lookOptions(c)
	if err != nil {
		return err
	}
	e := p.lookEngine(!strings.HasPrefix(input, "containers-storage:"))
	switch raw := c.Bool("raw"); {
	case c.Bool("config"):
		config, err := e.InspectConfig(c.Context, input, o)
		if err != nil {
			return err
		}
		if raw {
			return p.printRaw(config.Blob)
		}
		return p.printDocument(c.String("format"), config.Config)
	case raw:
		m, err := e.RawManifest(c.Context, input, o)
		if err != nil {
			return err
		}
		return p.printRaw(m.Blob)
	}
	doc, err := e.Inspect(c.Context, input, engine.InspectOptions{LookOptions: o, NoTags: c.Bool("no-tags")})
	if err != nil {
		return err
	}
	return p.printDocument(c.String("format"), doc)
}

// printDocument prints a document as skopeo does.
func (p *program) printDocument(format string, doc any) error {
	if format == "" || isJSON(format) {
		return printJSON(p.out, doc)
	}
	return printTemplate(p.out, format, []any{doc})
}

// inspectLocal prints podman's array. As podman, it prints what was found also
// when something was not.
func (p *program) inspectLocal(c *cli.Context, inputs []string) error {
	var wanted *platform.Request
	lists, err := requests(c, host.Wants())
	if err != nil {
		return err
	}
	if len(lists) > 1 || len(lists) == 1 && len(lists[0]) > 1 {
		return usagef("a local image is of one platform; several were given")
	}
	if len(lists) == 1 {
		wanted = &lists[0][0]
	}
	found, failed := p.readEngine().InspectImages(c.Context, inputs, wanted)
	if c.Err() != nil {
		return failed
	}
	if err := printImageData(p, c.String("format"), found); err != nil {
		return err
	}
	for _, data := range found {
		if liar := data.PlatformCheck.Liar(); liar != "" {
			p.line("Warning: %.12s: %s, but its program is for %s", data.ID, escape(liar), data.PlatformCheck.Actual)
		}
	}
	return failed
}

func printImageData(p *program, format string, found []engine.ImageData) error {
	if format == "" || format == "json" {
		return printPodmanJSON(p.out, found)
	}
	return printTemplate(p.out, podmanFields(format), found)
}

// podmanFields rewrites the fields that podman has under two names.
func podmanFields(format string) string {
	format = regexp.MustCompile(`\.Id\b`).ReplaceAllString(format, ".ID")
	return strings.ReplaceAll(format, ".Config.Healthcheck", ".HealthCheck")
}
