//go:build linux

package main

import (
	"io"
	"strings"

	"github.com/mpull/mpull/engine"
)

// printDangling lists images that lost their names: what each was, since when,
// and which image took the name.
func printDangling(w io.Writer, rows []engine.ListedImage, columns imageColumns) error {
	t := &table{whole: columns.noTrunc}
	if !columns.noHeading {
		t.head = []string{"IMAGE ID", "WAS", "PLATFORM", "DISPLACED", "BY", "SIZE"}
	}
	for _, r := range rows {
		was, displaced, by := "-", "-", "-"
		switch {
		case len(r.Displaced) > 0:
			d := r.Displaced[0]
			for _, other := range r.Displaced {
				if other.At.After(d.At) {
					d = other
				}
			}
			was, displaced, by = d.Name, since(d.At), "removed"
			if d.By.ID != "" {
				by = strings.TrimSpace(imageID(d.By.ID, columns.noTrunc) + " " + d.By.Platform)
			}
		case len(r.History) > 0:
			was, by = r.History[0], "another tool"
		}
		t.add(imageID(r.ID, columns.noTrunc), was, platformCell(r), displaced, by, size(r.Size))
	}
	return t.write(w)
}

// printTree shows, for each name, the platforms that are here.
func printTree(w io.Writer, tree []engine.Branch, columns imageColumns) error {
	t := &table{whole: columns.noTrunc}
	for _, b := range tree {
		t.rows = append(t.rows, []string{escape(b.Name)})
		for i, leaf := range b.Images {
			branch := arm
			if i == len(b.Images)-1 {
				branch = lastArm
			}
			t.rows = append(t.rows, []string{
				branch + escape(platformCell(leaf.ListedImage)), imageID(leaf.ID, columns.noTrunc), size(leaf.Size), escape(leafState(leaf)),
			})
		}
	}
	return t.write(w)
}

func leafState(leaf engine.BranchLeaf) string {
	switch {
	case leaf.Holds && len(leaf.Kept) > 0:
		return "has the name; also " + shortName(leaf.Kept[0])
	case leaf.Holds:
		return "has the name"
	case len(leaf.Kept) > 0:
		return "kept as " + shortName(leaf.Kept[0])
	case leaf.Dangling:
		return "dangling"
	}
	return "no name, but other images need it"
}

// shortName cuts the digest of a name to what tells images apart.
func shortName(name string) string {
	const digest = "@sha256:"
	if at := strings.Index(name, digest); at >= 0 {
		return name[:min(len(name), at+len(digest)+12)]
	}
	return name
}
