//go:build linux

package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// table prints aligned columns. Cells are escaped; the last column is not
// padded. On a terminal the widest columns are cut until the lines fit; in a
// pipe nothing is ever cut.
type table struct {
	head  []string // nil means no heading
	rows  [][]string
	whole bool   // cut nothing on a terminal either: the user asked for all of it
	spare string // heading of a column that is left out of lines too long for a terminal
}

func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = escape(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// gap is what separates two columns.
const gap = "  "

// write prints the table. Standard output remembers a write that fails (sink).
func (t *table) write(w io.Writer) {
	lines := t.rows
	if t.head != nil {
		lines = append([][]string{t.head}, t.rows...)
	}
	widths := widthsOf(lines)
	cutCell, columns := cut, 0
	if screen, ok := w.(interface{ width() int }); ok && !t.whole {
		columns = screen.width()
		if columns > 0 && lineWidth(widths) > columns {
			if at := slices.Index(t.head, t.spare); t.spare != "" && at >= 0 {
				t.without(at).write(w)
				return
			}
			lines = shortForms(lines)
			widths = widthsOf(lines)
			fit(widths, t.floors(lines, widths), columns)
			cutCell = distinctCuts(lines, widths)
		}
	}
	var b strings.Builder
	for _, cells := range lines {
		if len(cells) == 1 && len(widths) > 1 {
			title := cells[0]
			if columns > 0 {
				title, _ = cut(shortName(title), columns)
			}
			b.WriteString(title + "\n")
			continue
		}
		for i, c := range cells {
			c, width := cutCell(c, widths[i])
			b.WriteString(c)
			if i < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-width) + gap)
			}
		}
		b.WriteByte('\n')
	}
	fmt.Fprint(w, b.String())
}

// without is the table without a column.
func (t *table) without(at int) *table {
	drop := func(cells []string) []string { return slices.Delete(slices.Clone(cells), at, at+1) }
	rest := &table{head: drop(t.head), whole: t.whole}
	for _, cells := range t.rows {
		rest.rows = append(rest.rows, drop(cells))
	}
	return rest
}

// widthsOf are the widths of the columns. A line of one cell among wider ones is
// a title over those that follow, and has none.
func widthsOf(lines [][]string) (widths []int) {
	titled := slices.ContainsFunc(lines, func(cells []string) bool { return len(cells) > 1 })
	for _, cells := range lines {
		if titled && len(cells) == 1 {
			continue
		}
		for i, c := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], cellWidth(c))
		}
	}
	return widths
}

// lineWidth is how wide columns are with what separates them.
func lineWidth(widths []int) int {
	sum := len(gap) * (len(widths) - 1)
	for _, w := range widths {
		sum += w
	}
	return sum
}

// shortForms cuts each digest to the length of a short image ID, which tells it
// from others, so that names keep more of their room, and leaves out of ages the
// words that the heading says.
func shortForms(lines [][]string) [][]string {
	short := make([][]string, len(lines))
	for i, cells := range lines {
		short[i] = slices.Clone(cells)
		for j, c := range cells {
			switch name, hex, ok := strings.Cut(c, "sha256:"); {
			case !ok || len(hex) != sha256.Size*2:
				short[i][j] = shortAge(c)
			case name == "":
				short[i][j] = hex[:narrowestID]
			default:
				short[i][j] = shortName(c)
			}
		}
	}
	return short
}

// shortAge is an age of since as short as it can be said.
func shortAge(cell string) string {
	age, ok := strings.CutSuffix(cell, " ago")
	switch {
	case !ok:
		return cell
	case age == "Less than a second":
		return "now"
	}
	return strings.NewReplacer("About a ", "1 ", "About an ", "1 ").Replace(age)
}

