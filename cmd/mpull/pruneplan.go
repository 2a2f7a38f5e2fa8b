//go:build linux

package main

import (
	"cmp"
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
	} else {
		showPlan(p.out, plan)
	}
	staying := plan.Images[len(plan.Removals()):]
	if len(staying) == 0 {
		return nil
	}
	fmt.Fprintln(p.out, "\nStaying:")
	t := &table{head: []string{"IMAGE ID", "NAME", "PLATFORM", "WHY"}}
	for _, d := range staying {
		name := cmp.Or(append(slices.Clone(d.Names), d.Was)...)
		t.add(imageID(d.ID, false), orDash(name), orDash(d.Platform), whyStays(&d))
	}
	t.write(p.out)
	return nil
}

// showPlan lists what would go.
func showPlan(w io.Writer, plan *gc.Plan) {
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
			t.add(imageID(lastPart(l.ID), false), "("+string(l.Kind)+" of an interrupted pull)", "-", since(l.Since), size(l.Bytes))
		}
	}
	t.write(w)
	if len(lost) > 0 {
		fmt.Fprintf(w, "%s lost: %s\n", plural(len(lost), "name"), escape(strings.Join(lost, ", ")))
	}
	fmt.Fprintf(w, "%s, %s come free\n", plural(items, "item"), size(plan.Bytes))
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
	for _, o := range result.Outcomes {
		switch {
		case o.Status == gc.Skipped && p.events == nil:
			p.line("%s stays: it changed meanwhile (%s)", imageID(o.ID, false), o.Reason)
		case o.Kind == "image" && o.Status != gc.Failed:
			fmt.Fprintln(p.out, o.ID)
		}
	}
	if p.events == nil {
		p.line("Reclaimed %s", size(result.Reclaimed))
	}
	return result.Err()
}

// whyStays says in words what keeps an image.
func whyStays(d *gc.Decision) string {
	by := cmp.Or(d.ByName, imageID(d.By, false))
	words := map[gc.Reason]string{
		gc.UsedByContainer: "used by container " + by,
		gc.Mounted:         "mounted",
		gc.Parent:          "parent of " + by,
		gc.ListMember:      "in manifest list " + by,
		gc.Named:           "it has a name",
		gc.Pinned:          "kept by a digest name",
		gc.TooYoung:        "too young: it may be part of another tool's work",
		gc.ReadOnly:        "in a read-only image store",
		gc.PinnedByCRIO:    "pinned by CRI-O (" + d.By + ")",
		gc.Protected:       "protected (" + d.By + ")",
		gc.KeptByCount:     "among the newest of its name and platform",
		gc.FilteredOut:     "not matched by " + d.By,
		gc.TargetReached:   "enough comes free without it",
	}
	return cmp.Or(words[d.Reason], string(d.Reason))
}

// whyNothing says why nothing is planned: what of the images without a name
// stays, for which reasons, and the flag that takes them.
func whyNothing(plan *gc.Plan, minAge time.Duration) string {
	reasons, count, young := map[string]int{}, 0, 0
	var last time.Time
	for _, d := range plan.Images {
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
		reasons[whyStaysShort(&d)]++
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
	words := map[gc.Reason]string{
		gc.UsedByContainer: "used by containers",
		gc.Parent:          "with an image built on them",
		gc.ListMember:      "in manifest lists",
		gc.TooYoung:        "too young",
	}
	return cmp.Or(words[d.Reason], whyStays(d))
}
