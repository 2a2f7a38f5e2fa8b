package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

// screen is a writer that is a terminal of a width.
type screen struct {
	bytes.Buffer
	columns int
}

func (s *screen) width() int { return s.columns }

func longTable() *table {
	t := &table{head: []string{"REPOSITORY", "PLATFORM", "IMAGE ID", "BY"}}
	t.add("docker.io/team/a-long-name-of-a-product/firmware-builder", "linux/arm/v7 *", "6587d5f44ca3", "e46d2921c777 linux/amd64 and more")
	t.add("docker.io/library/日本語の長い名前の入れ物", "linux/amd64", "e46d2921c777", "-")
	return t
}

func TestTableFitsTheTerminal(t *testing.T) {
	for _, columns := range []int{60, 80, 100} {
		out := &screen{columns: columns}
		longTable().write(out)
		for line := range strings.Lines(out.String()) {
			if w := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); w > columns {
				t.Errorf("%d columns: a line has %d: %q", columns, w, line)
			}
		}
		for _, id := range []string{"6587d5f44ca3", "e46d2921c777"} {
			if !strings.Contains(out.String(), id) {
				t.Errorf("%d columns: the ID %s was cut:\n%s", columns, id, out)
			}
		}
	}
}

func TestTableCutsPathsAtTheFront(t *testing.T) {
	out := &screen{columns: 70}
	longTable().write(out)
	for _, want := range []string{"e-builder ", "e46d2921c777 linux…"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

func TestTableIsWholeElsewhere(t *testing.T) {
	whole := longTable()
	whole.whole = true
	for name, table := range map[string]*table{"asked for": whole, "pipe": longTable()} {
		out := &screen{columns: map[string]int{"asked for": 60, "pipe": 0}[name]}
		table.write(out)
		if strings.Contains(out.String(), ellipsis) || !strings.Contains(out.String(), "a-long-name-of-a-product/firmware-builder") {
			t.Errorf("%s: cut:\n%s", name, out)
		}
	}
}

func TestTableOnANarrowTerminalKeepsItsFloors(t *testing.T) {
	out := &screen{columns: 10}
	longTable().write(out)
	first, _, _ := strings.Cut(out.String(), "\n")
	if got := runewidth.StringWidth(first); got < 3*(narrowest+len(gap)) {
		t.Errorf("the heading has %d columns: %q", got, first)
	}
}

// TestCut holds cut to what the library makes of the whole, in locales of both
// widths of an ellipsis.
func TestCut(t *testing.T) {
	whole := runewidth.EastAsianWidth
	defer func() { runewidth.EastAsianWidth, runewidth.DefaultCondition.EastAsianWidth = whole, whole }()
	for _, wide := range []bool{false, true} {
		runewidth.EastAsianWidth, runewidth.DefaultCondition.EastAsianWidth = wide, wide
		for _, cell := range []string{"", "e46d2921c777", "docker.io/library/alpine", "3 weeks ago and more", "日本語の長い名前の入れ物", "a/日本語の長い名前", arm + "linux", lastArm + "日本語", ellipsis + "x", "  x"} {
			if got, want := cellWidth(cell), runewidth.StringWidth(cell); got != want {
				t.Errorf("wide %v: cellWidth(%q) = %d; the library: %d", wide, cell, got, want)
			}
			for width := 8; width < 40; width++ {
				want := runewidth.Truncate(cell, width, ellipsis)
				if strings.Contains(cell, "/") {
					want = runewidth.TruncatePrefix(cell, width, ellipsis)
				}
				got, w := cut(cell, width)
				if got != want || w != runewidth.StringWidth(want) {
					t.Errorf("wide %v: cut(%q, %d) = %q, %d; the library: %q, %d", wide, cell, width, got, w, want, runewidth.StringWidth(want))
				}
			}
		}
	}
}

// TestTableShortensDigestsFirst holds that a digest goes down to what tells it
// from others before a name loses anything, and is whole where there is room.
func TestTableShortensDigestsFirst(t *testing.T) {
	hex := strings.Repeat("6cde5264799d8fa6", 4)
	digests := &table{head: []string{"REPOSITORY", "DIGEST", "PLATFORM"}}
	digests.add("docker.io/library/alpine", "sha256:"+hex, "linux/arm/v7 *")
	digests.add("docker.io/library/alpine@sha256:"+hex, "-", "linux/amd64")
	for columns, want := range map[int]string{
		0:   "docker.io/library/alpine@sha256:" + hex,
		300: "docker.io/library/alpine@sha256:" + hex,
		80:  "docker.io/library/alpine                      6cde5264799d  linux/arm/v7 *\ndocker.io/library/alpine@sha256:6cde5264799d  -             linux/amd64\n",
		60:  "linux/arm/v7 *\n",
	} {
		out := &screen{columns: columns}
		digests.write(out)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%d columns: no %q in:\n%s", columns, want, out)
		}
	}
}

// TestTableKeepsWhatDiffers holds that two names are never cut to the same text
// where one of their ends tells them apart.
func TestTableKeepsWhatDiffers(t *testing.T) {
	names := []string{
		"registry.example.org/team/firmware-builder", "quay.io/team/firmware-builder", "docker.io/team/firmware-builder",
		"docker.io/team/firmware-tester",
	}
	for columns := 34; columns < 60; columns++ {
		out, list := &screen{columns: columns}, &table{}
		for _, name := range names {
			list.add(name, "linux/amd64")
		}
		list.write(out)
		seen := map[string]bool{}
		for line := range strings.Lines(out.String()) {
			if seen[line] {
				t.Errorf("%d columns: twice %q", columns, line)
			}
			seen[line] = true
			if w := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); w > columns {
				t.Errorf("%d columns: a line has %d: %q", columns, w, line)
			}
		}
	}
}

