//go:build linux

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/userfile"
	"github.com/mpull/mpull/gc"
)

func (p *program) pruneCommand() *cli.Command {
	return &cli.Command{
		Name:      "prune",
		Usage:     "remove dangling images: shows the plan, asks, gives the bytes back",
		UsageText: "prune [flags]",
		Description: `Lists the images that nothing needs any more (no name, no image built on them, in
no manifest list, used by no container of any tool, not mounted), the name each
had, and the bytes that the disk gets back; asks; and removes exactly those. Where
nobody can be asked it does nothing without --force. What interrupted pulls left
is listed and removed too, once it is a day old; with --leftovers also the layers
that they have kept in part, at any age: the next pull fetches those whole.

Filters (--filter KEY=VALUE or KEY!=VALUE, may be repeated) are those of mpull
images. until= an age (12h, 30d) or a time counts from when the image was
displaced, else from when it was pulled, never from its build. reference= looks at
the names that an image has, was= at those that it lost.

What --protect names stays, and so does what CRI-O's configuration pins
(pinned_images, pause_image). Beside CRI-O, --all spares what was pulled in the
last ten minutes, as its container may not be there yet; --min-age or a filter
until= says otherwise. --when-used and --until-used are kubelet's thresholds: begin
when the disk is that full, end when it is down to that. Where the containers that
use the images are recorded in another store, --all is refused.

Examples:
  mpull prune
  mpull prune --dry-run
  mpull prune --all --filter until=168h --keep 1 --force
  mpull prune --free 10GB
  mpull prune --all --filter until=168h --when-used 85% --until-used 80% --force
  mpull prune --all --filter until=168h --protect 'registry.local/base/*'
  mpull prune --dry-run --format json > plan; mpull prune --apply plan --force

Exit codes: 0 done, or nothing to do; 1 the answer was no, or --free or --until-used
was not reached; 125 failed, the store is read-only or contradicts itself (mpull
doctor), or it changed since the plan of --apply was made.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "also images with names that no container uses"},
			&cli.StringSliceFlag{Name: "filter", Usage: "only images with `KEY=VALUE`; may be repeated"},
			&cli.IntFlag{Name: "keep", Usage: "keep the newest `N` images of each former name and platform"},
			&cli.StringFlag{Name: "free", Usage: "stop when `SIZE` comes free, such as 10GB; the longest displaced go first"},
			&cli.BoolFlag{Name: "leftovers", Usage: "also what interrupted pulls of mpull kept less than a day ago"},
			&cli.StringFlag{Name: "when-used", Usage: "remove nothing unless `PERCENT` of the store's disk is used, such as 85%"},
			&cli.StringFlag{Name: "until-used", Usage: "stop when no more than `PERCENT` of the store's disk is used; the longest displaced or pulled go first"},
			&cli.StringFlag{Name: "min-age", Usage: "spare what was pulled less than `DURATION` ago: what never had a name (default: 10m), and with --all whatever no container uses (default: 10m beside CRI-O, else 0)"},
			&cli.StringSliceFlag{Name: "protect", Usage: "keep what `REFERENCE` names: a name or a pattern as of the filter reference, a digest, an ID; may be repeated"},
			&cli.StringSliceFlag{Name: "protect-file", Usage: "keep what `FILE` names: one reference a line, or a lock file (mpull lock); may be repeated"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "show the plan and why all else stays; remove nothing"},
			&cli.StringFlag{Name: "apply", Usage: "remove exactly what `FILE` says, a plan printed by --dry-run --format json; - is standard input"},
			&cli.StringFlag{Name: "format", Usage: "print `FORMAT`: json"},
			progressFlag(),
			&cli.BoolFlag{Name: "force", Aliases: []string{"f", "yes", "y"}, Usage: "do not ask"},
		},
		Action: p.prune,
	}
}

func (p *program) prune(c *cli.Context) error {
	if err := exactly(c, 0, 0, "prune [flags]"); err != nil {
		return err
	}
	asJSON := c.String("format") == "json"
	if f := c.String("format"); f != "" && !asJSON {
		return usagef("unknown --format %q: use json", f)
	}
	if _, err := p.progress(c); err != nil {
		return err
	}
	options, err := pruneOptions(c)
	if err != nil {
		return err
	}
	p.stopDeadRuns(c.Context)
	e := p.engine(p.tellMoves)
	if !c.Bool("dry-run") {
		e.MakeWhole()
		if err := e.SweepRuns(c.Context); err != nil {
			return err
		}
	}
	plan, err := p.planFor(c, e, options)
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return errors.Join(p.dryRun(plan, asJSON), p.reached(c, plan, plan.Bytes))
	}
	if p.events != nil {
		p.events.plan(plan)
	}
	if plan.Empty() {
		if p.events == nil {
			p.line("Nothing to prune%s.", whyNothing(plan, cmp.Or(max(options.MinAge, 0), gc.DefaultMinAge)))
		}
		if asJSON {
			if err := printJSON(p.out, &gc.Result{Outcomes: []gc.Outcome{}}); err != nil {
				return err
			}
		}
		return p.reached(c, plan, 0)
	}
	if p.events == nil {
		if err := p.showPlan(p.err, plan); err != nil {
			return err
		}
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
	if err := errors.Join(p.showResult(result, asJSON), err); err != nil {
		return err
	}
	return p.reached(c, plan, result.Reclaimed)
}

// reached says so when less came free than --free or --until-used asked for: how much did, and
// what --all would give.
func (p *program) reached(c *cli.Context, plan *gc.Plan, freed int64) error {
	if freed >= plan.Free {
		return nil
	}
	more := "nothing more can go"
	if plan.WithAll > plan.Bytes {
		more = "mpull prune --all would give " + size(plan.WithAll)
	}
	asked := "--free"
	if c.IsSet("until-used") {
		asked = "--until-used " + c.String("until-used")
	}
	text := fmt.Sprintf("%s of the %s that %s asks for: %s", size(freed), size(plan.Free), asked, more)
	if p.events != nil {
		p.events.write("note", noteBody{text})
	} else {
		p.line("%s", text)
	}
	return &codeError{exitNo}
}

// planFor makes the plan, or reads the one to apply.
func (p *program) planFor(c *cli.Context, e *engine.Engine, o engine.PruneOptions) (*gc.Plan, error) {
	path := c.String("apply")
	if path == "" {
		return e.PlanPrune(c.Context, o)
	}
	plan, err := p.readPlan(c.Context, path)
	if err != nil {
		return nil, err
	}
	return plan, e.VerifyPlan(c.Context, plan)
}

// maxPlan bounds what is read of a plan: a thousand bytes for each of some
// hundred thousand images.
const maxPlan = 128 << 20

func (p *program) readPlan(ctx context.Context, path string) (*gc.Plan, error) {
	in := p.in
	if path != "-" {
		data, err := userfile.Read(ctx, path, maxPlan)
		if err != nil {
			return nil, fmt.Errorf("reading the plan: %w", err)
		}
		in = bytes.NewReader(data)
	}
	plan, err := gc.ReadPlan(in)
	if err != nil {
		return nil, fmt.Errorf("reading the plan %s: %w", path, err)
	}
	return plan, nil
}

// dryRun prints the plan as data: what goes, and why each other image stays.
func (p *program) dryRun(plan *gc.Plan, asJSON bool) error {
	if asJSON {
		return printJSON(p.out, plan)
	}
	if plan.Empty() {
		fmt.Fprintln(p.out, "Nothing would be removed.")
	} else if err := p.showPlan(p.out, plan); err != nil {
		return err
	}
	staying := plan.Images[len(plan.Removals()):]
	if len(staying) == 0 {
		return nil
	}
	fmt.Fprintln(p.out, "\nStaying:")
	t := &table{head: []string{"IMAGE ID", "NAME", "PLATFORM", "WHY"}}
	for i := range staying {
		d := &staying[i]
		name := d.Was
		if len(d.Names) > 0 {
			name = d.Names[0]
		}
		t.add(imageID(d.ID, false), orDash(name), orDash(d.Platform), whyStays(d))
	}
	return t.write(p.out)
}

// showPlan lists what would go.
func (p *program) showPlan(w io.Writer, plan *gc.Plan) error {
	lost := plan.LostNames()
	head := []string{"IMAGE ID", "WAS", "PLATFORM", "SINCE", "FREES"}
	if len(lost) > 0 {
		head[1] = "LOSES"
	}
	t := &table{head: head, whole: len(lost) > 0} // a name that is lost is shown in full
	items := 0
	for _, d := range plan.Removals() {
		items++
		names := d.Names
		if len(names) == 0 {
			names = []string{orDash(d.Was)}
			if len(lost) > 0 && d.Was != "" {
				names[0] = "(was " + d.Was + ")"
			}
		}
		t.add(imageID(d.ID, false), names[0], orDash(d.Platform), since(d.Since), size(d.Bytes))
		for _, name := range names[1:] {
			t.add("", name)
		}
	}
	for _, l := range plan.Leftovers {
		if l.Goes {
			items++
			t.add(imageID(lastPart(l.ID), false), "("+leftoverWord(l.Kind)+" of an interrupted pull)", "-", since(l.Since), size(l.Bytes))
		}
	}
	if err := t.write(w); err != nil {
		return err
	}
	if len(lost) > 0 {
		fmt.Fprintf(w, "%s lost: %s\n", plural(len(lost), "name"), escape(strings.Join(lost, ", ")))
	}
	_, err := fmt.Fprintf(w, "%s, %s come free\n", plural(items, "item"), size(plan.Bytes))
	return err
}

func leftoverWord(kind gc.LeftoverKind) string {
	if kind == gc.LeftoverDownload {
		return "download"
	}
	return "layer"
}

// showResult prints the ID of each image removed, and on the error stream the
// bytes and what was left out.
func (p *program) showResult(result *gc.Result, asJSON bool) error {
	if p.events != nil {
		p.events.pruned(result)
	}
	if asJSON {
		return errors.Join(printJSON(p.out, result), result.Err())
	}
	for i := range result.Outcomes {
		o := &result.Outcomes[i]
		switch {
		case o.Status == gc.Skipped && p.events == nil:
			p.line("%s stays: it changed meanwhile (%s)", imageID(o.ID, false), o.Reason)
		case o.Kind == "image" && o.Status != gc.Failed:
			if _, err := fmt.Fprintln(p.out, o.ID); err != nil {
				return err
			}
		}
	}
	if p.events == nil {
		p.line("Reclaimed %s", size(result.Reclaimed))
	}
	return result.Err()
}

// agree asks on the terminal. Without one, nothing is assumed.
func (p *program) agree(question string) error {
	if !p.inTerminal || !p.errTerminal || p.events != nil {
		return instead("--force removes what the list above shows", "there is no terminal to ask on")
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
