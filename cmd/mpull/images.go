//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/store/query"
)

func (p *program) imagesCommand() *cli.Command {
	return &cli.Command{
		Name:      "images",
		Aliases:   []string{"list", "ls"},
		Usage:     "list local images with their platforms",
		UsageText: "images [flags] [NAME...]",
		Description: `Lists local images, newest build first. A * marks a platform that this machine
does not run natively, (schema 1) an image in Docker's old format; <none> <none>
is an image without a name.

Filters (--filter KEY=VALUE, or KEY!=VALUE), the same as of mpull prune:
reference= a name, or a pattern on names; was= the same on names that an image
lost; label=, with * in the label's name; platform=linux/arm, which matches every
variant, or a pattern; before= and since= another image; until= an age (12h, 30d)
or a time, which counts from the build here and in a prune from the displacement;
id=, digest=, dangling=, intermediate=, readonly=. Several of reference, was and
platform are alternatives; all else must hold together.

Fields for --format: ID Repository Tag Digest Platform Native Created Size Names
Dangling Displaced ReadOnly Labels Digests History Schema1 Pinned PinnedBy; in a
template also CreatedSince CreatedAt CreatedTime. Pinned is by CRI-O's
configuration, and has a column where an image is.

Examples:
  mpull images
  mpull images --dangling
  mpull images --tree alpine
  mpull images --filter dangling=true --filter platform=linux/arm
  mpull images --format '{{.Repository}}:{{.Tag}} {{.Platform}}'
  mpull images --format json alpine

Exit codes: 0 done, also when nothing is listed; 125 failed, or bad usage.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "also intermediate images of builds"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print image IDs only"},
			&cli.BoolFlag{Name: "no-trunc", Usage: "print full IDs"},
			&cli.BoolFlag{Name: "digests", Usage: "show manifest digests"},
			&cli.StringSliceFlag{Name: "filter", Aliases: []string{"f"}, Usage: "only images with `KEY=VALUE`; may be repeated"},
			&cli.StringFlag{Name: "sort", Usage: "order by `FIELD`: created, id, repository, size or tag", Value: "created"},
			&cli.StringFlag{Name: "format", Usage: "print json, or each image by a Go `TEMPLATE`"},
			&cli.BoolFlag{Name: "dangling", Usage: "only images that lost their names: what each was, when it was displaced, by which image"},
			&cli.BoolFlag{Name: "tree", Usage: "for each name, the platforms that are here, which one has the name and which dangle"},
			&cli.BoolFlag{Name: "noheading", Aliases: []string{"no-heading", "n"}, Usage: "print no heading"},
		},
		Action: p.images,
	}
}

// imageCommand gathers what podman has under "image".
func (p *program) imageCommand() *cli.Command {
	list := p.imagesCommand()
	list.Name, list.Aliases, list.UsageText = "ls", []string{"list"}, "image ls [flags] [NAME...]"
	return &cli.Command{Name: "image", Usage: "the image commands under the names that podman has for them", UsageText: "image COMMAND",
		Description: `image load, prune, pull, rm, save, tag and untag are the commands without
image; rm is rmi.

Examples:
  mpull image ls --filter dangling=true
  mpull image inspect alpine:3.15
  mpull image rm alpine:3.15

Exit codes: those of the command.`,
		Subcommands: []*cli.Command{list, p.imageInspectCommand(), p.imageInfoCommand()}}
}

func (p *program) images(c *cli.Context) error {
	o := engine.ListOptions{All: c.Bool("all"), Sort: c.String("sort"), Names: c.Args().Slice(), Brief: c.Bool("quiet")}
	texts := c.StringSlice("filter")
	if c.Bool("dangling") {
		texts = append(texts, "dangling=true")
	}
	var err error
	if o.Filters, err = parseFilters(texts); err != nil {
		return err
	}
	columns := imageColumns{noTrunc: c.Bool("no-trunc"), digests: c.Bool("digests"), noHeading: c.Bool("noheading")}
	if c.Bool("tree") {
		return p.imageTree(c, o, columns)
	}
	rows, err := p.engine(nil).Images(c.Context, o)
	if err != nil {
		return err
	}
	switch format := c.String("format"); {
	case c.Bool("quiet"):
		return printIDs(p.out, rows, c.Bool("no-trunc"))
	case format == "json":
		return printJSON(p.out, rows)
	case format != "":
		return printTemplate(p.out, format, templateRows(rows, c.Bool("no-trunc")))
	case c.Bool("dangling"):
		return printDangling(p.out, rows, columns)
	}
	return printImages(p.out, rows, columns)
}

// parseFilters reads the values of --filter, which images and prune share.
func parseFilters(texts []string) ([]query.Filter, error) {
	var filters []query.Filter
	for _, text := range texts {
		f, err := query.ParseFilter(text)
		if err != nil {
			return nil, usagef("%v", err)
		}
		filters = append(filters, f)
	}
	return filters, nil
}

func (p *program) imageTree(c *cli.Context, o engine.ListOptions, columns imageColumns) error {
	tree, err := p.engine(nil).Tree(c.Context, o)
	if err != nil {
		return err
	}
	switch c.String("format") {
	case "json":
		return printJSON(p.out, tree)
	case "":
		return printTree(p.out, tree, columns)
	}
	return usagef("--tree prints text or --format json")
}

type imageColumns struct{ noTrunc, digests, noHeading bool }

func printImages(w io.Writer, rows []engine.ListedImage, columns imageColumns) error {
	t := &table{whole: columns.noTrunc}
	pins := slices.ContainsFunc(rows, func(r engine.ListedImage) bool { return r.Pinned })
	if !columns.noHeading {
		t.head = []string{"REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "CREATED", "SIZE"}
		if columns.digests {
			t.head = []string{"REPOSITORY", "TAG", "DIGEST", "PLATFORM", "IMAGE ID", "CREATED", "SIZE"}
		}
		if pins {
			t.head = append(t.head, "PINNED")
		}
	}
	for _, r := range rows {
		cells := []string{r.Repository, r.Tag}
		if columns.digests {
			cells = append(cells, orDash(r.Digest.String()))
		}
		cells = append(cells, platformCell(r), imageID(r.ID, columns.noTrunc), since(r.Created), size(r.Size))
		switch {
		case r.Pinned:
			cells = append(cells, "by CRI-O")
		case pins:
			cells = append(cells, "-")
		}
		t.add(cells...)
	}
	return t.write(w)
}

func platformCell(r engine.ListedImage) string {
	cell := orDash(r.Platform)
	if r.Platform != "" && !r.Native {
		cell += " *"
	}
	if r.Schema1 {
		cell += " (schema 1)"
	}
	return cell
}

func printIDs(w io.Writer, rows []engine.ListedImage, noTrunc bool) error {
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		id := r.ID[:min(12, len(r.ID))]
		if noTrunc {
			id = "sha256:" + r.ID
		}
		if _, err := fmt.Fprintln(w, id); err != nil {
			return err
		}
	}
	return nil
}

// templateRow is what a template sees: the fields of an image, shaped for
// people where the name says so.
type templateRow struct {
	engine.ListedImage
	ID           string
	Size         string
	CreatedSince string
	CreatedAt    string
	CreatedTime  string
}

func templateRows(rows []engine.ListedImage, noTrunc bool) []templateRow {
	out := make([]templateRow, len(rows))
	for i, r := range rows {
		out[i] = templateRow{
			ListedImage: r, ID: imageID(r.ID, noTrunc), Size: size(r.Size), CreatedSince: since(r.Created),
			CreatedAt: r.Created.Format(time.RFC3339), CreatedTime: r.Created.Format(time.RFC3339),
		}
	}
	return out
}

func imageID(id string, noTrunc bool) string {
	if noTrunc {
		return id
	}
	return id[:min(12, len(id))]
}

func since(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return units.HumanDuration(time.Since(t)) + " ago"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
