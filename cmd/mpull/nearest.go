//go:build linux

package main

import (
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
	best, bestDistance := "", maxDistance+1
	for _, c := range list {
		for _, n := range c.Names() {
			if d := distance(word, n); d < bestDistance && (meant || d < len(n)-1) {
				best, bestDistance = n, d
			}
		}
	}
	return best
}

func (l *line) nearestFlag(word string) string {
	best, bestDistance := "", maxDistance+1
	own := l.own
	if l.command == nil {
		own = l.pull
	}
	if word == "json" && own["format"] != nil {
		return "format json"
	}
	for _, t := range []map[string]cli.Flag{own, l.global} {
		for n := range t {
			if d := distance(word, n); len(n) > 1 && (d < bestDistance || d == bestDistance && n < best) {
				best, bestDistance = n, d
			}
		}
	}
	return best
}

func distance(a, b string) int { return smetrics.WagnerFischer(a, b, 1, 1, 1) }
