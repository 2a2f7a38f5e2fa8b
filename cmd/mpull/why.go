//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/store/query"
)

func (p *program) whyCommand() *cli.Command {
	var format string
	return &cli.Command{
		Name:      "why",
		Usage:     "tell which image lost which name, when, to what, by which command",
		UsageText: "why [flags] IMAGE",
		Description: `Tells the story of an image (by ID), or of all images that hold or held a name:
which name each lost, when, to which image of which platform, by which command,
and the command that gives the name back. A name that another tool moved is told
from the store's history, which knows neither when nor why.

Examples:
  mpull why alpine:3.15
  mpull why 6587d5f44ca3
  mpull why --format json alpine:3.15

Exit codes: 0 told; 1 no image has or had that name; 125 failed.`,
		Flags:  []cli.Flag{&cli.StringFlag{Name: "format", Usage: "print json, or by a Go `TEMPLATE`", Destination: &format}},
		Action: action(1, 1, func(ctx context.Context, names []string) error { return p.why(ctx, format, names[0]) }),
	}
}

func (p *program) why(ctx context.Context, format, image string) error {
	if err := checkFormat[engine.Story](format); err != nil {
		return err
	}
	story, err := p.engine(nil).Why(ctx, image)
	if err != nil {
		return err
	}
	return showOne(p.out, format, *story, func() { printStory(p.out, story) })
}

func printStory(w io.Writer, story *engine.Story) {
	for _, img := range story.Images {
		fmt.Fprintf(w, "%.12s  %s%s\n", img.ID, whatItIs(img.Platform, img.IsList), nowCalled(img, story.Name))
		if img.Problem != "" {
			fmt.Fprintf(w, "  its displacement record cannot be read: %s\n", escape(img.Problem))
		}
		others := 0
		for _, l := range img.Lost {
			if story.Name == "" || l.Name == story.Name {
				printLoss(w, img, l)
			} else {
				others++
			}
		}
		switch {
		case others > 0:
			fmt.Fprintf(w, "  lost %s, of which mpull why %.12s tells\n", plural(others, "other name"), img.ID)
		case len(img.Lost) == 0:
			fmt.Fprintln(w, "  lost no name")
		}
	}
}

// nowCalled says what an image is called now: by the name that the story is of,
// where it has that.
func nowCalled(img engine.ImageStory, name string) string {
	switch {
	case img.Dangling:
		return ", dangling"
	case slices.Contains(img.Names, name):
		return ", has the name " + escape(name)
	case len(img.Names) > 0:
		return ", named " + escape(shortName(img.Names[0]))
	}
	return ""
}

func printLoss(w io.Writer, img engine.ImageStory, l query.Lost) {
	name := escape(l.Name)
	switch {
	case l.OtherTool:
		fmt.Fprintf(w, "  lost %s; another tool moved or removed it, at a time that is not known\n", name)
	case l.By.ID == "":
		fmt.Fprintf(w, "  lost %s on %s; it was removed\n    by: mpull %s\n", name, when(l.At), escape(l.Command))
	default:
		fmt.Fprintf(w, "  lost %s on %s\n    to: %.12s for %s\n    by: mpull %s\n",
			name, when(l.At), escape(l.By.ID), orNone(escape(l.By.Platform)), escape(l.Command))
	}
	fmt.Fprintf(w, "    give it back: mpull restore %.12s %s\n", img.ID, name)
}
