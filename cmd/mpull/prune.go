package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/gc"
)

func (p *program) pruneCommand() *cli.Command {
	return &cli.Command{
		Name:      "prune",
		Usage:     "remove dangling images: shows the plan, asks, gives the bytes back",
		UsageText: "prune [flags]",
		Description: `Lists the images that nothing needs any more (no name, no image built on them, in
no manifest list, used by no container of any tool), the name each had, and the
bytes that the disk gets back; asks; and removes exactly those. Where nobody can
be asked it does nothing without --force.

Examples:
  mpull prune
  mpull prune --force

Exit codes: 0 done, or nothing to do; 1 the answer was no; 125 failed.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "do not ask"},
		},
		Action: p.prune,
	}
}

func (p *program) prune(c *cli.Context) error {
	if err := exactly(c, 0, 0, "prune [flags]"); err != nil {
		return err
	}
	e := p.engine(nil)
	plan, err := e.PlanPrune(c.Context, gc.Policy{})
	if err != nil {
		return err
	}
	if plan.Empty() {
		p.line("Nothing to prune.")
		return nil
	}
	if err := p.showPlan(plan); err != nil {
		return err
	}
	if !c.Bool("force") {
		if err := p.agree("Remove them?"); err != nil {
			return err
		}
	}
	result, err := e.Prune(c.Context, plan)
	if result == nil {
		return err
	}
	return errors.Join(p.showResult(result), err)
}

// showPlan lists what would go.
func (p *program) showPlan(plan *gc.Plan) error {
	t := &table{head: []string{"IMAGE ID", "WAS", "PLATFORM", "FREES"}}
	for _, d := range plan.Removals() {
		t.add(imageID(d.ID, false), orDash(d.Was), orDash(d.Platform), size(d.Bytes))
	}
	for _, l := range plan.Leftovers {
		if l.Goes {
			t.add(imageID(lastPart(l.ID), false), "(left by an interrupted pull)", "-", size(l.Bytes))
		}
	}
	if err := t.write(p.err); err != nil {
		return err
	}
	p.line("%s, %s come free", plural(len(t.rows), "item"), size(plan.Bytes))
	return nil
}

// showResult prints the ID of each image removed, and on the error stream the
// bytes and what was left out.
func (p *program) showResult(result *gc.Result) error {
	for i := range result.Outcomes {
		o := &result.Outcomes[i]
		switch {
		case o.Status == gc.Skipped:
			p.line("%s stays: it changed meanwhile (%s)", imageID(o.ID, false), o.Reason)
		case o.Kind == "image" && o.Status != gc.Failed:
			if _, err := fmt.Fprintln(p.out, o.ID); err != nil {
				return err
			}
		}
	}
	p.line("Reclaimed %s", size(result.Reclaimed))
	return result.Err()
}

// agree asks on the terminal. Without one, nothing is assumed.
func (p *program) agree(question string) error {
	if !p.inTerminal || !p.errTerminal {
		return usagef("there is no terminal to ask on: use --force to remove what the list above shows")
	}
	fmt.Fprintf(p.err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(p.in).ReadString('\n')
	if err != nil && answer == "" {
		return fmt.Errorf("reading the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	p.line("Nothing was removed.")
	return &codeError{exitNo}
}

// lastPart returns what follows the last slash of a path.
func lastPart(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }
