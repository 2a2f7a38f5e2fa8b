package main

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/doclines"
)

// TestDocumentsNameCommandsThatAreThere reads each command line of README, docs
// and examples as mpull does: its command and its flags are there, and so are
// the values that only one of a few can be. integration.TestExamples runs them.
func TestDocumentsNameCommandsThatAreThere(t *testing.T) {
	quoted, err := doclines.In("../..")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for _, l := range quoted {
		lines[l.Text] = l.File
	}
	app := testApp()
	for _, path := range allPaths(app) {
		for _, example := range describe(app, path).Examples {
			if strings.HasPrefix(example, "mpull ") {
				lines[example] = "help of " + strings.Join(path, " ")
			}
		}
	}
	if len(lines) < 120 {
		t.Errorf("only %d command lines", len(lines))
	}
	for line, where := range lines {
		words := commandWords(line)
		_, err := newLine(testApp()).straighten(words)
		var help *helpRequest
		if err != nil && !errors.As(err, &help) {
			t.Errorf("%s: %s: %v", where, line, err)
		}
	}
}

// commandWords are the words of the first command of a line, as far as a shell
// would hand them over: without what follows a pipe or a remark.
func commandWords(line string) []string {
	line = regexp.MustCompile(`  .*$| *[|;<>&].*$| #.*$`).ReplaceAllString(line, "")
	var words []string
	for _, w := range regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`).FindAllString(line, -1) {
		if w = strings.Trim(w, `'"`); w != "..." {
			words = append(words, w)
		}
	}
	return words
}
