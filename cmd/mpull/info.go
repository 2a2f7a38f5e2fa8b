//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
)

type infoOptions struct {
	format string
	host   bool
}

func (p *program) infoCommand() *cli.Command {
	var o infoOptions
	return &cli.Command{
		Name:      "info",
		Usage:     "show which files and store are in force, what runs here, and what is missing",
		UsageText: "info [flags]",
		Description: `Shows which storage.conf, registries.conf, policy.json and auth file are read, the
store and its driver, which platforms this machine runs natively or through an
emulator, and what is missing, with the Debian and Fedora packages that have it.
No store is opened, no registry asked.

--host prints the facts about this machine that decide what starts on it, for
mpull check --host on another one.

Examples:
  mpull info
  mpull info --format json
  mpull info --format '{{.Store.Driver}} {{.Store.Root}}'
  mpull info --host > device.json

Exit codes: 0 done; 125 a configuration file cannot be read, or bad usage.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Usage: "print json, or by a Go `TEMPLATE`", Destination: &o.format},
			&cli.BoolFlag{Name: "host", Usage: "print the facts about this machine, as JSON", Destination: &o.host},
		},
		Action: action(0, 0, func(context.Context, []string) error { return p.info(o) }),
	}
}

func (p *program) info(o infoOptions) error {
	if o.host { // the facts that mpull check --host FILE reads on another machine
		return printJSON(p.out, host.Local().Portable())
	}
	if err := checkFormat[engine.Info](o.format); err != nil {
		return err
	}
	info, err := p.lookEngine(true).Info()
	if err != nil {
		return err
	}
	return showOne(p.out, o.format, info, func() { p.printInfo(&info) })
}

func (p *program) printInfo(info *engine.Info) {
	t := &table{whole: true}
	user := "root"
	if info.Rootless {
		user = "an ordinary user (rootless)"
	} else if sudoer := os.Getenv("SUDO_USER"); sudoer != "" && sudoer != "root" {
		user = "root through sudo, not " + sudoer
	}
	v := readVersion()
	t.add("mpull", v.Version+" (commit "+v.Commit+"), run by "+user+", store of "+info.Store.Owner+" at "+info.Store.Root)
	t.add("host", info.Host.Platform+", kernel "+info.Host.Kernel)
	t.add("native", strings.Join(info.Host.Native, " "))
	t.add("emulated", emulatedText(info.Host.Emulated))
	state := ""
	switch {
	case !info.Store.Exists:
		state = " (not there yet)"
	case !info.Store.Writable:
		state = " (read-only)"
	}
	t.add("store", info.Store.Root+state)
	if info.Store.Images != "" {
		t.add("image store", info.Store.Images)
	}
	t.add("driver", info.Store.Driver)
	for _, c := range info.Config {
		text := strings.Join(c.InForce, " ")
		switch {
		case c.Problem != "":
			text = strings.TrimSpace(text + " " + c.Problem)
		case text == "":
			text = "none (looked for " + strings.Join(c.Looked, ", ") + ")"
		}
		t.add(c.Name, text)
	}
	addCRIO(t, info)
	t.write(p.out)
	for _, m := range info.Missing {
		fmt.Fprintf(p.out, "missing: %s\n", escape(missingText(m)))
	}
}

// addCRIO adds what CRI-O's configuration says, and that its store is another
// one, where it is.
func addCRIO(t *table, info *engine.Info) {
	c := info.CRIO
	if c == nil {
		return
	}
	t.add("CRI-O", strings.Join(c.Files, " "))
	t.add("pinned", orDash(strings.Join(c.Pinned, " ")))
	if c.Root != "" && filepath.Clean(c.Root) != info.Store.Root {
		t.add("CRI-O's store", c.Root+" (not this one: name it with --root)")
	}
}

// emulatedText groups platforms by the program that runs them.
func emulatedText(list []engine.EmulatedInfo) string {
	var names []string
	for _, e := range list {
		name := e.Platform
		if !e.AnyImage {
			name += " (only images that ship " + e.Handler + ")"
		}
		names = append(names, name)
	}
	return orDash(strings.Join(names, " "))
}

func missingText(m engine.Missing) string {
	text := m.What + ": " + m.Effect + "; Debian: apt install " + m.Debian + "; Fedora: dnf install " + m.Fedora
	if m.Sample != "" {
		text += "; sample: " + m.Sample
	}
	return text
}
