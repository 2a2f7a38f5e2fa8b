//go:build linux

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/userfile"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store/query"
)

type pruneOptions struct {
	all, leftovers                    bool
	filters, protect, protectFiles    []string
	keep                              *int
	free, whenUsed, untilUsed, minAge *string
	apply                             *string
	dryRun, force                     bool
	format                            string
}

func (p *program) pruneCommand() *cli.Command {
	var o pruneOptions
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
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "also images with names that no container uses", Destination: &o.all},
			&cli.StringSliceFlag{Name: "filter", Usage: "only images with `KEY=VALUE`; may be repeated", Action: into(&o.filters)},
			&cli.IntFlag{Name: "keep", Usage: "keep the newest `N` images of each former name and platform", Action: given(&o.keep)},
			&cli.StringFlag{Name: "free", Usage: "stop when `SIZE` comes free, such as 10GB; the longest displaced go first", Action: given(&o.free)},
			&cli.BoolFlag{Name: "leftovers", Usage: "also what interrupted pulls of mpull kept less than a day ago", Destination: &o.leftovers},
			&cli.StringFlag{Name: "when-used", Usage: "remove nothing unless `PERCENT` of the store's disk is used, such as 85%", Action: given(&o.whenUsed)},
			&cli.StringFlag{Name: "until-used", Usage: "stop when no more than `PERCENT` of the store's disk is used; the longest displaced or pulled go first", Action: given(&o.untilUsed)},
			&cli.StringFlag{Name: "min-age", Usage: "spare what was pulled less than `DURATION` ago: what never had a name (default: 10m), and with --all whatever no container uses (default: 10m beside CRI-O, else 0)", Action: given(&o.minAge)},
			&cli.StringSliceFlag{Name: "protect", Usage: "keep what `REFERENCE` names: a name or a pattern as of the filter reference, a digest, an ID; may be repeated", Action: into(&o.protect)},
			&cli.StringSliceFlag{Name: "protect-file", Usage: "keep what `FILE` names: one reference a line, or a lock file (mpull lock); may be repeated", Action: into(&o.protectFiles)},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "show the plan and why all else stays; remove nothing", Destination: &o.dryRun},
			&cli.StringFlag{Name: "apply", Usage: "remove exactly what `FILE` says, a plan printed by --dry-run --format json; - is standard input", Action: given(&o.apply)},
			&cli.StringFlag{Name: "format", Usage: "print `FORMAT`: json", Destination: &o.format},
			p.progressFlag(),
			&cli.BoolFlag{Name: "force", Aliases: []string{"f", "yes", "y"}, Usage: "do not ask", Destination: &o.force},
		},
		Action: action(0, 0, func(ctx context.Context, _ []string) error { return p.prune(ctx, o) }),
	}
}

func (p *program) prune(ctx context.Context, o pruneOptions) error {
	asJSON := o.format == "json"
	if o.format != "" && !asJSON {
		return usagef("unknown --format %q: use json", o.format)
	}
	policy, err := o.policy(ctx)
	if err != nil {
		return err
	}
	p.stopDeadRuns(ctx)
	e := p.engine(p.tellMoves)
	if !o.dryRun {
		e.MakeWhole()
		if err := e.SweepRuns(ctx); err != nil {
			return err
		}
	}
	plan, err := p.planFor(ctx, e, o.apply, policy)
	if err != nil {
		return err
	}
	if o.dryRun {
		return errors.Join(p.showDryRun(plan, asJSON), p.reached(o, plan, plan.Bytes))
	}
	if p.events != nil {
		p.events.plan(plan)
	}
	if plan.Empty() {
		if p.events == nil {
			p.line("Nothing to prune%s.", whyNothing(plan, cmp.Or(max(policy.MinAge, 0), gc.DefaultMinAge)))
		}
		if asJSON {
			if err := printJSON(p.out, &gc.Result{Outcomes: []gc.Outcome{}}); err != nil {
				return err
			}
		}
		return p.reached(o, plan, 0)
	}
	if p.events == nil {
		showPlan(p.err, plan)
	}
	if !o.force {
		if err := p.agree("Remove them?"); err != nil {
			return err
		}
	}
	result, err := e.Prune(ctx, plan)
	if result == nil {
		return err
	}
	if err := errors.Join(p.showResult(result, asJSON), err); err != nil {
		return err
	}
	return p.reached(o, plan, result.Reclaimed)
}

// reached says so when less came free than --free or --until-used asked for: how
// much did, and what --all would give.
func (p *program) reached(o pruneOptions, plan *gc.Plan, freed int64) error {
	if freed >= plan.Free {
		return nil
	}
	more := "nothing more can go"
	if plan.WithAll > plan.Bytes {
		more = "mpull prune --all would give " + size(plan.WithAll)
	}
	asked := "--free"
	if o.untilUsed != nil {
		asked = "--until-used " + *o.untilUsed
	}
	p.note(fmt.Sprintf("%s of the %s that %s asks for: %s", size(freed), size(plan.Free), asked, more))
	return &codeError{exitNo}
}

