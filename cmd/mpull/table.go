//go:build linux

package main

import (
	"fmt"
	"io"
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
	whole bool // cut nothing on a terminal either: the user asked for all of it
}

func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = escape(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// gap is what separates two columns.
const gap = "  "

func (t *table) write(w io.Writer) error {
	lines := t.rows
	if t.head != nil {
		lines = append([][]string{t.head}, t.rows...)
	}
	var widths []int
	for _, cells := range lines {
		for i, c := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], cellWidth(c))
		}
	}
	if screen, ok := w.(interface{ width() int }); ok && !t.whole {
		fit(widths, t.floors(len(widths)), screen.width())
	}
	var b strings.Builder
	for _, cells := range lines {
		for i, c := range cells {
			c, width := cut(c, widths[i])
			b.WriteString(c)
			if i < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-width) + gap)
			}
		}
		b.WriteByte('\n')
	}
	_, err := fmt.Fprint(w, b.String())
	return err
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

// cut shortens a cell to a width, and returns how wide it is then. A path, as
// in names and platforms, is told by its end.
func cut(cell string, width int) (string, int) {
	if w := cellWidth(cell); w <= width {
		return cell, w
	}
	mark := cellWidth(ellipsis)
	if first, _, _ := strings.Cut(cell, " "); strings.Contains(first, "/") {
		rest := runewidth.TruncatePrefix(cell, width-mark, "")
		return ellipsis + rest, mark + runewidth.StringWidth(rest)
	}
	rest := runewidth.Truncate(cell, width-mark, "")
	return rest + ellipsis, mark + runewidth.StringWidth(rest)
}

// Widths below which no column is cut.
const (
	narrowest   = 8
	narrowestID = 12 // a short ID is of use only as a whole
)

// floors are the widths below which the columns are not cut.
func (t *table) floors(columns int) []int {
	floors := make([]int, columns)
	for i := range floors {
		floors[i] = narrowest
		for _, cells := range t.rows {
			if i < len(cells) && len(cells[i]) == narrowestID && strings.Trim(cells[i], "0123456789abcdef") == "" {
				floors[i] = narrowestID
				break
			}
		}
	}
	return floors
}

// fit takes from the widest columns what a terminal of the given width does
// not have, down to their floors. What cannot be taken stays, and the terminal
// wraps it. A width of 0 means no terminal.
func fit(widths, floors []int, columns int) {
	if columns <= 0 {
		return
	}
	over := len(gap)*(len(widths)-1) - columns
	for _, w := range widths {
		over += w
	}
	for ; over > 0; over-- {
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
