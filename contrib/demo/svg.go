package main

import (
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"
)

// storyPicture is README's story as a picture of a terminal.
func (d *demonstration) storyPicture() (string, error) {
	t, err := d.terminal(144, 60) // its longest line does not wrap
	if err != nil {
		return "", err
	}
	defer t.close()
	screen := ""
	for _, line := range []string{
		"mpull -q alpine:3.15", "mpull --platform linux/arm/v7 alpine:3.15", "mpull images --tree", "mpull why alpine:3.15", "mpull restore alpine:3.15", "mpull images --tree",
	} {
		if screen, err = t.run(line); err != nil {
			return "", err
		}
	}
	return picture(strings.TrimSuffix(strings.TrimRight(screen, "\n"), "\n$")), nil
}

// picture draws lines of text as a terminal shows them.
func picture(text string) string {
	const cell, line, margin = 7.8, 18, 16
	lines, columns := strings.Split(text, "\n"), 0
	for _, l := range lines {
		columns = max(columns, utf8.RuneCountInString(l))
	}
	width, height := int(float64(columns)*cell)+2*margin, len(lines)*line+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="mpull's story on a terminal">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="#1b1f27"/>`+"\n")
	fmt.Fprintf(&b, `<g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="13" fill="#d8dee9" xml:space="preserve">`+"\n")
	for i, l := range lines {
		if l = strings.TrimRight(l, " "); l == "" {
			continue
		}
		color := ""
		if strings.HasPrefix(l, "$ ") {
			color = ` fill="#8fd18f"`
		}
		var escaped strings.Builder
		_ = xml.EscapeText(&escaped, []byte(l)) // writing to memory
		// The length is set: another font than the one drawn with keeps columns in line.
		fmt.Fprintf(&b, `<text x="%d" y="%d" textLength="%.1f"%s>%s</text>`+"\n", margin, margin+13+i*line, float64(utf8.RuneCountInString(l))*cell, color, escaped.String())
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}