// planFor makes the plan, or reads the one that --apply names.
func (p *program) planFor(ctx context.Context, e *engine.Engine, apply *string, policy engine.PruneOptions) (*gc.Plan, error) {
	if apply == nil {
		return e.PlanPrune(ctx, policy)
	}
	plan, err := p.readPlan(ctx, *apply)
	if err != nil {
		return nil, err
	}
	return plan, e.VerifyPlan(ctx, plan)
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

// policy says what may go, for the engine.
func (o pruneOptions) policy(ctx context.Context) (policy engine.PruneOptions, err error) {
	if err := o.contradiction(); err != nil {
		return policy, err
	}
	policy.All, policy.AllDownloads = o.all, o.leftovers
	if policy.Filters, err = parseFilters(o.filters); err != nil {
		return policy, err
	}
	if o.free != nil {
		if policy.Free, err = query.ParseSize(*o.free); err != nil {
			return policy, usagef("--free: %v", err)
		}
	}
	if o.keep != nil {
		if policy.Keep = *o.keep; policy.Keep < 0 {
			return policy, usagef("--keep %d: the number must not be negative", policy.Keep)
		}
	}
	if policy.Disk.When, err = percent("--when-used", o.whenUsed); err != nil {
		return policy, err
	}
	if policy.Disk.Until, err = percent("--until-used", o.untilUsed); err != nil {
		return policy, err
	}
	if policy.Disk.When > 0 && policy.Disk.Until > policy.Disk.When {
		return policy, usagef("--until-used %d%% is more than --when-used %d%%: it is the lower of the two", policy.Disk.Until, policy.Disk.When)
	}
	if o.minAge != nil {
		age, ok := query.ParseAge(*o.minAge)
		if ok = ok || *o.minAge == "0"; !ok || age < 0 {
			return policy, usagef("--min-age %q: write an age such as 10m, 12h or 7d", *o.minAge)
		}
		policy.Young, policy.MinAge = &age, cmp.Or(age, -1) // -1: any age
	}
	policy.Protect, err = o.protected(ctx)
	return policy, err
}

// contradiction tells of flags that do not go together: --apply takes none of
// those that make a plan.
func (o pruneOptions) contradiction() error {
	making := []struct {
		flag string
		set  bool
	}{
		{"all", o.all}, {"filter", o.filters != nil}, {"keep", o.keep != nil}, {"free", o.free != nil}, {"leftovers", o.leftovers}, {"when-used", o.whenUsed != nil},
		{"until-used", o.untilUsed != nil}, {"min-age", o.minAge != nil}, {"protect", o.protect != nil}, {"protect-file", o.protectFiles != nil},
	}
	for _, f := range making {
		if o.apply != nil && f.set {
			return usagef("--apply removes what the plan says; --%s belongs to making one", f.flag)
		}
	}
	if o.apply != nil && *o.apply == "" {
		return usagef("--apply has an empty value; name the plan, or - for standard input")
	}
	if o.free != nil && (o.untilUsed != nil || o.whenUsed != nil) {
		return usagef("use either --free or --when-used and --until-used, not both")
	}
	return nil
}

// percent reads a threshold such as 85%, 0 where none is given.
func percent(flag string, text *string) (int, error) {
	if text == nil {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(*text, "%"))
	if err != nil || n < 1 || n > 100 {
		return 0, usagef("%s %q: write a percentage from 1%% to 100%%", flag, *text)
	}
	return n, nil
}

// protected reads what --protect and --protect-file name.
func (o pruneOptions) protected(ctx context.Context) ([]string, error) {
	all := o.protect
	for _, file := range o.protectFiles {
		more, err := protectFile(ctx, file)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	for _, reference := range all {
		if strings.TrimSpace(reference) == "" {
			return nil, usagef("--protect needs a reference: a name, a pattern, a digest or an ID")
		}
	}
	return all, nil
}

// protectFile reads references, one a line, # begins a comment; or a lock file,
// of which every digest counts, whatever the name stands for now.
func protectFile(ctx context.Context, file string) ([]string, error) {
	data, err := userfile.Read(ctx, file, maxLockFile)
	if err != nil {
		return nil, fmt.Errorf("reading what is protected: %w", err)
	}
	if strings.HasPrefix(strings.TrimSpace(string(data)), "{") {
		lock, err := engine.ParseLock(data)
		if err != nil {
			return nil, fmt.Errorf("reading the lock file %s: %w", file, err)
		}
		return lock.References(), nil
	}
	var all []string
	for line := range strings.Lines(string(data)) {
		text, _, _ := strings.Cut(line, "#")
		if text = strings.TrimSpace(text); text != "" {
			all = append(all, text)
		}
	}
	return all, nil
}
