//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// escape makes a value from an image, a registry or a user safe for one cell
// or line of a terminal: control characters, characters that turn the writing
// direction or break the line, and invalid UTF-8 become visible escapes.
func escape(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || steers(r) }) {
		return s // as nearly all are
	}
	var b strings.Builder
	escapeTo(&b, s, "")
	return b.String()
}

// escapeTo writes s to b, with the control characters in keep left as they are.
func escapeTo(b *strings.Builder, s, keep string) {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			fmt.Fprintf(b, `\x%02x`, s[i])
		case steers(r) && (r >= utf8.RuneSelf || strings.IndexByte(keep, byte(r)) < 0):
			b.WriteString(escapeRune(r))
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
}

// steers tells whether a character does something to a terminal other than
// being shown: C0, DEL and C1 controls, bidirectional overrides and isolates,
// line and paragraph separators, and the marks and tags that are invisible.
func steers(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r <= 0x9f:
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	case r == 0x2028, r == 0x2029, r == 0x061c, r >= 0x200b && r <= 0x200f, r == 0xfeff:
		return true
	}
	return r >= 0xe0000 && r <= 0xe007f
}

func escapeRune(r rune) string {
	format := `\u%04x`
	switch {
	case strings.ContainsRune("\n\r\t", r):
		return strings.Trim(strconv.QuoteRune(r), "'")
	case r < 0x100:
		format = `\x%02x`
	case r > 0xffff:
		format = `\U%08x`
	}
	return fmt.Sprintf(format, r)
}