// distinctCuts is cut, but for cells that would look alike then: of these it
// keeps both ends.
func distinctCuts(lines [][]string, widths []int) func(cell string, width int) (string, int) {
	first, alike := map[string]string{}, map[string]bool{}
	for _, cells := range lines {
		for i, c := range cells {
			short, _ := cut(c, widths[i])
			if other, ok := first[short]; ok && other != c {
				alike[short] = true
			}
			first[short] = c
		}
	}
	return func(cell string, width int) (string, int) {
		short, w := cut(cell, width)
		if short == cell || !alike[short] {
			return short, w
		}
		mark := cellWidth(ellipsis)
		head := runewidth.Truncate(cell, (width-mark)/2, "")
		tail := runewidth.TruncateLeft(cell, cellWidth(cell)-(width-mark-cellWidth(head)), "")
		return head + ellipsis + tail, cellWidth(head) + mark + cellWidth(tail)
	}
}

const (
	ellipsis = "…"    // what was cut from a cell
	arm      = "├─ "  // before an image of a tree
	lastArm  = "└─ "  // before its last one
	marks    = "…├└─" // what these are made of
)

// cellWidth tells how wide a text is on a terminal.
//
// What mpull puts before a text itself never goes through the library: for the
// first character beyond U+02FF it fills tables for all of Unicode, which takes
// 10 ms.
func cellWidth(s string) int {
	rest := strings.TrimLeft(s, marks)
	n := utf8.RuneCountInString(s[:len(s)-len(rest)])
	if runewidth.EastAsianWidth {
		n *= 2 // as other characters of ambiguous width (Unicode Standard Annex 11)
	}
	return n + runewidth.StringWidth(rest)
}

// cut shortens a cell to a width, and returns how wide it is then. Of a path (a
// name, a platform) the end stays, which tells one from another; also behind words.
func cut(cell string, width int) (string, int) {
	if w := cellWidth(cell); w <= width {
		return cell, w
	}
	mark := cellWidth(ellipsis)
	if first, _, _ := strings.Cut(cell, " "); strings.Contains(first, "/") {
		rest := runewidth.TruncatePrefix(cell, width-mark, "")
		return ellipsis + rest, mark + runewidth.StringWidth(rest)
	}
	if at := strings.LastIndexByte(cell, ' ') + 1; at+shortEnd <= width && strings.Contains(cell[at:], "/") {
		rest := runewidth.TruncatePrefix(cell[at:], width-mark-cellWidth(cell[:at]), "")
		return cell[:at] + ellipsis + rest, cellWidth(cell[:at]) + mark + runewidth.StringWidth(rest)
	}
	rest := runewidth.Truncate(cell, width-mark, "")
	return rest + ellipsis, mark + runewidth.StringWidth(rest)
}

// Widths below which no column is cut.
const (
	narrowest   = 8
	shortEnd    = 3  // of a path behind words: …v7
	narrowestID = 12 // a short ID is of use only as a whole
	// mostWhole is the widest column that isWhole keeps from being cut: platforms
	// of Windows have a version, and are wider.
	mostWhole = 18
)

// isWhole tells whether a column is of no use when it is cut: a platform, an age,
// a size.
func isWhole(head string) bool {
	return slices.Contains([]string{"PLATFORM", "CREATED", "SINCE", "DISPLACED", "SIZE", "FREES"}, head)
}

// floors are the widths below which the columns are not cut.
func (t *table) floors(lines [][]string, widths []int) []int {
	floors := make([]int, len(widths))
	for i := range floors {
		floors[i] = narrowest
		if i < len(t.head) && isWhole(t.head[i]) && widths[i] <= mostWhole {
			floors[i] = widths[i]
		}
		for _, cells := range lines {
			if i < len(cells) && len(cells[i]) == narrowestID && strings.Trim(cells[i], "0123456789abcdef") == "" {
				floors[i] = max(floors[i], narrowestID)
				break
			}
		}
	}
	return floors
}

// fit takes from the widest columns what a terminal of the given width does
// not have, down to their floors. What cannot be taken stays, and the terminal
// wraps it.
func fit(widths, floors []int, columns int) {
	for over := lineWidth(widths) - columns; over > 0; over-- {
		widest := -1
		for i, w := range widths {
			if w > floors[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}
