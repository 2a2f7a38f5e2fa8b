package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
	"github.com/urfave/cli/v2"
)

func allPaths(app *cli.App) [][]string {
	paths := [][]string{nil}
	for _, c := range app.VisibleCommands() {
		paths = append(paths, []string{c.Name})
		for _, s := range c.Subcommands {
			paths = append(paths, []string{c.Name, s.Name})
		}
	}
	return paths
}

func TestHelpFitsAndIsClean(t *testing.T) {
	app := testApp()
	for _, columns := range []int{0, 60, 80, 200} {
		for _, path := range allPaths(app) {
			var out bytes.Buffer
			if err := printHelp(&streams{out: &out, width: columns}, app, &helpRequest{path: path, all: true}); err != nil {
				t.Fatal(err)
			}
			for _, noise := range []string{"(default: false)", "(default: 0)", "(default: [])", "\t", " \n", "`"} {
				if strings.Contains(out.String(), noise) {
					t.Errorf("mpull %v --help has %q", path, noise)
				}
			}
			most := 80
			if columns > 100 {
				most = 100
			}
			for line := range strings.Lines(out.String()) {
				// Examples and hand-set paragraphs have their own width.
				if flag := strings.HasPrefix(line, "   "); flag && runewidth.StringWidth(line) > most+1 {
					t.Errorf("%d columns: mpull %v --help: %d columns: %s", columns, path, runewidth.StringWidth(line), line)
				}
			}
		}
	}
}

func TestHelpRequests(t *testing.T) {
	for line, want := range map[string][]string{
		"": nil, "--help": nil, "-h": nil, "help": nil, "prune --help": {"prune"}, "help prune": {"prune"}, "alpine --help": {"pull"},
		"image": {"image"}, "image ls x -h": {"image", "ls"}, "help image ls": {"image", "ls"}, "ls --help": {"images"},
	} {
		_, err := newLine(testApp()).straighten(append([]string{"mpull"}, strings.Fields(line)...))
		var help *helpRequest
		if !errors.As(err, &help) || !slices.Equal(help.path, want) {
			t.Errorf("mpull %s: %v, not help for %q", line, err, want)
		}
	}
}

func TestForeignWordsAndNearSubcommands(t *testing.T) {
	for line, want := range map[string]string{
		"rm": `did you mean "rmi"?`, "copy": `did you mean "pull"?`, "list-tags": `did you mean "tags"?`,
		"image lst": `did you mean "image ls"?`, "image rmi": `did you mean "rmi"?`, "help nosuch": "no command \"nosuch\" to explain",
	} {
		_, err := newLine(testApp()).straighten(append([]string{"mpull"}, strings.Fields(line)...))
		var usage *usageError
		if !errors.As(err, &usage) || !strings.Contains(usage.text+"; "+usage.next, want) {
			t.Errorf("mpull %s: %v, not %q", line, err, want)
		}
	}
}

// TestHelpIsOneScreen holds that the first help fits a terminal of 80x24, and
// names each command in one group.
func TestHelpIsOneScreen(t *testing.T) {
	app := testApp()
	var out bytes.Buffer
	if err := printHelp(&streams{out: &out, width: 80}, app, &helpRequest{}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n > 23 { // and the prompt
		t.Errorf("%d lines:\n%s", n, &out)
	}
	for line := range strings.Lines(out.String()) {
		if w := runewidth.StringWidth(line); w > 81 {
			t.Errorf("%d columns: %s", w, line)
		}
	}
	seen := map[string]int{}
	for _, g := range groups() {
		for _, name := range g.commands {
			if seen[name]++; app.Command(name) == nil {
				t.Errorf("%s lists %s, which is no command", g.title, name)
			}
		}
	}
	for _, c := range app.VisibleCommands() {
		if seen[c.Name] != 1 {
			t.Errorf("%s is listed %d times", c.Name, seen[c.Name])
		}
	}
}
