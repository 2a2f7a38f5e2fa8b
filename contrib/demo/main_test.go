package main

import (
	"bytes"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
)

func TestMain(m *testing.M) { testenv.MainWithBinary(m) }

// TestReadmeTellsTheStory holds that README's story is what the demonstration
// prints, but for times, what a machine's kernel makes of a foreign program, and
// the question that prune asks where somebody sits.
func TestReadmeTellsTheStory(t *testing.T) {
	testenv.Store(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("README's story is of an amd64 machine")
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, story, _ := strings.Cut(string(readme), "\n## The story\n")
	story, _, ok := strings.Cut(story, "\n(`make demo`")
	if !ok {
		t.Fatal("README has no story that ends with a remark about make demo")
	}
	var out bytes.Buffer
	if err := demo(testenv.Binary(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	told, shown := scenes(strings.ReplaceAll("\n"+story, "\n    ", "\n")), scenes(out.String())
	if len(told) < 5 {
		t.Errorf("README tells of %d commands", len(told))
	}
	for command, text := range told {
		if got, ok := shown[command]; !ok || got != text {
			t.Errorf("README has of %s\n%s\nand the demonstration\n%s", command, text, got)
		}
	}
}

// timely is what differs from one run to the next.
var timely = []struct {
	form *regexp.Regexp
	text string
}{
	{regexp.MustCompile(`(?m)^(On this machine it ends with|Remove them\?).*\n`), ""},
	{regexp.MustCompile(`(?m)^#.*\n`), ""},
	{regexp.MustCompile(`(?m) in [0-9.]+s, \S+/s$`), ""},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+`), "THEN"},
	{regexp.MustCompile(`(\d+|Less than a|About an?) \w+ ago`), "AGO"},
	{regexp.MustCompile(`\b2\.\d+MB`), "BYTES"}, // on the disk, by file system
	{regexp.MustCompile(`  +`), "  "},
}

// scenes are what each command prints, by the command. The first one counts
// where one is run twice.
func scenes(text string) map[string]string {
	all := map[string]string{}
	for _, scene := range strings.Split("\n"+text, "\n$ ")[1:] {
		command, output, _ := strings.Cut(scene, "\n")
		output += "\n"
		for _, what := range timely {
			output = what.form.ReplaceAllString(output, what.text)
		}
		if command = strings.TrimSuffix(command, " --force"); all[command] == "" {
			all[command] = strings.TrimSpace(output)
		}
	}
	return all
}
