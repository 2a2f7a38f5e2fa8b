//go:build linux

package main

import (
	"errors"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
)

func (p *program) outdatedCommand() *cli.Command {
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
		Flags: append(registryFlags(),
			&cli.StringFlag{Name: "locked", Usage: "compare what the lock `FILE` has"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print the names that are outdated, and nothing else"},
			&cli.StringFlag{Name: "format", Usage: "print json, or each name by a Go `TEMPLATE`"},
			&cli.BoolFlag{Name: "noheading", Aliases: []string{"no-heading"}, Usage: "print no heading"},
		),
		Action: p.outdated,
	}
}

func (p *program) outdated(c *cli.Context) error {
	if err := p.applyRegistryFlags(c); err != nil {
		return err
	}
	o := engine.OutdatedOptions{Retry: p.retry}
	inputs, file := c.Args().Slice(), c.String("locked")
	if file == "" && len(inputs) == 1 && isFile(inputs[0]) {
		file, inputs = inputs[0], nil
	}
	e := p.lookEngine(file != "")
	if file != "" {
		var err error
		if o.Lock, err = readLock(c.Context, file); err != nil {
			return err
		}
	}
	rows, err := e.Outdated(c.Context, inputs, o)
	if err != nil && rows == nil {
		return asFailure(err)
	}
	for i := range rows {
		rows[i].Reason = p.secrets.Strike(rows[i].Reason)
	}
	if err := errors.Join(err, p.printOutdated(c, rows)); err != nil {
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

func (p *program) printOutdated(c *cli.Context, rows []engine.TagStatus) error {
	switch format := c.String("format"); {
	case c.Bool("quiet"):
		t := &table{}
		for _, r := range rows {
			if r.State == engine.TagOutdated {
				t.add(r.Name)
			}
		}
		return t.write(p.out)
	case isJSON(format):
		return printJSON(p.out, rows)
	case format != "":
		return printTemplate(p.out, format, rows)
	}
	t := &table{}
	if !c.Bool("noheading") {
		t.head = []string{"NAME", "STATE", "HAVE", "NOW"}
	}
	for _, r := range rows {
		t.add(r.Name, string(r.State), orDash(shortDigest(r.Have.String())), orDash(shortDigest(r.Now.String())))
	}
	return t.write(p.out)
}
