//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/engine/userfile"
)

type checkOptions struct {
	platform        platformFlags
	registry        registryFlags
	start           startFlags
	explain, remote bool
	host, format    string
}

func (p *program) checkCommand() *cli.Command {
	var o checkOptions
	return &cli.Command{
		Name:      "check",
		Usage:     "tell whether an image would start on this machine, before it is run",
		UsageText: "check [flags] IMAGE [COMMAND...]",
		Description: `Finds the file that would really be executed (Entrypoint, Cmd or COMMAND, by PATH,
WorkingDir and User of the config), and follows it as the kernel would: #! lines,
binfmt_misc handlers, ELF headers, loaders, the level of the CPU. What the config
claims decides nothing. Nothing of the image is run or mounted.

With --platform the image of that platform is checked that holds the name, once
held it or is kept beside it.

The verdict is native, emulated, exec-format-error, not-found, permission-denied,
illegal-instruction, or unknown with its reason; the exit code is what mpull run
would end with at that point. (A container runtime meets some of these only after
it has started the container: podman itself may end with 1 there.)

Examples:
  mpull check alpine:3.15
  mpull check --explain alpine:3.15 /bin/ls -l
  mpull check --platform linux/arm/v7 alpine:3.15
  mpull check --remote --platform linux/arm/v7 alpine:3.15
  mpull check --host device.json alpine:3.15     (device.json: mpull info --host)

Exit codes: 0 it starts; 125 unknown, or failed; 126 exec format error or
permission denied; 127 not found; 132 illegal instruction; 1 no such image.`,
		Flags: append(append(append(o.platform.flags(onePlatform+"; with --remote, a list such as native,linux/arm/v7 is tried in order"), o.registry.flags()...), o.start.flags()...),
			&cli.BoolFlag{Name: "explain", Usage: "also print what was looked at, step by step", Destination: &o.explain},
			&cli.BoolFlag{Name: "remote", Usage: "guess for an image that is not here, from its index and config alone", Destination: &o.remote},
			&cli.StringFlag{Name: "host", Usage: "answer for the machine that `FILE` describes, made there by mpull info --host", Destination: &o.host, Action: filled("host")},
			&cli.StringFlag{Name: "format", Usage: "print json, or by a Go `TEMPLATE`", Destination: &o.format},
		),
		Action: action(1, -1, func(ctx context.Context, names []string) error { return p.check(ctx, o, names[0], names[1:]) }),
	}
}

func (p *program) check(ctx context.Context, o checkOptions, image string, command []string) error {
	if err := checkFormat[preflight.Result](o.format); err != nil {
		return err
	}
	if err := p.applyRegistry(o.registry); err != nil {
		return err
	}
	native := host.Wants()
	on, err := readHost(ctx, o.host)
	if err != nil {
		return err
	}
	if on != nil {
		native = on().Facts().Platform
	}
	tooMany := "check takes one platform"
	if o.remote {
		tooMany = "check --remote takes one platform, or a list to try in order"
	}
	wanted, err := o.platform.fallback(native, tooMany)
	switch {
	case err != nil:
		return err
	case len(wanted) > 1 && !o.remote:
		return usagef("%s", tooMany)
	}
	result, err := p.predict(ctx, o, p.engineFor(on, nil), wanted, image, command)
	if err != nil {
		return err
	}
	if !o.explain {
		result.Steps = nil
	}
	err = showOne(p.out, o.format, result, func() { p.printCheck(&result) })
	if err == nil && result.ExitCode != 0 {
		err = &codeError{result.ExitCode}
	}
	return err
}

func (p *program) predict(ctx context.Context, o checkOptions, e *engine.Engine, wanted engine.Fallback, image string, command []string) (preflight.Result, error) {
	if o.remote {
		return e.CheckRemote(ctx, image, wanted, p.retry)
	}
	ask := o.start.options(command)
	if len(wanted) == 1 {
		ask.Platform = &wanted[0]
	}
	return e.Check(ctx, image, ask)
}

// startFlags change how an image is started: of check and of run.
type startFlags struct {
	entrypoint    *string // nil: the config's
	user, workdir string
}

func (f *startFlags) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "entrypoint", Usage: "`COMMAND` instead of the config's entrypoint, or a JSON array of strings; empty for none", Action: given(&f.entrypoint)},
		&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "`USER[:GROUP]` instead of the config's", Destination: &f.user},
		&cli.StringFlag{Name: "workdir", Aliases: []string{"w"}, Usage: "`DIR` instead of the config's", Destination: &f.workdir},
	}
}

func (f startFlags) options(command []string) engine.CheckOptions {
	return engine.CheckOptions{Args: command, Entrypoint: f.entry(), User: f.user, WorkingDir: f.workdir}
}

// entry reads --entrypoint as podman does: a JSON array of strings, or one
// command; an empty one is no entrypoint, and leaves the image's Cmd.
func (f startFlags) entry() []string {
	var list []string
	switch {
	case f.entrypoint == nil:
		return nil
	case *f.entrypoint == "":
		return []string{}
	case json.Unmarshal([]byte(*f.entrypoint), &list) == nil && list != nil:
		return list
	}
	return []string{*f.entrypoint}
}

// maxHostFile bounds what is read of a description of a machine.
const maxHostFile = 16 << 20

// readHost reads the description of the machine to answer for; nil, of no file,
// means this one.
func readHost(ctx context.Context, path string) (func() preflight.Host, error) {
	if path == "" {
		return nil, nil
	}
	data, err := userfile.Read(ctx, path, maxHostFile)
	if err != nil {
		return nil, fmt.Errorf("reading the host's facts: %w", err)
	}
	facts, err := host.Read(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return func() preflight.Host { return facts }, nil
}

func (p *program) printCheck(r *preflight.Result) {
	fmt.Fprintf(p.out, "%s: %s\n", escape(r.Image), escape(verdictLine(r)))
	if liar := r.Platform.Liar(); liar != "" {
		fmt.Fprintf(p.out, "  %s, but its program is for %s\n", escape(liar), escape(r.Platform.Actual))
	}
	for _, more := range []string{r.Note, r.Hint} {
		if more != "" {
			fmt.Fprintf(p.out, "  %s\n", escape(more))
		}
	}
	for _, s := range r.Steps {
		fmt.Fprintf(p.out, "  - %s\n", escape(s))
	}
}

// verdictLine is a prediction in one line.
func verdictLine(r *preflight.Result) string {
	line := string(r.Verdict)
	if r.ExitCode != 0 {
		line += fmt.Sprintf(" (exit code %d)", r.ExitCode)
	}
	if r.Reason != "" {
		line += ": " + r.Reason
	}
	if r.Certainty != "" {
		line += fmt.Sprintf(" [%s]", r.Certainty)
	}
	return line
}
