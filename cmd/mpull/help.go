//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/urfave/cli/v2"
)

// helpRequest is the error with which a command line ends that asks for help.
type helpRequest struct {
	path []string
	all  bool // of the program itself: all commands and flags, not one screen
}

// helpAll is the word behind help that asks for all.
const helpAll = "all"

func (h *helpRequest) Error() string { return "help was asked for" }

// Width of a help text: 80 columns, on a wide terminal more.
const (
	helpColumns    = 80
	helpMostColumn = 100
	helpFlagColumn = 26 // where the text of a flag begins
)

// printHelp prints what --help prints. Flags come after the examples: most
// readers look for a line to copy.
func printHelp(s *streams, app *cli.App, request *helpRequest) error {
	columns := helpColumns
	if s.width > 0 {
		columns = max(40, min(s.width, helpMostColumn))
	}
	h := &helpText{columns: columns}
	doc := describe(app, request.path)
	if len(request.path) == 0 && !request.all {
		h.screen(doc)
	} else {
		h.command(doc)
	}
	_, err := io.WriteString(s.out, h.String())
	return err
}

type helpText struct {
	strings.Builder
	columns int
}

// group is a part of the commands, as the first help lists them.
type group struct {
	title    string
	commands []string
}

// groups have each command once; a test holds that none is missing.
func groups() []group {
	return []group{
		{"Pull and look", []string{"pull", "images", "image", "platforms", "tags", "inspect", "manifest", "match"}},
		{"Keep and clean", []string{"why", "use", "restore", "tag", "untag", "rmi", "prune", "df", "lock", "outdated"}},
		{"Start", []string{"check", "run"}},
		{"Move", []string{"save", "load", "login", "logout"}},
		{"Machine", []string{"info", "doctor", "version", "completion"}},
	}
}

// screen prints what fits on one screen of 24 lines: what there is, by groups,
// and lines to copy.
func (h *helpText) screen(d commandDoc) {
	h.usage(d.Name, d)
	h.WriteString("\n")
	for _, g := range groups() {
		h.wrapped(strings.Join(g.commands, ", "), fmt.Sprintf("%-16s", g.title), strings.Repeat(" ", 16))
	}
	h.WriteString("\n  " + strings.Join(d.Examples, "\n  ") + "\n\n")
	h.wrapped("mpull help COMMAND explains one, mpull help "+helpAll+" lists them with what they do, global flags and exit codes.", "", "")
}

// usage prints how both kinds of help begin.
func (h *helpText) usage(title string, d commandDoc) {
	h.wrapped(title+" - "+d.Usage, "", "  ")
	h.WriteString("\nUsage:\n  " + strings.Join(d.Synopsis, "\n  ") + "\n")
}

func (h *helpText) command(d commandDoc) {
	title := "mpull " + d.Name
	if d.Name == "mpull" {
		title = d.Name
	}
	h.usage(title, d)
	if len(d.Aliases) > 0 {
		h.WriteString("\nAlso: " + strings.Join(d.Aliases, ", ") + "\n")
	}
	if d.Text != "" {
		h.WriteString("\n" + d.Text + "\n")
	}
	if len(d.Commands) > 0 {
		h.WriteString("\nCommands:\n")
		for _, c := range d.Commands {
			name := c.Name[strings.LastIndexByte(c.Name, ' ')+1:]
			h.wrapped(c.Usage, fmt.Sprintf("  %-12s", name), strings.Repeat(" ", 14))
		}
	}
	if len(d.Examples) > 0 {
		h.WriteString("\nExamples:\n  " + strings.Join(d.Examples, "\n  ") + "\n")
	}
	if len(d.Flags) > 0 {
		h.WriteString("\nFlags:\n")
		for _, f := range d.Flags {
			h.flag(f)
		}
	}
	if d.ExitCodes != "" {
		h.WriteString("\n")
		h.wrapped("Exit codes: "+d.ExitCodes, "", "  ")
	}
	if d.Elsewhere != "" {
		h.WriteString("\n")
		h.wrapped("Elsewhere: "+d.Elsewhere, "", "  ")
	}
	if d.Name == "mpull" {
		h.WriteString("\nmpull COMMAND --help explains a command.\n")
	}
}

// flag prints a flag with its text beside it; a long one has it below.
func (h *helpText) flag(f flagDoc) {
	label := "    --" + f.long()
	if len(f.Names[0]) == 2 {
		label = f.Names[0] + ", --" + f.long()
	}
	if f.Value != "" {
		label += " " + f.Value
	}
	text := f.Usage
	if f.Default != "" {
		text += " (default: " + f.Default + ")"
	}
	var others []string
	for _, n := range f.Names {
		if strings.HasPrefix(n, "--") && n != "--"+f.long() {
			others = append(others, n)
		}
	}
	if len(others) > 0 {
		text += "; also " + strings.Join(others, ", ")
	}
	first := "  " + label + "  "
	if len(first) > helpFlagColumn {
		h.WriteString("  " + label + "\n")
		first = ""
	}
	rest := strings.Repeat(" ", helpFlagColumn)
	h.wrapped(text, first+rest[len(first):], rest)
}

// wrapped writes text in lines of at most the columns there are.
func (h *helpText) wrapped(text, first, rest string) {
	line, prefix := first, first
	for _, word := range strings.Fields(text) {
		if line != prefix && runewidth.StringWidth(line)+1+runewidth.StringWidth(word) > h.columns {
			h.WriteString(strings.TrimRight(line, " ") + "\n")
			line, prefix = rest, rest
		}
		if line != prefix || line != "" && !strings.HasSuffix(line, " ") {
			line += " "
		}
		line += word
	}
	h.WriteString(strings.TrimRight(line, " ") + "\n")
}

// elsewhere tells what users of podman, docker and skopeo know a command as;
// "" is mpull itself.
func elsewhere(path string) string {
	return map[string]string{
		"":                 "the store is podman's, buildah's and skopeo's; what mpull pulls, they run",
		"pull":             "podman pull, docker pull, skopeo copy docker://IMAGE containers-storage:IMAGE",
		"images":           "podman images, docker images; podman images --filter dangling=true is --dangling here",
		"image":            "podman image, docker image",
		"image ls":         "podman image ls, docker image ls",
		"image exists":     "podman image exists",
		"image inspect":    "podman image inspect, docker image inspect",
		"image info":       "oc image info; podman manifest inspect and docker buildx imagetools inspect show the same as JSON",
		"platforms":        "oc image info; docker buildx imagetools inspect; podman manifest inspect IMAGE | jq -c .manifests[].platform",
		"manifest":         "podman manifest, docker manifest; mpull only reads",
		"manifest inspect": "podman manifest inspect, docker manifest inspect, skopeo inspect --raw",
		"inspect":          "podman inspect and docker inspect for a name, skopeo inspect for docker://NAME",
		"tags":             "skopeo list-tags, podman search --list-tags, crane ls",
		"match":            "no other tool tells why a platform was chosen",
		"prune":            "podman image prune, docker image prune; --all is their -a",
		"df":               "podman system df, docker system df",
		"doctor":           "podman system check (from podman 5)",
		"tag":              "podman tag, docker tag",
		"untag":            "podman untag; docker rmi NAME",
		"rmi":              "podman rmi, podman image rm, docker rmi; skopeo delete removes from a registry, mpull never does",
		"check":            "no other tool predicts; they start the container and fail with exec format error",
		"run":              "podman run --rm, docker run --rm",
		"why":              "podman image inspect --format '{{.NamesHistory}}' tells the names, not when and by what they were lost",
		"restore":          "podman tag ID NAME, when ID and NAME are known",
		"use":              "podman tag ID NAME; podman pull --platform, which asks the registry",
		"info":             "podman info, docker info; .Store.GraphRoot, .Store.GraphDriverName, .Host.Arch and .Host.OS are podman's",
		"login":            "podman login, skopeo login, docker login; docker's file is read, and written with --compat-auth-file ~/.docker/config.json",
		"logout":           "podman logout, skopeo logout, docker logout",
		"completion":       "podman completion, docker completion, skopeo completion",
		"version":          "podman version, skopeo --version, docker version",
		"save":             "podman save --format oci-archive, docker save, skopeo copy containers-storage:IMAGE oci-archive:FILE",
		"load":             "podman load, docker load, skopeo copy oci-archive:FILE containers-storage:IMAGE",
		"lock":             "no other tool; skopeo inspect --format '{{.Digest}}' for one image",
		"outdated":         "no other tool; podman auto-update --dry-run for containers of systemd units",
	}[path]
}

// helpFor is what "mpull help COMMAND..." asks for.
func (l *line) helpFor(names []string) error {
	if len(names) == 1 && names[0] == helpAll {
		return &helpRequest{all: true}
	}
	for _, n := range names {
		if !l.enter(n) {
			return usagef("there is no command %q to explain", strings.Join(names, " "))
		}
	}
	return &helpRequest{path: slices.Clone(l.path)}
}
