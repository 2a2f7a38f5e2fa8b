//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/gc"
)

type dfOptions struct {
	verbose bool
	format  string
}

func (p *program) dfCommand() *cli.Command {
	var o dfOptions
	return &cli.Command{
		Name:      "df",
		Usage:     "show where the bytes of the store are",
		UsageText: "df [flags]",
		Description: `Shows what images, containers and leftovers take on disk. Each layer counts once;
the parts add up to the total, which is what the disk holds (as du counts it).

--verbose lists each image: SHARED is what its layers take that other images use
too, OWN what goes when only this image goes; GOES WITH says which prune removes
it. Below is what interrupted work left, by name, and what a prune frees.

Examples:
  mpull df
  mpull df --verbose
  mpull df --format json

Exit codes: 0 done; 125 failed.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "print json, or by a Go `TEMPLATE`", Destination: &o.format},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "also each image, each leftover, and what a prune would free", Destination: &o.verbose},
		},
		Action: action(0, 0, func(ctx context.Context, _ []string) error { return p.df(ctx, o) }),
	}
}

func (p *program) df(ctx context.Context, o dfOptions) error {
	if o.verbose {
		return p.dfVerbose(ctx, o)
	}
	if err := checkFormat[gc.Totals](o.format); err != nil {
		return err
	}
	totals, err := p.engine(nil).Totals(ctx)
	if err != nil {
		return err
	}
	return showOne(p.out, o.format, totals, func() { p.printTotals(totals) })
}

func (p *program) dfVerbose(ctx context.Context, o dfOptions) error {
	if err := checkFormat[engine.DiskUse](o.format); err != nil {
		return err
	}
	use, err := p.engine(nil).DiskUse(ctx)
	if err != nil {
		return err
	}
	return showOne(p.out, o.format, use, func() { p.printUse(use) })
}

// dfBar is how wide the bar of the largest part of a store is.
const dfBar = 20

func (p *program) printTotals(t gc.Totals) {
	rows := &table{head: []string{"WHAT", "SIZE", "OF"}}
	if p.width > 0 {
		rows.head = append(rows.head, "")
	}
	add := func(what string, bytes int64, of string) {
		cells := []string{what, size(bytes), of}
		if p.width > 0 {
			cells = append(cells, dfPart(bytes, t.Total))
		}
		rows.add(cells...)
	}
	add("layers of one image", t.UniqueLayers, plural(t.Layers, "layer"))
	add("layers that images share", t.SharedLayers, "")
	add("manifests, configs, records", t.ImageData, plural(t.Images, "image"))
	add("containers", t.ContainerLayers+t.ContainerData, plural(t.Containers, "container"))
	add("leftovers of interrupted work", t.Leftovers, "")
	add("the store's own files", t.Other, "")
	add("total", t.Total, "")
	rows.write(p.out)
}

// dfPart draws a part of a whole: with eighths of a block what is smaller than
// one.
func dfPart(bytes, total int64) string {
	if bytes <= 0 || total <= 0 || bytes == total {
		return ""
	}
	eighths := max(1, int(float64(bytes)/float64(total)*dfBar*8))
	bar := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		bar += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return fmt.Sprintf("%-*s %3.0f%%", dfBar, bar, float64(bytes)/float64(total)*100)
}

// printUse lists what each image takes, and what interrupted work left.
func (p *program) printUse(use engine.DiskUse) {
	p.printTotals(use.Totals)
	images := &table{head: []string{"IMAGE ID", "NAME", "PLATFORM", "SHARED", "OWN", "GOES WITH"}}
	for _, u := range use.PerImage {
		name := "(was " + u.Was + ")"
		switch {
		case len(u.Names) > 0:
			name = shortName(u.Names[0])
		case u.Was == "":
			name = "-"
		}
		goes := "-"
		switch {
		case u.Prune:
			goes = "prune"
		case u.PruneAll:
			goes = "prune --all"
		}
		images.add(imageID(u.ID, false), name, orDash(u.Platform), size(u.Shared), size(u.Own), goes)
	}
	left := &table{head: []string{"LEFT BEHIND", "NAME", "SINCE", "SIZE", "GOES WITH"}}
	for _, u := range use.LeftoversList {
		what, goes := "a layer", "prune, once it is a day old"
		switch {
		case u.Partial:
			what, goes = "part of a layer", "prune --leftovers"
		case u.Kind == gc.LeftoverDownload:
			what, goes = "a download", "prune --leftovers"
		}
		if u.Goes {
			goes = "prune"
		}
		left.add(what, imageID(strings.TrimPrefix(lastPart(u.ID), "sha256-"), false), since(u.Since), size(u.Bytes), goes)
	}
	for _, t := range []*table{images, left} {
		if len(t.rows) > 0 {
			fmt.Fprintln(p.out)
			t.write(p.out)
		}
	}
	p.printFreed(use)
}

// printFreed says what a prune would give back.
func (p *program) printFreed(use engine.DiskUse) {
	var parts []string
	if use.Prune != nil {
		parts = append(parts, fmt.Sprintf("mpull prune frees %s", size(*use.Prune)))
	}
	if use.PruneAll != nil {
		parts = append(parts, fmt.Sprintf("mpull prune --all %s", size(*use.PruneAll)))
	}
	if len(parts) > 0 {
		fmt.Fprintf(p.out, "\n%s\n", strings.Join(parts, ", "))
	}
	if use.Problem != "" {
		p.line("No prune can be planned: %s", oneLine(use.Problem))
	}
}
