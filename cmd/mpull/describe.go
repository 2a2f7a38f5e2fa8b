//go:build linux

package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// commandDoc is what is known about one command: --help prints it, and as JSON
// the generator of man pages reads it.
type commandDoc struct {
	Name      string       `json:"name"` // "mpull", "pull", "image ls"
	Aliases   []string     `json:"aliases,omitempty"`
	Usage     string       `json:"usage"`    // one line
	Synopsis  []string     `json:"synopsis"` // lines that begin with mpull
	Text      string       `json:"text,omitempty"`
	Examples  []string     `json:"examples,omitempty"`
	ExitCodes string       `json:"exitCodes,omitempty"`
	Elsewhere string       `json:"elsewhere,omitempty"` // what users of other tools look for
	Flags     []flagDoc    `json:"flags,omitempty"`
	Commands  []commandDoc `json:"commands,omitempty"`
}

// flagDoc is what is known about one flag.
type flagDoc struct {
	Names   []string `json:"names"`           // with dashes: short ones first
	Value   string   `json:"value,omitempty"` // what stands for its value; "" for a switch
	Usage   string   `json:"usage"`
	Default string   `json:"default,omitempty"`
}

// describe gathers what the app, or the command that path leads to, says about
// itself.
func describe(app *cli.App, path []string) commandDoc {
	c := &cli.Command{Usage: app.Usage, UsageText: app.UsageText, Description: app.Description, Flags: app.Flags, Subcommands: app.Commands}
	for _, name := range path {
		c = c.Subcommands[slices.IndexFunc(c.Subcommands, func(s *cli.Command) bool { return s.Name == name })]
	}
	name := strings.Join(path, " ")
	doc := commandDoc{
		Name: cmp.Or(name, app.Name), Aliases: c.Aliases, Usage: c.Usage, Elsewhere: elsewhere(name), Flags: flagDocs(c.VisibleFlags()),
	}
	for i, l := range strings.Split(c.UsageText, "\n") {
		if l = strings.TrimSpace(l); i == 0 {
			l = app.Name + " " + l
		}
		doc.Synopsis = append(doc.Synopsis, l)
	}
	doc.takeText(c.Description)
	for _, s := range c.Subcommands {
		if !s.Hidden {
			doc.Commands = append(doc.Commands, describe(app, append(slices.Clone(path), s.Name)))
		}
	}
	return doc
}

// takeText takes a description apart: text, examples, exit codes.
func (d *commandDoc) takeText(description string) {
	var text []string
	for _, part := range strings.Split(strings.TrimSpace(description), "\n\n") {
		switch {
		case strings.HasPrefix(part, "Examples:\n"):
			for _, l := range strings.Split(part, "\n")[1:] {
				d.Examples = append(d.Examples, strings.TrimPrefix(l, "  "))
			}
		case strings.HasPrefix(part, "Exit codes: "):
			d.ExitCodes = strings.TrimPrefix(part, "Exit codes: ")
		case part != "":
			text = append(text, part)
		}
	}
	d.Text = strings.Join(text, "\n\n")
}

func flagDocs(flags []cli.Flag) (docs []flagDoc) {
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok || f.Names()[0] == "help" {
			continue
		}
		doc := flagDoc{Usage: d.GetUsage()}
		if d.TakesValue() {
			doc.Value = "VALUE"
			if parts := strings.SplitN(doc.Usage, "`", 3); len(parts) == 3 {
				doc.Value, doc.Usage = parts[1], strings.Join(parts, "")
			}
			doc.Default = flagDefault(d)
		}
		for _, n := range f.Names() {
			if len(n) == 1 {
				doc.Names = append([]string{"-" + n}, doc.Names...)
			} else {
				doc.Names = append(doc.Names, "--"+n)
			}
		}
		docs = append(docs, doc)
	}
	slices.SortFunc(docs, func(a, b flagDoc) int { return strings.Compare(a.long(), b.long()) })
	return docs
}

// flagDefault is the default worth telling: not an empty one, and not one that
// the usage tells in words.
func flagDefault(d cli.DocGenerationFlag) string {
	value := strings.Trim(d.GetValue(), `"`)
	if strings.Contains(d.GetUsage(), "(default") || value == "" || value == "0" || value == "0s" || value == "[]" || value == "false" {
		return ""
	}
	return value
}

// long is the first long name, without dashes.
func (f flagDoc) long() string {
	for _, n := range f.Names {
		if strings.HasPrefix(n, "--") {
			return n[2:]
		}
	}
	return f.Names[0][1:]
}

// describeCommand prints the whole app as JSON, for contrib/gen.
func (p *program) describeCommand() *cli.Command {
	return &cli.Command{Name: "__describe", Hidden: true, UsageText: "__describe", Action: action(0, 0, func(context.Context, []string) error {
		return printJSON(p.out, describe(newApp(p.streams), nil))
	})}
}
