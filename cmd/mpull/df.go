//go:build linux

package main

import (
	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/gc"
)

func (p *program) dfCommand() *cli.Command {
	return &cli.Command{
		Name:      "df",
		Usage:     "show where the bytes of the store are",
		UsageText: "df [--format json|TEMPLATE]",
		Description: `Shows what images, containers and leftovers take on disk. Each layer counts once;
the parts add up to the total, which is what the disk holds (as du counts it).

Examples:
  mpull df
  mpull df --format json

Exit codes: 0 done; 125 failed.`,
		Flags: []cli.Flag{&cli.StringFlag{Name: "format", Usage: "print json, or by a Go `TEMPLATE`"}},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, 0, "df [--format json|TEMPLATE]"); err != nil {
				return err
			}
			format := c.String("format")
			if err := checkFormat[gc.Totals](format); err != nil {
				return err
			}
			totals, err := p.engine(nil).Totals(c.Context)
			if err != nil {
				return err
			}
			switch {
			case isJSON(format):
				return printJSON(p.out, totals)
			case format != "":
				return printTemplate(p.out, format, []gc.Totals{totals})
			}
			return p.printTotals(totals)
		},
	}
}

func (p *program) printTotals(t gc.Totals) error {
	rows := &table{head: []string{"WHAT", "SIZE", "OF"}}
	rows.add("layers of one image", size(t.UniqueLayers), plural(t.Layers, "layer"))
	rows.add("layers that images share", size(t.SharedLayers), "")
	rows.add("manifests, configs, records", size(t.ImageData), plural(t.Images, "image"))
	rows.add("containers", size(t.ContainerLayers+t.ContainerData), plural(t.Containers, "container"))
	rows.add("leftovers of interrupted work", size(t.Leftovers), "")
	rows.add("the store's own files", size(t.Other), "")
	rows.add("total", size(t.Total), "")
	return rows.write(p.out)
}
