//go:build linux

package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/docker/go-units"
)

// How values are written for people, in every command alike.

func shortDigest(d string) string {
	const prefix = len("sha256:")
	if len(d) > prefix+12 {
		return d[prefix : prefix+12]
	}
	return d
}

// size prints bytes as podman does: decimal units, three digits.
func size(n int64) string {
	if n < 0 {
		return "unknown size"
	}
	return units.HumanSizeWithPrecision(float64(n), 3)
}

func plural(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case one[len(one)-1] == 'y':
		return fmt.Sprintf("%d %sies", n, one[:len(one)-1])
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// whatItIs names an image by its platform, and a manifest list.
func whatItIs(platform string, isList bool) string {
	if isList {
		return "a manifest list"
	}
	return orNone(escape(platform))
}

// forWhat is whatItIs behind an ID.
func forWhat(platform string, isList bool) string {
	if isList {
		return ", a manifest list,"
	}
	return " for " + orNone(escape(platform))
}

func orNone(s string) string { return cmp.Or(s, "an unknown platform") }

// spacedSize is a size in podman's form.
func spacedSize(n int64) string {
	text := size(n)
	unit := strings.LastIndexFunc(text, unicode.IsNumber) + 1
	return text[:unit] + " " + text[unit:]
}

// imageID is an ID for people; whole ones say what they are, as in podman.
func imageID(id string, noTrunc bool) string {
	if noTrunc {
		return "sha256:" + id
	}
	return id[:min(12, len(id))]
}

func since(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return units.HumanDuration(time.Since(t)) + " ago"
}

func orDash(s string) string { return cmp.Or(s, "-") }

// shortName cuts the digest of a name to what tells images apart.
func shortName(name string) string {
	const digest = "@sha256:"
	if at := strings.Index(name, digest); at >= 0 {
		return name[:min(len(name), at+len(digest)+12)]
	}
	return name
}

// when prints a moment for people, in their own time zone.
func when(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// lastPart returns what follows the last slash of a path.
func lastPart(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }
