package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/store"
)

func (p *program) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "check the store for damage",
		UsageText: "doctor [flags]",
		Description: `Reads the whole store and prints a line for each damaged object: files of the
store that cannot be read, layers, images, containers. It changes nothing. With
--repair, damaged images and layers are removed, and nothing else, so that the
next pull brings them back whole; containers and the store's own files are never
touched.

Examples:
  mpull doctor
  mpull doctor --repair

Exit codes: 0 nothing is damaged (any more); 1 something is; 125 failed.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "repair", Usage: "remove damaged images and layers"},
		},
		Action: p.doctor,
	}
}

func (p *program) doctor(c *cli.Context) error {
	if err := exactly(c, 0, 0, "doctor [flags]"); err != nil {
		return err
	}
	d, err := p.engine(nil).Doctor(c.Context, c.Bool("repair"))
	for _, damage := range d.Damaged {
		if err := p.showDamage(damage, !isDamaged(d.Left, damage)); err != nil {
			return err
		}
	}
	switch {
	case err != nil:
		return err
	case len(d.Left) > 0:
		return &codeError{exitNo}
	case len(d.Damaged) == 0:
		p.line("Nothing is damaged.")
	}
	return nil
}

func isDamaged(all []store.Damage, d store.Damage) bool {
	return slices.ContainsFunc(all, func(o store.Damage) bool { return o.Kind == d.Kind && o.ID == d.ID })
}

// showDamage prints one damaged object, and to people what to do about it.
func (p *program) showDamage(d store.Damage, repaired bool) error {
	state := "damaged"
	if repaired {
		state = "removed"
	}
	names := ""
	if len(d.Names) > 0 {
		names = " (" + strings.Join(d.Names, ", ") + ")"
	}
	if _, err := fmt.Fprintf(p.out, "%s %s %s%s: %s\n", state, d.Kind, d.ID, escape(names), oneLine(strings.Join(d.Problems, "\n"))); err != nil {
		return err
	}
	switch {
	case d.Kind == store.DamagedFile:
		p.line("  no tool can open the store until that file is put back, or moved away with the loss of all that it lists")
	case repaired && len(d.Names) > 0:
		p.line("  bring it back:  mpull pull %s", escape(d.Names[0]))
	}
	return nil
}
