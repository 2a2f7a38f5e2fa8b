//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/container"
	"github.com/mpull/mpull/engine/host"
)

func (p *program) runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "try a local image: check it, then start it in a container that is gone afterwards",
		UsageText: "run [flags] IMAGE [COMMAND...]",
		Description: `Predicts as mpull check does. What would not start is refused with the reason and
a way out; --force starts it all the same. Otherwise a container is made in the
store, where other tools see that the image is in use, an OCI runtime (runc, else
crun) starts it, and the container is removed when its program ends. When mpull
itself is killed its program dies too, and the next mpull run, rmi or prune
removes the container.

The program has processes, mounts, IPC, host name and, without --network host, a
network of its own (loopback only); podman's default capabilities when it is root,
else none; no new privileges; the usual paths of /proc and /sys masked or read-only.
There is no seccomp filter, and no limit on memory, CPU or processes. An ordinary
user's container is in that user's namespace, as with podman.

This is for trying an image, and no podman: no pull, no volumes, ports, pods, names
or detached containers. For these:  podman run --rm -it -v DIR:/data -p 8080:80 IMAGE

Examples:
  mpull run alpine:3.15 uname -m
  mpull run -t alpine:3.15
  mpull run --entrypoint /bin/ls --user 1000 --read-only alpine:3.15 -l /
  mpull run --platform linux/arm/v7 --force alpine:3.15

Exit codes: the program's; 128 and the signal that ended it; before it is started
125 for unknown, failed or no such image, 126 exec format error or permission
denied, 127 not found, 132 illegal instruction. A forced program that does not
start, as predicted, ends with the predicted code.`,
		Flags: append(platformFlags(),
			&cli.BoolFlag{Name: "tty", Aliases: []string{"t"}, Usage: "give the program a terminal; what is typed on a terminal goes to it"},
			&cli.BoolFlag{Name: "interactive", Aliases: []string{"i"}, Usage: "give the program the standard input"},
			&cli.BoolFlag{Name: "rm", Usage: "for podman's sake: the container is always removed"},
			&cli.StringFlag{Name: "entrypoint", Usage: "`COMMAND` instead of the config's entrypoint, or a JSON array of strings; empty for none"},
			&cli.StringSliceFlag{Name: "env", Aliases: []string{"e"}, Usage: "`NAME=VALUE`, or NAME with the value it has here; may be repeated"},
			&cli.StringFlag{Name: "workdir", Aliases: []string{"w"}, Usage: "`DIR` instead of the config's"},
			&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "`USER[:GROUP]` instead of the config's"},
			&cli.StringFlag{Name: "network", Aliases: []string{"net"}, Usage: "`NETWORK`: none or host", Value: "none"},
			&cli.BoolFlag{Name: "read-only", Usage: "make the root filesystem read-only, with empty /tmp, /run and /var/tmp"},
			&cli.BoolFlag{Name: "force", Usage: "start what is predicted not to start"},
			&cli.StringFlag{Name: "runtime", Usage: "`RUNTIME` to use: runc, crun or a path (default: runc, else crun)"},
		),
		Action: func(c *cli.Context) error { return asFailure(p.run(c)) },
	}
}

func (p *program) run(c *cli.Context) error {
	if err := exactly(c, 1, -1, "run [flags] IMAGE [COMMAND...]"); err != nil {
		return err
	}
	o, err := p.runOptions(c)
	if err != nil {
		return err
	}
	if outside() {
		// From here on this process only waits and passes signals on.
		p.release()
		if err := handSignalsIn(); err != nil {
			return err
		}
	}
	handed := handedSignals()
	p.stopDeadRuns(c.Context)
	e := p.engine(p.tellNotes)
	if unshare.IsRootless() && !o.Foreground {
		// What is typed to interrupt reaches the process outside, which passes
		// it on: it must not come here twice.
		if err := unix.Setpgid(0, 0); err != nil {
			return fmt.Errorf("leaving the process group: %w", err)
		}
	}
	o.Signals = func() <-chan os.Signal { return p.takeSignals(handed, o.Foreground && !o.TTY) }
	code, err := e.Run(c.Context, c.Args().First(), o)
	if err == nil && code != 0 {
		return &codeError{code}
	}
	return err
}

// runOptions reads the flags.
func (p *program) runOptions(c *cli.Context) (engine.RunOptions, error) {
	o := engine.RunOptions{
		CheckOptions: engine.CheckOptions{Args: c.Args().Tail(), User: c.String("user"), WorkingDir: c.String("workdir")},
		Options:      container.Options{TTY: c.Bool("tty"), ReadOnly: c.Bool("read-only"), Stdout: os.Stdout, Stderr: os.Stderr},
		Force:        c.Bool("force"), Runtime: c.String("runtime"),
	}
	if c.IsSet("entrypoint") {
		o.Entrypoint = entrypointOf(c.String("entrypoint"))
	}
	switch n := c.String("network"); n {
	case "host":
		o.HostNetwork = true
	case "none":
	default:
		return o, usagef("unknown --network %q: use none or host", n)
	}
	for _, e := range c.StringSlice("env") {
		name, _, given := strings.Cut(e, "=")
		value, here := os.LookupEnv(name)
		switch {
		case name == "":
			return o, usagef("--env %q: use NAME=VALUE", e)
		case given:
			o.Env = append(o.Env, e)
		case here:
			o.Env = append(o.Env, name+"="+value)
		}
	}
	if o.TTY && !p.inTerminal && !p.outTerminal && !p.errTerminal {
		return o, usagef("--tty passes a terminal on, and there is none here")
	}
	if c.Bool("interactive") || o.TTY && p.inTerminal {
		o.Stdin = os.Stdin
	}
	o.Foreground = o.TTY || o.Stdin != nil && p.inTerminal
	wanted, err := requests(c, host.Wants())
	if err != nil {
		return o, err
	}
	if len(wanted) > 1 || len(wanted) == 1 && len(wanted[0]) > 1 {
		return o, usagef("run takes one platform")
	}
	if len(wanted) == 1 {
		o.Platform = &wanted[0][0]
	}
	return o, nil
}

// stopDeadRuns ends what killed runs left running, as far as that must be done
// from outside a user namespace. What fails here is tried, and told, by the
// sweep inside.
func (p *program) stopDeadRuns(ctx context.Context) {
	if outside() {
		_ = engine.New(engine.Config{Store: p.store}).StopDeadRuns(ctx)
	}
}

// refusalHint is the way out of a refusal.
func refusalHint(r *engine.RefusedError) string {
	ways := []string{r.Result.Hint, ""}
	if r.Use != "" {
		ways[0] = "an image here would start: " + r.Use
	}
	ways[1] = "mpull run --force starts it all the same"
	return strings.TrimPrefix(strings.Join(ways, "; "), "; ")
}
