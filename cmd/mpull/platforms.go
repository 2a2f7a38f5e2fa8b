//go:build linux

package main

import (
	"context"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/platform"
)

type platformsOptions struct {
	registry         registryFlags
	filter, format   string
	sizes, noHeading bool
}

func (p *program) platformsCommand() *cli.Command {
	var o platformsOptions
	return &cli.Command{
		Name:      "platforms",
		Usage:     "list the platforms that an image offers, without pulling it",
		UsageText: "platforms [flags] IMAGE",
		Description: `Lists what IMAGE offers, in the order of its index. HOST says what this machine
can do with a platform: own (a pull takes it), native (it runs), emulated (a
binfmt_misc handler runs it), artifact (it is no image), or -. LOCAL is the short
ID of the image that is here. Nested indexes are followed, attestations
left out; a single image is one row. IMAGE may also be oci:DIR, dir:DIR,
docker-archive:FILE.

SIZE is what there is to download. An index does not tell it: it is known for a
single image and for what is here; --sizes asks for the rest, one request each, and
shows as absent what the index names and the registry does not have, and as
artifact what is no image by its manifest. Without it an index costs one request,
and two for each entry whose platform the index does not tell.

--filter-by-os is oc's: a regular expression, not anchored, held against
os/arch[/variant] as it is printed, so that linux/arm also selects linux/arm64.

Fields for --format: Platform OS Architecture Variant OSVersion Digest MediaType
ArtifactType Size Absent Host Emulator Local Index.

Examples:
  mpull platforms alpine:3.15
  mpull platforms --sizes --filter-by-os '^linux/arm/' alpine:3.15
  mpull platforms --format '{{.Platform}} {{.Digest}}' docker.io/library/alpine:3.15
  mpull platforms --format json alpine:3.15 | jq -r '.[] | select(.Host != "") | .Platform'

Exit codes: 0 done; 1 the filter matches nothing; 125 the image or its registry is
not there, or bad usage.`,
		Flags: append(o.registry.flags(),
			&cli.StringFlag{Name: "filter-by-os", Usage: "only platforms that `REGEXP` matches", Destination: &o.filter},
			&cli.BoolFlag{Name: "sizes", Usage: "ask the registry for the sizes that are not known", Destination: &o.sizes},
			&cli.StringFlag{Name: "format", Aliases: []string{"o", "output"}, Usage: "print json, or each platform by a Go `TEMPLATE`", Destination: &o.format},
			&cli.BoolFlag{Name: "noheading", Aliases: []string{"no-heading"}, Usage: "print no heading", Destination: &o.noHeading},
		),
		Action: action(1, 1, func(ctx context.Context, names []string) error { return p.platforms(ctx, o, names[0]) }),
	}
}

func (p *program) platforms(ctx context.Context, o platformsOptions, image string) error {
	if err := p.applyRegistry(o.registry); err != nil {
		return err
	}
	ask := engine.PlatformsOptions{Retry: p.retry, Sizes: o.sizes}
	if o.filter != "" {
		filter, err := platform.FilterByOS(o.filter)
		if err != nil {
			return usagef("%v", err)
		}
		ask.Filter = filter
	}
	rows, err := p.readEngine().Platforms(ctx, image, ask)
	if err != nil {
		return err
	}
	if err := show(p.out, o.format, rows, rows, func() { printPlatforms(p.out, rows, o.noHeading) }); err != nil {
		return err
	}
	if len(rows) == 0 {
		if o.filter != "" {
			p.line("No platform of %s matches %s", image, o.filter)
		} else {
			p.line("%s offers no platform", image)
		}
		return &codeError{exitNo}
	}
	return nil
}

func printPlatforms(w io.Writer, rows []engine.OfferedPlatform, noHeading bool) {
	t := &table{}
	if !noHeading {
		t.head = []string{"OS/ARCH", "DIGEST", "SIZE", "HOST", "LOCAL"}
	}
	for _, r := range rows {
		bytes := "-"
		switch {
		case r.Absent:
			bytes = "absent"
		case r.Size >= 0:
			bytes = size(r.Size)
		}
		t.add(orDash(r.Platform), r.Digest.String(), bytes, orDash(string(r.Host)), orDash(localIDs(r.Local)))
	}
	t.write(w)
}

// localIDs are the short IDs of local images, by which every command takes them.
func localIDs(images []engine.LocalImage) string {
	ids := make([]string, len(images))
	for i, img := range images {
		ids[i] = imageID(img.ID, false)
	}
	return strings.Join(ids, ", ")
}
