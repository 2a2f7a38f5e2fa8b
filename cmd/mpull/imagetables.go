//go:build linux

package main

import (
	"io"
	"slices"
	"strings"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/store"
)

func printImages(w io.Writer, rows []engine.ListedImage, o imagesOptions) {
	t := &table{whole: o.noTrunc}
	pins := slices.ContainsFunc(rows, func(r engine.ListedImage) bool { return r.Pinned })
	if !o.noHeading {
		t.head = []string{"REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "CREATED", "SIZE"}
		if o.digests {
			t.head = []string{"REPOSITORY", "TAG", "DIGEST", "PLATFORM", "IMAGE ID", "CREATED", "SIZE"}
		}
		if pins {
			t.head = append(t.head, "PINNED")
		}
	}
	for _, r := range rows {
		cells := []string{r.Repository, r.Tag}
		if o.digests {
			cells = append(cells, orDash(r.Digest.String()))
		}
		cells = append(cells, platformCell(r), imageID(r.ID, o.noTrunc), since(r.CreatedAt), size(r.Size))
		switch {
		case r.Pinned:
			cells = append(cells, "by CRI-O")
		case pins:
			cells = append(cells, "-")
		}
		t.add(cells...)
	}
	t.write(w)
}

func platformCell(r engine.ListedImage) string {
	cell := orDash(r.Platform)
	if r.Platform != "" && !r.Native {
		cell += " *"
	}
	if r.Schema1 {
		cell += " (schema 1)"
	}
	return cell
}

// printDangling lists images that lost their names: what each was, since when,
// and which image took the name.
func printDangling(w io.Writer, rows []engine.ListedImage, o imagesOptions) {
	t := &table{whole: o.noTrunc}
	if !o.noHeading {
		t.head = []string{"IMAGE ID", "WAS", "PLATFORM", "DISPLACED", "BY", "SIZE"}
	}
	for _, r := range rows {
		was, displaced, by := "-", "-", "-"
		switch {
		case len(r.Displaced) > 0:
			d := slices.MaxFunc(r.Displaced, func(a, b store.Displacement) int { return a.At.Compare(b.At) })
			was, displaced, by = d.Name, since(d.At), "removed"
			if d.By.ID != "" {
				by = strings.TrimSpace(imageID(d.By.ID, o.noTrunc) + " " + d.By.Platform)
			}
		case len(r.History) > 0:
			was, by = r.History[0], "another tool"
		}
		t.add(imageID(r.ID, o.noTrunc), was, platformCell(r), displaced, by, size(r.Size))
	}
	t.write(w)
}

// printTree shows, for each name, the platforms that are here.
func printTree(w io.Writer, tree []engine.Branch, o imagesOptions) {
	t := &table{whole: o.noTrunc}
	for _, b := range tree {
		t.rows = append(t.rows, []string{escape(b.Name)})
		for i, leaf := range b.Images {
			branch := arm
			if i == len(b.Images)-1 {
				branch = lastArm
			}
			t.rows = append(t.rows, []string{
				branch + escape(platformCell(leaf.ListedImage)), imageID(leaf.ID, o.noTrunc), size(leaf.Size), escape(leafState(leaf)),
			})
		}
	}
	t.write(w)
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

// onePerImage keeps the first row of each image: all rows of an image with a
// thousand names would have a thousand names each.
func onePerImage(rows []engine.ListedImage) []engine.ListedImage {
	seen, first := map[string]bool{}, []engine.ListedImage{}
	for i := range rows {
		if !seen[rows[i].ID] {
			seen[rows[i].ID] = true
			first = append(first, rows[i])
		}
	}
	return first
}

// templateRow is what a template sees: the fields of an image, shaped for
// people where podman does so.
type templateRow struct {
	engine.ListedImage
	ID           string
	Size         string
	Created      string
	CreatedSince string
	CreatedAt    string
	CreatedTime  string
	History      string
}

func templateRows(rows []engine.ListedImage, noTrunc bool) []templateRow {
	out := make([]templateRow, len(rows))
	for i, r := range rows {
		at := r.CreatedAt.String()
		out[i] = templateRow{
			ListedImage: r, ID: imageID(r.ID, noTrunc), Size: spacedSize(r.Size), Created: since(r.CreatedAt), CreatedSince: since(r.CreatedAt),
			CreatedAt: at, CreatedTime: at, History: strings.Join(r.History, ", "),
		}
	}
	return out
}
