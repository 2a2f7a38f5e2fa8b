//go:build linux

package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/platform"
)

func (p *program) platformsCommand() *cli.Command {
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
		Flags: append(registryFlags(),
			&cli.StringFlag{Name: "filter-by-os", Usage: "only platforms that `REGEXP` matches"},
			&cli.BoolFlag{Name: "sizes", Usage: "ask the registry for the sizes that are not known"},
			&cli.StringFlag{Name: "format", Aliases: []string{"o", "output"}, Usage: "print json, or each platform by a Go `TEMPLATE`"},
			&cli.BoolFlag{Name: "noheading", Aliases: []string{"no-heading"}, Usage: "print no heading"},
		),
		Action: p.platforms,
	}
}

// imageInfoCommand is platforms under oc's name.
func (p *program) imageInfoCommand() *cli.Command {
	c := p.platformsCommand()
	c.Name, c.UsageText = "info", "image info [flags] IMAGE"
	return c
}

func (p *program) platforms(c *cli.Context) error {
	if err := exactly(c, 1, 1, "platforms [flags] IMAGE"); err != nil {
		return err
	}
	if err := p.applyRegistryFlags(c); err != nil {
		return err
	}
	o := engine.PlatformsOptions{Retry: p.retry, Sizes: c.Bool("sizes")}
	if expr := c.String("filter-by-os"); expr != "" {
		filter, err := platform.FilterByOS(expr)
		if err != nil {
			return usagef("%v", err)
		}
		o.Filter = filter
	}
	rows, err := p.readEngine().Platforms(c.Context, c.Args().First(), o)
	if err != nil {
		return err
	}
	if err := p.printPlatforms(rows, c.String("format"), c.Bool("noheading")); err != nil {
		return err
	}
	if len(rows) == 0 {
		if o.Filter != nil {
			p.line("No platform of %s matches %s", c.Args().First(), c.String("filter-by-os"))
		} else {
			p.line("%s offers no platform", c.Args().First())
		}
		return &codeError{exitNo}
	}
	return nil
}

func (p *program) printPlatforms(rows []engine.OfferedPlatform, format string, noHeading bool) error {
	switch {
	case isJSON(format):
		return printJSON(p.out, rows)
	case format != "":
		return printTemplate(p.out, format, rows)
	}
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
	return t.write(p.out)
}

// localIDs are the short IDs of local images, by which every command takes them.
func localIDs(images []engine.LocalImage) string {
	ids := make([]string, len(images))
	for i, img := range images {
		ids[i] = imageID(img.ID, false)
	}
	return strings.Join(ids, ", ")
}