// TestTableLeavesOutWhatItCanSpare holds that the column that may go goes first,
// and only where the lines do not fit.
func TestTableLeavesOutWhatItCanSpare(t *testing.T) {
	list := &table{head: []string{"PLATFORM", "RULE", "WHY"}, spare: "RULE"}
	list.add("linux/arm/v7", "other-architecture", "another architecture than the one that was asked for")
	for columns, want := range map[int]string{
		0:   "linux/arm/v7  other-architecture  another architecture than",
		100: "linux/arm/v7  other-architecture  another architecture than",
		70:  "linux/arm/v7  another architecture than the one that was asked for\n",
	} {
		out := &screen{columns: columns}
		list.write(out)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%d columns: no %q in:\n%s", columns, want, out)
		}
	}
}

// TestTableKeepsAgesWhole holds that of a listing with digests neither ages nor
// sizes are cut on 80 columns, and that a name behind words is cut at its front.
func TestTableKeepsAgesWhole(t *testing.T) {
	list := &table{head: []string{"REPOSITORY", "TAG", "DIGEST", "PLATFORM", "IMAGE ID", "CREATED", "SIZE"}}
	for _, age := range []string{"3 years ago", "Less than a second ago", "About an hour ago", "About a minute ago", "-"} {
		list.add("docker.io/team/quite-a-long-name/firmware-builder", "2026.11", "sha256:"+strings.Repeat("6cde5264", 8), "linux/arm/v7 *", "6587d5f44ca3", age, "52.5MB")
	}
	out := &screen{columns: 80}
	list.write(out)
	for _, want := range []string{"  CREATED  ", "  3 years   52.5MB\n", "  now       52.5MB\n", "  1 hour    52.5MB\n", "  1 minute  52.5MB\n", "  -         52.5MB\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	for cell, want := range map[string]string{
		"(was docker.io/library/alpine:3.15)":                    "(was …ibrary/alpine:3.15)",
		"kept as docker.io/library/alpine@sha256:9389f875e0b1":   "kept as …256:9389f875e0b1",
		"e46d2921c777 linux/arm64/v8/and/so/on/and/more":         "e46d2921c777 …on/and/more",
		"manifests, configs, records of a/b":                     "manifests, configs, reco…",
		"it is built on by other images, which somebody may use": "it is built on by other …",
	} {
		if got, _ := cut(cell, 25); got != want {
			t.Errorf("cut(%q): %q, not %q", cell, got, want)
		}
	}
}
