//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mpull/mpull/gc"
)

// showDryRun prints the plan as data: what goes, and why each other image stays.
func (p *program) showDryRun(plan *gc.Plan, asJSON bool) error {
	if asJSON {
		return printJSON(p.out, plan)
	}
	if plan.Empty() {
		fmt.Fprintln(p.out, "Nothing would be removed.")
	} else if err := showPlan(p.out, plan); err != nil {
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
func showPlan(w io.Writer, plan *gc.Plan) error {
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

// whyStays says in words what keeps an image.
func whyStays(d *gc.Decision) string {
	by := d.ByName
	if by == "" {
		by = imageID(d.By, false)
	}
	switch d.Reason {
	case gc.UsedByContainer:
		return "used by container " + by
	case gc.Mounted:
		return "mounted"
	case gc.Parent:
		return "parent of " + by
	case gc.ListMember:
		return "in manifest list " + by
	case gc.Named:
		return "it has a name"
	case gc.Pinned:
		return "kept by a digest name"
	case gc.TooYoung:
		return "too young: it may be part of another tool's work"
	case gc.ReadOnly:
		return "in a read-only image store"
	case gc.PinnedByCRIO:
		return "pinned by CRI-O (" + d.By + ")"
	case gc.Protected:
		return "protected (" + d.By + ")"
	case gc.KeptByCount:
		return "among the newest of its name and platform"
	case gc.FilteredOut:
		return "not matched by " + d.By
	case gc.TargetReached:
		return "enough comes free without it"
	}
	return string(d.Reason)
}

// whyNothing says why nothing is planned: what of the images without a name
// stays, for which reasons, and the flag that takes them.
func whyNothing(plan *gc.Plan, minAge time.Duration) string {
	reasons, count, young := map[string]int{}, 0, 0
	var last time.Time
	for i := range plan.Images {
		d := &plan.Images[i]
		switch {
		case d.Reason == gc.TargetReached:
			return ": the disk is not that full"
		case d.Reason == gc.TooYoung:
			young++
			if d.Since.After(last) {
				last = d.Since
			}
		case len(d.Names) > 0:
			continue
		}
		count++
		reasons[whyStaysShort(d)]++
	}
	switch {
	case count == 0:
		return ""
	case count == young && !last.IsZero():
		return fmt.Sprintf(": %s pulled or built a moment ago, which may be part of work under way, the last until %s; --min-age 0 takes them now",
			plural(young, "image"), when(last.Add(minAge)))
	}
	var all []string
	for why, n := range reasons {
		all = append(all, fmt.Sprintf("%d %s", n, why))
	}
	slices.Sort(all)
	stay := "stay"
	if count == 1 {
		stay = "stays"
	}
	text := fmt.Sprintf(": %s without a name %s (%s)", plural(count, "image"), stay, strings.Join(all, ", "))
	if young > 0 {
		return text + "; --min-age 0 takes the young ones now"
	}
	return text + "; --dry-run tells of each"
}

// whyStaysShort is whyStays for several images at once: without what differs
// from one to the next.
func whyStaysShort(d *gc.Decision) string {
	switch d.Reason {
	case gc.UsedByContainer:
		return "used by containers"
	case gc.Parent:
		return "with an image built on them"
	case gc.ListMember:
		return "in manifest lists"
	case gc.TooYoung:
		return "too young"
	}
	return whyStays(d)
}
