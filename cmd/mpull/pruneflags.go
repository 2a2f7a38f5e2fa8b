//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/userfile"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store/query"
)

// planFlags are those that make a plan, of which --apply takes none.
func planFlags() []string {
	return []string{"all", "filter", "keep", "free", "leftovers", "when-used", "until-used", "min-age", "protect", "protect-file"}
}

// pruneOptions reads them.
func pruneOptions(c *cli.Context) (o engine.PruneOptions, err error) {
	for _, other := range planFlags() {
		if c.IsSet("apply") && c.IsSet(other) {
			return o, usagef("--apply removes what the plan says; --%s belongs to making one", other)
		}
	}
	if c.IsSet("free") && (c.IsSet("until-used") || c.IsSet("when-used")) {
		return o, usagef("use either --free or --when-used and --until-used, not both")
	}
	o.All, o.Keep, o.AllDownloads = c.Bool("all"), c.Int("keep"), c.Bool("leftovers")
	if o.Filters, err = parseFilters(c.StringSlice("filter")); err != nil {
		return o, err
	}
	if c.IsSet("free") {
		if o.Free, err = query.ParseSize(c.String("free")); err != nil {
			return o, usagef("--free: %v", err)
		}
	}
	if o.Keep < 0 {
		return o, usagef("--keep %d: the number must not be negative", o.Keep)
	}
	if o.Disk.When, err = percent(c, "when-used"); err != nil {
		return o, err
	}
	if o.Disk.Until, err = percent(c, "until-used"); err != nil {
		return o, err
	}
	if o.Disk.When > 0 && o.Disk.Until > o.Disk.When {
		return o, usagef("--until-used %d%% is more than --when-used %d%%: it is the lower of the two", o.Disk.Until, o.Disk.When)
	}
	if o.Young, err = minAge(c); err != nil {
		return o, err
	}
	if o.Young != nil {
		o.MinAge = *o.Young
		if o.MinAge == 0 {
			o.MinAge = -1 // any age
		}
	}
	o.Protect, err = protected(c)
	return o, err
}

// percent reads a threshold such as 85%.
func percent(c *cli.Context, flag string) (int, error) {
	if !c.IsSet(flag) {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(c.String(flag), "%"))
	if err != nil || n < 1 || n > 100 {
		return 0, usagef("--%s %q: write a percentage from 1%% to 100%%", flag, c.String(flag))
	}
	return n, nil
}

func minAge(c *cli.Context) (*time.Duration, error) {
	if !c.IsSet("min-age") {
		return nil, nil // nothing was said
	}
	age, ok := query.ParseAge(c.String("min-age"))
	if ok = ok || c.String("min-age") == "0"; !ok || age < 0 {
		return nil, usagef("--min-age %q: write an age such as 10m, 12h or 7d", c.String("min-age"))
	}
	return &age, nil
}

// protected reads what --protect and --protect-file name.
func protected(c *cli.Context) ([]string, error) {
	all := c.StringSlice("protect")
	for _, file := range c.StringSlice("protect-file") {
		more, err := protectFile(c.Context, file)
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
