//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
)

type outdatedOptions struct {
	registry         registryFlags
	locked, format   string
	quiet, noHeading bool
}

func (p *program) outdatedCommand() *cli.Command {
	var o outdatedOptions
	return &cli.Command{
		Name:      "outdated",
		Usage:     "tell which tags stand for another image in the registry by now",
		UsageText: "outdated [flags] [IMAGE...|FILE]",
		Description: `Compares the tags of local images, or of a lock file (mpull lock), with the
registry, by one HEAD request for each name: nothing is transferred, and no
registry counts that as a pull. Names of localhost are left out. One argument that
is a file is taken for a lock file, as with --locked.

STATE is current, outdated, or unknown with the reason on standard error.

Fields for --format: Name State Have Now Reason.

Examples:
  mpull outdated
  mpull outdated alpine:3.15
  mpull outdated images.lock || mpull lock images.lock
  mpull outdated --format '{{if eq .State "outdated"}}{{.Name}}{{end}}'

Exit codes: 0 all are current; 1 one is outdated; 125 the registry did not say for
one, or no such image.`,
		Flags: append(o.registry.flags(),
			&cli.StringFlag{Name: "locked", Usage: "compare what the lock `FILE` has", Destination: &o.locked, Action: filled("locked")},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print the names that are outdated, and nothing else", Destination: &o.quiet},
			&cli.StringFlag{Name: "format", Usage: "print json, or each name by a Go `TEMPLATE`", Destination: &o.format},
			&cli.BoolFlag{Name: "noheading", Aliases: []string{"no-heading"}, Usage: "print no heading", Destination: &o.noHeading},
		),
		Action: action(0, -1, func(ctx context.Context, names []string) error { return p.outdated(ctx, o, names) }),
	}
}

func (p *program) outdated(ctx context.Context, o outdatedOptions, names []string) error {
	if err := p.applyRegistry(o.registry); err != nil {
		return err
	}
	ask, file := engine.OutdatedOptions{Retry: p.retry}, o.locked
	if file == "" && len(names) == 1 && isFile(names[0]) {
		file, names = names[0], nil
	}
	e := p.lookEngine(file != "")
	if file != "" {
		var err error
		if ask.Lock, err = readLock(ctx, file); err != nil {
			return err
		}
	}
	rows, err := e.Outdated(ctx, names, ask)
	if err != nil && rows == nil {
		return asFailure(err)
	}
	for i := range rows {
		rows[i].Reason = p.secrets.Strike(rows[i].Reason)
	}
	if err := errors.Join(err, p.printOutdated(o, rows)); err != nil {
		return asFailure(err)
	}
	code := 0
	for _, r := range rows {
		switch {
		case r.Err != nil:
			// A line for each: together they could be too long for one.
			p.line("Error: %s", oneLine(r.Reason))
			code = exitFailed
		case r.State == engine.TagOutdated && code == 0:
			code = exitNo
		}
	}
	if code != 0 {
		return &codeError{code}
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() // a pipe of the shell, too
}

func (p *program) printOutdated(o outdatedOptions, rows []engine.TagStatus) error {
	if o.quiet {
		for _, r := range rows {
			if r.State == engine.TagOutdated {
				fmt.Fprintln(p.out, escape(r.Name))
			}
		}
		return nil
	}
	t := &table{}
	if !o.noHeading {
		t.head = []string{"NAME", "STATE", "HAVE", "NOW"}
	}
	for _, r := range rows {
		t.add(r.Name, string(r.State), orDash(shortDigest(r.Have.String())), orDash(shortDigest(r.Now.String())))
	}
	return show(p.out, o.format, rows, rows, func() { t.write(p.out) })
}
