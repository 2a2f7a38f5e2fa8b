//go:build linux

package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/store/query"
)

type imagesOptions struct {
	all, dangling, tree                bool
	quiet, noTrunc, digests, noHeading bool
	filters                            []string
	sort, format                       string
}

func (p *program) imagesCommand() *cli.Command {
	var o imagesOptions
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
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "also intermediate images of builds", Destination: &o.all},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print image IDs only", Destination: &o.quiet},
			&cli.BoolFlag{Name: "no-trunc", Usage: "print full IDs", Destination: &o.noTrunc},
			&cli.BoolFlag{Name: "digests", Usage: "show manifest digests", Destination: &o.digests},
			&cli.StringSliceFlag{Name: "filter", Aliases: []string{"f"}, Usage: "only images with `KEY=VALUE`; may be repeated", Action: into(&o.filters)},
			&cli.StringFlag{Name: "sort", Usage: "order by `FIELD`: created, id, repository, size or tag", Value: "created", Destination: &o.sort},
			&cli.StringFlag{Name: "format", Usage: "print json, or each image by a Go `TEMPLATE`", Destination: &o.format},
			&cli.BoolFlag{Name: "dangling", Usage: "only images that lost their names: what each was, when it was displaced, by which image", Destination: &o.dangling},
			&cli.BoolFlag{Name: "tree", Usage: "for each name, the platforms that are here, which one has the name and which dangle", Destination: &o.tree},
			&cli.BoolFlag{Name: "noheading", Aliases: []string{"no-heading", "n"}, Usage: "print no heading", Destination: &o.noHeading},
		},
		Action: action(0, -1, func(ctx context.Context, names []string) error { return p.images(ctx, o, names) }),
	}
}

func (p *program) images(ctx context.Context, o imagesOptions, names []string) error {
	if o.dangling {
		o.filters = append(o.filters, "dangling=true")
	}
	filters, err := parseFilters(o.filters)
	if err != nil {
		return err
	}
	list := engine.ListOptions{All: o.all, Sort: o.sort, Names: names, Brief: o.quiet, Filters: filters}
	if o.tree {
		return p.imageTree(ctx, o, list)
	}
	if err := checkFormat[templateRow](o.format); err != nil {
		return err
	}
	if _, err := query.ParseSort(o.sort); err != nil {
		return usagef("%v", err)
	}
	list.Table = o.format == ""
	defer runtime.KeepAlive(make([]byte, listBallast))
	rows, err := p.engine(nil).Images(ctx, list)
	if err != nil {
		return err
	}
	switch {
	case o.quiet:
		for _, r := range onePerImage(rows) {
			fmt.Fprintln(p.out, imageID(r.ID, o.noTrunc))
		}
	case isJSON(o.format):
		return printJSON(p.out, onePerImage(rows))
	case o.format != "":
		return printTemplate(p.out, o.format, templateRows(rows, o.noTrunc), !o.noHeading)
	case o.dangling:
		printDangling(p.out, rows, o)
	default:
		printImages(p.out, rows, o)
	}
	return nil
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

// imageTree is images --tree.
func (p *program) imageTree(ctx context.Context, o imagesOptions, list engine.ListOptions) error {
	if o.format != "" && !isJSON(o.format) {
		return usagef("--tree prints text or --format json")
	}
	tree, err := p.engine(nil).Tree(ctx, list)
	if err != nil {
		return err
	}
	return show(p.out, o.format, tree, tree, func() { printTree(p.out, tree, o) })
}
