package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
)

func (p *program) loadCommand() *cli.Command {
	return &cli.Command{
		Name:      "load",
		Usage:     "bring images from an archive into local storage",
		UsageText: "load [-i FILE] [flags]",
		Description: `Brings the images of an archive into local storage, without a network. From an
archive of mpull save they get the digests and records that they had; of several
platforms of a name the host's own gets it, else the one that had it, and each
other one gets its repo@digest name (mpull use switches). A name that another
image holds here moves, and that is recorded, as in a pull.

OCI and docker archives of other tools are read too, if they are not compressed.

Standard output has the full image ID of each image, and nothing else. Without -i
the archive is read from standard input.

Examples:
  mpull load -i alpine.tar
  mpull load < alpine.tar
  ssh builder mpull save --all-platforms alpine:3.15 | mpull load

Exit codes: 0 done; 125 the archive is not readable or not what it claims, or the
store failed.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "input", Aliases: []string{"i"}, Usage: "`FILE` to read (default: standard input)"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but image IDs and errors"},
			progressFlag(),
		},
		Action: p.load,
	}
}

func (p *program) load(c *cli.Context) (err error) {
	if err := exactly(c, 0, 0, "load [-i FILE] [flags]"); err != nil {
		return err
	}
	path := c.String("input")
	mode, err := p.progress(c)
	if err != nil {
		return err
	}
	view := newPullView(p.streams, mode, c.Bool("quiet"))
	defer view.close()
	// First of all: for an ordinary user this starts the program again, which
	// must not have taken anything from standard input.
	p.inUserNamespace(false)
	e := p.engine(view.event)
	if path == "" || path == "-" {
		var remove func() error
		if path, remove, err = p.spool(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove()) }()
	}
	collectSooner()
	results, err := e.Load(c.Context, path, engine.LoadOptions{})
	view.close()
	for _, r := range results {
		fmt.Fprintln(p.out, r.ID)
	}
	return err
}

// spool keeps standard input in a file, which an archive is read from at any
// place.
func (p *program) spool() (path string, remove func() error, err error) {
	if p.inTerminal {
		return "", nil, usagef("name an archive with -i, or give one on standard input")
	}
	f, err := os.CreateTemp("", "mpull-load-")
	if err != nil {
		return "", nil, err
	}
	remove = func() error { return os.Remove(f.Name()) }
	if _, err := io.Copy(f, p.in); err != nil {
		return "", nil, errors.Join(fmt.Errorf("reading standard input: %w", err), f.Close(), remove())
	}
	return f.Name(), remove, f.Close()
}
