// Package doclines finds the command lines that README and docs show, for the
// tests that read and run them.
package doclines

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Line is a command line of mpull's in a document.
type Line struct {
	File string // base name
	Text string // as it is written, with what follows it: a pipe, a remark
}

// In lists the lines of README and docs below the root of the repository: in code
// blocks, behind a prompt or not, and in backquotes.
func In(root string) ([]Line, error) {
	paths, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil {
		return nil, err
	}
	quoted := regexp.MustCompile("(?m)`(mpull [^`]+)`|^    (?:\\$ )?(?:sudo )?(mpull .+)$")
	var lines []Line
	for _, path := range append(paths, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
			lines = append(lines, Line{File: filepath.Base(path), Text: strings.ReplaceAll(m[1]+m[2], "\n", " ")}) // a line may be broken
		}
	}
	return lines, nil
}
