//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/engine/userfile"
)

func (p *program) checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "tell whether an image would start on this machine, before it is run",
		UsageText: "check [flags] IMAGE [COMMAND...]",
		Description: `Finds the file that would really be executed (Entrypoint, Cmd or COMMAND, by PATH,
WorkingDir and User of the config), and follows it as the kernel would: #! lines,
binfmt_misc handlers, ELF headers, loaders, the level of the CPU. What the config
claims decides nothing. Nothing is run or mounted.

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
		Flags: append(append(platformFlags(), registryFlags()...),
			&cli.BoolFlag{Name: "explain", Usage: "also print what was looked at, step by step"},
			&cli.BoolFlag{Name: "remote", Usage: "guess for an image that is not here, from its index and config alone"},
			&cli.StringFlag{Name: "host", Usage: "answer for the machine that `FILE` describes, made there by mpull info --host"},
			&cli.StringFlag{Name: "entrypoint", Usage: "`COMMAND` instead of the config's entrypoint, or a JSON array of strings; empty for none"},
			&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "`USER[:GROUP]` instead of the config's"},
			&cli.StringFlag{Name: "workdir", Aliases: []string{"w"}, Usage: "`DIR` instead of the config's"},
			&cli.StringFlag{Name: "format", Usage: "print json, or by a Go `TEMPLATE`"},
		),
		Action: p.check,
	}
}

func (p *program) check(c *cli.Context) error {
	if err := exactly(c, 1, -1, "check [flags] IMAGE [COMMAND...]"); err != nil {
		return err
	}
	format := c.String("format")
	if err := checkFormat[preflight.Result](format); err != nil {
		return err
	}
	if err := p.applyRegistryFlags(c); err != nil {
		return err
	}
	on, err := hostOf(c)
	if err != nil {
		return err
	}
	native := host.Wants()
	if on != nil {
		native = on().Facts().Platform
	}
	wanted, err := requests(c, native)
	if err != nil {
		return err
	}
	if c.Bool("remote") && len(wanted) > 1 {
		return usagef("check --remote takes one platform")
	}
	result, err := p.checkResult(c, p.engineFor(on, nil), wanted)
	if err != nil {
		return err
	}
	if !c.Bool("explain") {
		result.Steps = nil
	}
	switch {
	case isJSON(format):
		err = printJSON(p.out, result)
	case format != "":
		err = printTemplate(p.out, format, []preflight.Result{result})
	default:
		p.printCheck(&result)
	}
	if err == nil && result.ExitCode != 0 {
		err = &codeError{result.ExitCode}
	}
	return err
}

func (p *program) checkResult(c *cli.Context, e *engine.Engine, wanted []engine.Fallback) (preflight.Result, error) {
	input := c.Args().First()
	if c.Bool("remote") {
		var list engine.Fallback
		if len(wanted) == 1 {
			list = wanted[0]
		}
		return e.CheckRemote(c.Context, input, list, p.retry)
	}
	if len(wanted) > 1 || len(wanted) == 1 && len(wanted[0]) > 1 {
		return preflight.Result{}, usagef("check takes one platform")
	}
	o := engine.CheckOptions{Args: c.Args().Tail(), User: c.String("user"), WorkingDir: c.String("workdir")}
	if len(wanted) == 1 {
		o.Platform = &wanted[0][0]
	}
	if c.IsSet("entrypoint") {
		o.Entrypoint = entrypointOf(c.String("entrypoint"))
	}
	return e.Check(c.Context, input, o)
}

// entrypointOf reads --entrypoint as podman does: a JSON array of strings, or
// one command; an empty one is no entrypoint, and leaves the image's Cmd.
func entrypointOf(value string) []string {
	var list []string
	switch {
	case value == "":
		return []string{}
	case json.Unmarshal([]byte(value), &list) == nil && list != nil:
		return list
	}
	return []string{value}
}

// maxHostFile bounds what is read of a description of a machine.
const maxHostFile = 16 << 20

// hostOf reads the machine to answer for; nil means this one.
func hostOf(c *cli.Context) (func() preflight.Host, error) {
	path := c.String("host")
	if path == "" {
		return nil, nil
	}
	data, err := userfile.Read(c.Context, path, maxHostFile)
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
	var b strings.Builder
	b.WriteString(string(r.Verdict))
	if r.ExitCode != 0 {
		fmt.Fprintf(&b, " (exit code %d)", r.ExitCode)
	}
	if r.Reason != "" {
		b.WriteString(": " + r.Reason)
	}
	if r.Certainty != "" {
		fmt.Fprintf(&b, " [%s]", r.Certainty)
	}
	return b.String()
}
