package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// quotedLines are the command lines in a document: in code blocks, behind a prompt or
// not, and in backquotes.
var quotedLines = []*regexp.Regexp{regexp.MustCompile("`(mpull [^`]+)`"), regexp.MustCompile(`(?m)^    (?:\$ )?(?:sudo )?(mpull .+)$`)}

// TestDocumentsNameCommandsThatAreThere reads each command line of README, docs
// and examples as mpull does: its command and its flags are there, and so are
// the values that only one of a few can be. Those of the help are also run
// (integration.TestExamples).
func TestDocumentsNameCommandsThatAreThere(t *testing.T) {
	paths, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for _, path := range append(paths, "../../README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range quotedLines {
			for _, m := range form.FindAllStringSubmatch(string(text), -1) {
				lines[m[1]] = path
			}
		}
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
