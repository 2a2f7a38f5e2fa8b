package main

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
)

// TestPagesAreWhatATerminalShows fails when make generate was forgotten:
// docs/terminal.md and docs/story.svg are captured anew and compared, but for
// what differs from run to run and from kernel to kernel.
func TestPagesAreWhatATerminalShows(t *testing.T) {
	testenv.Root(t) // an ordinary user's store is of another kind, with other figures
	testenv.Need(t, "tmux", "bash")
	if runtime.GOARCH != "amd64" {
		t.Skip("the pages are of an amd64 machine")
	}
	dir := t.TempDir()
	if err := pages(testenv.Binary(), dir); err != nil {
		t.Fatal(err)
	}
	for name, least := range map[string]int{"terminal.md": 100, "story.svg": 30} {
		fresh, kept := captured(t, filepath.Join(dir, name)), captured(t, filepath.Join("../../docs", name))
		if len(fresh) < least {
			t.Errorf("%s has only %d lines", name, len(fresh))
		}
		for i, line := range fresh {
			if i >= len(kept) || kept[i] != line {
				t.Errorf("docs/%s, run make generate: line %d of what can be compared is now\n%s\nand was\n%s",
					name, i+1, line, strings.Join(kept[min(i, len(kept)):min(i+1, len(kept))], ""))
				break
			}
		}
		if len(kept) > len(fresh) {
			t.Errorf("docs/%s has %d lines more than a terminal shows: run make generate", name, len(kept)-len(fresh))
		}
	}
}

// varying is what differs between captures: times, speeds, bytes on the disk, which
// layer came first, what a kernel makes of a foreign program, and which cells
// of a table were cut, as an age may be a digit longer.
var varying = []struct {
	form *regexp.Regexp
	text string
}{
	{regexp.MustCompile(`(?m)^.*On this machine it ends with.*\n`), ""},
	{regexp.MustCompile(` (x|y|width|height|textLength|viewBox)="[^"]*"`), ""},
	{regexp.MustCompile(`(?m)^( *)[0-9a-f]{12}  (\[|[0-9.]+[kMG]?B in ).*$`), "${1}LAYER"},
	{regexp.MustCompile(`(?m)^( *)total +\[.*$`), "${1}TOTAL"},
	{regexp.MustCompile(`(>[0-9a-f]{12}  )[0-9.]+[kMG]?B in [^<]*`), "$1"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`), "THEN"},
	{regexp.MustCompile(`  (now\b|(\d+|Less|About)( \w+)*( ago| ?…)|\d+ (second|minute|hour|day|week|month|year)s?\b)`), "  AGO"},
	{regexp.MustCompile(`([0-9a-f]{12}) (\S*…\S*|linux/\S+)`), "$1"},
	{regexp.MustCompile(`\b[0-9.]+[kMG]?B\b`), "SIZE"},
	{regexp.MustCompile(`(?m) +[█▉▊▋▌▍▎▏]* *\d+%$`), ""},
	{regexp.MustCompile(`(?m) +[█▉▊▋▌▍▎▏]+$`), ""},
	{regexp.MustCompile(`\S*…\S*|\S*(alpine|firmware-builder)(:|@sha256:)[0-9a-f.]+`), "NAME"},
	{regexp.MustCompile(`  +`), "  "},
	{regexp.MustCompile(`(?m)(SIZE  )[a-z].*  (NAME)$`), "${1}STARTS  $2"},
}

// captured are the lines of a page, without what varies.
func captured(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, v := range varying {
		text = v.form.ReplaceAllString(text, v.text)
	}
	return strings.Split(strings.TrimSpace(text), "\n")
}
