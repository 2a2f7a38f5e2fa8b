//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/store"
)

type doctorOptions struct{ repair, force bool }

func (p *program) doctorCommand() *cli.Command {
	var o doctorOptions
	return &cli.Command{
		Name:      "doctor",
		Usage:     "check the store for damage",
		UsageText: "doctor [flags]",
		Description: `Reads the whole store and prints a line for each layer, image or container that is
damaged, for each of the store's lists that cannot be read or contradicts what lies
there, and for each directory that no list names. What interrupted work left, and
images in Docker's old schema 1 format, have lines too, and harm nothing. What this
machine could not read is not called damaged.

Without --repair it changes nothing. --repair asks, and then removes the damaged
images and layers and the leftovers that were shown, and nothing else: the next
pull brings the images back whole. Containers stay, and so do the store's lists and
whatever is mounted or used by a container.

Examples:
  mpull doctor
  mpull doctor --repair
  mpull doctor --repair --force

Exit codes: 0 nothing is damaged (any more); 1 something is, or the answer was
no; 2 what is damaged is in use; 125 failed, or something could not be read.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "repair", Usage: "remove damaged images and layers, and leftovers", Destination: &o.repair},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "do not ask", Destination: &o.force},
		},
		Action: action(0, 0, func(ctx context.Context, _ []string) error { return p.doctor(ctx, o) }),
	}
}

func (p *program) doctor(ctx context.Context, o doctorOptions) error {
	e := p.engine(nil)
	if o.repair {
		e.MakeWhole()
	}
	found, err := e.Doctor(ctx)
	for _, d := range found {
		p.showDamage(stateOf(&d), &d)
	}
	if err != nil {
		return err
	}
	repairable := slices.ContainsFunc(found, func(d store.Damage) bool { return d.Removable })
	if !o.repair || !repairable {
		return p.verdict(found)
	}
	if !o.force {
		if err := p.agree("Remove what is damaged, and the leftovers?"); err != nil {
			return err
		}
	}
	left, err := e.Repair(ctx, found)
	for _, d := range found {
		if d.Removable && !isDamaged(left, d) {
			p.showDamage("removed", &d)
		}
	}
	if err != nil {
		return err
	}
	return p.verdict(left)
}

// verdict is the exit code for what is found.
func (p *program) verdict(found []store.Damage) error {
	unread := 0
	for _, d := range found {
		switch stateOf(&d) {
		case "damaged":
			return &codeError{exitNo}
		case "unread":
			unread++
		}
	}
	if unread > 0 {
		return fmt.Errorf("%s could not be read: that is this machine's error, and says nothing about the store", plural(unread, "object"))
	}
	p.line("Nothing is damaged.")
	return nil
}

func stateOf(d *store.Damage) string {
	switch {
	case d.Kind == store.Leftover:
		return "leftover"
	case d.Kind == store.Note:
		return "note"
	case d.Unproven:
		return "unread"
	}
	return "damaged"
}

func isDamaged(all []store.Damage, d store.Damage) bool {
	return slices.ContainsFunc(all, func(o store.Damage) bool { return o.Kind == d.Kind && o.ID == d.ID })
}

// showDamage prints one object, and to people what to do about it.
func (p *program) showDamage(state string, d *store.Damage) {
	what := string(d.Kind) + " "
	switch d.Kind {
	case store.Leftover:
		what = ""
	case store.Note:
		what = "image "
	}
	names := ""
	if len(d.Names) > 0 {
		names = " (" + strings.Join(d.Names, ", ") + ")"
	}
	fmt.Fprintf(p.out, "%s %s%s%s: %s\n", state, what, escape(d.ID), escape(names), oneLine(strings.Join(d.Problems, "\n")))
	switch {
	case d.Kind == store.DamagedFile:
		p.line("  put that file back from a copy, or move it away with the loss of all that it lists; until then nothing is removed")
	case d.Kind == store.Unlisted && !d.Removable:
		p.line("  put the list back from a copy, or move that directory away; until then nothing is pruned")
	case d.Kind == store.Unlisted && state != "removed":
		p.line("  if you were removing it, mpull doctor --repair ends that; else put the list back from a copy first")
	case state == "removed" && len(d.Names) > 0:
		p.line("  bring it back:  mpull pull %s", escape(d.Names[0]))
	}
}
