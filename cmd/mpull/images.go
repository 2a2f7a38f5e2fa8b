//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

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
Dangling Displaced ReadOnly Labels Digests History Schema1 Pinned PinnedBy, and
podman's Id ParentId RepoTags RepoDigests CreatedAt Containers Arch Os
IsManifestList; in a template also CreatedSince and CreatedTime. A template that
begins with table prints columns with a heading; --format json has each image once,
with all its names.
Pinned is by CRI-O's configuration, and has a column where an image is.

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
		Subcommands: []*cli.Command{list, p.imageInspectCommand(), p.imageInfoCommand(), p.imageExistsCommand()}}
}

// imageExistsCommand is podman's question of scripts.
func (p *program) imageExistsCommand() *cli.Command {
	return &cli.Command{
		Name: "exists", Usage: "tell by the exit code whether an image is in local storage", UsageText: "image exists IMAGE",
		Description: `Prints nothing.

Examples:
  mpull image exists alpine:3.15 || mpull alpine:3.15
  mpull image exists docker.io/library/alpine:3.15 && echo here

Exit codes: 0 it is here; 1 it is not; 125 failed.`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, 1, "image exists IMAGE"); err != nil {
				return err
			}
			here, err := p.readEngine().Exists(c.Context, c.Args().First())
			if err == nil && !here {
				err = &codeError{exitNo}
			}
			return err
		},
	}
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
	format := c.String("format")
	if c.Bool("tree") {
		return p.imageTree(c, o, columns)
	}
	if err := checkFormat[templateRow](format); err != nil {
		return err
	}
	if _, err := query.ParseSort(o.Sort); err != nil {
		return usagef("%v", err)
	}
	rows, err := p.engine(nil).Images(c.Context, o)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("quiet"):
		return printIDs(p.out, rows, columns.noTrunc)
	case isJSON(format):
		return printJSON(p.out, onePerImage(rows))
	case format != "":
		return printLayout(p.out, format, templateRows(rows, columns.noTrunc), !columns.noHeading)
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
	if f := c.String("format"); f != "" && !isJSON(f) {
		return usagef("--tree prints text or --format json")
	}
	tree, err := p.engine(nil).Tree(c.Context, o)
	if err != nil {
		return err
	}
	if c.String("format") != "" {
		return printJSON(p.out, tree)
	}
	return printTree(p.out, tree, columns)
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
		cells = append(cells, platformCell(r), imageID(r.ID, columns.noTrunc), since(r.CreatedAt), size(r.Size))
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
	for _, r := range onePerImage(rows) {
		if _, err := fmt.Fprintln(w, imageID(r.ID, noTrunc)); err != nil {
			return err
		}
	}
	return nil
}

// onePerImage leaves the first row of each image: each has all the names, which
// would grow with the square of them.
func onePerImage(rows []engine.ListedImage) []engine.ListedImage {
	seen, first := map[string]bool{}, []engine.ListedImage{}
	for i := range rows {
		if !seen[rows[i].ID] {
			seen[rows[i].ID] = true
			first = append(first, rows[i])
		}
	}
	return first
}

// templateRow is what a template sees: the fields of an image, shaped for
// people where podman does so.
type templateRow struct {
	engine.ListedImage
	ID           string
	Size         string
	Created      string
	CreatedSince string
	CreatedAt    string
	CreatedTime  string
	History      string
}

func templateRows(rows []engine.ListedImage, noTrunc bool) []templateRow {
	out := make([]templateRow, len(rows))
	for i, r := range rows {
		at := r.CreatedAt.String()
		out[i] = templateRow{
			ListedImage: r, ID: imageID(r.ID, noTrunc), Size: spacedSize(r.Size), Created: since(r.CreatedAt), CreatedSince: since(r.CreatedAt),
			CreatedAt: at, CreatedTime: at, History: strings.Join(r.History, ", "),
		}
	}
	return out
}

// spacedSize is a size in podman's form.
func spacedSize(n int64) string {
	text := size(n)
	unit := strings.LastIndexFunc(text, unicode.IsNumber) + 1
	return text[:unit] + " " + text[unit:]
}

// imageID is an ID for people; whole ones say what they are, as in podman.
func imageID(id string, noTrunc bool) string {
	if noTrunc {
		return "sha256:" + id
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
