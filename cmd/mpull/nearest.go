//go:build linux

package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// maxDistance is how different a word may be to count as mistyped.
const maxDistance = 2

// nearestCommand is the command of the list that a mistyped word is nearest to,
// "" for a word that may be the name of an image, by a slash, colon, dot or digit.
// A short command is near to many words: it counts only where meant says that the
// word can be nothing but a command. verbs.go has what other tools call commands.
func nearestCommand(list []*cli.Command, word string, meant bool) string {
	if strings.ContainsAny(word, "/:@.0123456789") {
		return ""
	}
	var names []string
	for _, c := range list {
		for _, n := range c.Names() {
			if meant || distance(word, n) < len(n)-1 {
				names = append(names, n)
			}
		}
	}
	return nearest(word, names, maxDistance)
}

// nearestFlag is the flag that a mistyped word is nearest to; "" for a letter.
func (l *line) nearestFlag(word string) string {
	switch {
	case len(word) < 2:
		return ""
	case word == "json" && l.own["format"] != nil:
		return "format json"
	}
	names := slices.AppendSeq(slices.Collect(maps.Keys(l.own)), maps.Keys(l.global))
	slices.Sort(names)
	return nearest(word, slices.DeleteFunc(names, func(n string) bool { return len(n) < 2 }), maxDistance)
}

// nearest is the first of the candidates that a word differs least from, "" where
// it differs from all in more than most.
func nearest(word string, candidates []string, most int) (best string) {
	for _, c := range candidates {
		if d := distance(word, c); d <= most {
			best, most = c, d-1
		}
	}
	return best
}

func distance(a, b string) int { return smetrics.WagnerFischer(a, b, 1, 1, 1) }
