//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine/userfile"
)

type loadOptions struct {
	input string
	quiet bool
}

func (p *program) loadCommand() *cli.Command {
	var o loadOptions
	return &cli.Command{
		Name:      "load",
		Usage:     "bring images from an archive into local storage",
		UsageText: "load [flags] [FILE]",
		Description: `Brings the images of an archive into local storage, without a network. From an
archive of mpull save they get the digests and records that they had; of several
platforms of a name the host's own gets it, else the one that had it, and each
other one gets its repo@digest name (mpull use switches). A name that another
image holds here moves, and that is recorded, as in a pull.

OCI and docker archives of other tools are read too: all their images with all
their names, short ones as names of localhost, as podman has it. An archive that is
compressed as a whole (gzip, zstd, xz, bzip2) is unpacked on the store's disk first.

Standard output has the full image ID of each image, and nothing else. Without
FILE, which may stand behind -i, the archive is read from standard input.

Examples:
  mpull load -i alpine.tar
  mpull load < alpine.tar
  ssh builder mpull save --all-platforms alpine:3.15 | mpull load

Exit codes: 0 done; 125 the archive is not readable or not what it claims, or the
store failed.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "input", Aliases: []string{"i"}, Usage: "`FILE` to read (default: standard input)", Destination: &o.input},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but image IDs and errors", Destination: &o.quiet},
			p.progressFlag(),
		},
		Action: action(0, 1, func(ctx context.Context, names []string) error { return p.load(ctx, o, cmp.Or(names...)) }),
	}
}

func (p *program) load(ctx context.Context, o loadOptions, file string) (err error) {
	if o.input != "" && file != "" {
		return usagef("load reads one archive: %s or %s", o.input, file)
	}
	path := cmp.Or(o.input, file)
	if strings.HasPrefix(path, "https://") || strings.HasPrefix(path, "http://") {
		return instead("curl -fL "+path+" | mpull load", "load reads files and standard input, no URLs: %s", path)
	}
	view := p.newPullView("Loading", o.quiet)
	defer view.close()
	// First of all: for an ordinary user this starts the program again, which
	// must not have taken anything from standard input.
	p.inUserNamespace(false)
	e := p.newEngine(nil, view.event)
	in, name := p.in, "standard input"
	if path != "" && path != "-" {
		f, err := userfile.Open(ctx, path)
		if err != nil {
			return fmt.Errorf("reading the archive: %w", err)
		}
		defer f.Close()
		in, name = f, path
	} else if p.inTerminal {
		return usagef("name an archive, or give one on standard input")
	}
	defer runtime.KeepAlive(collectSooner())
	results, err := e.Load(ctx, in, name)
	view.end(results)
	var told []string
	for _, r := range results {
		if !slices.Contains(told, r.ID) { // an image may have several names
			told = append(told, r.ID)
			fmt.Fprintln(p.out, r.ID)
		}
	}
	return err
}
