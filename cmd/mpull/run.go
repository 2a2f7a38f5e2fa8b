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

type runOptions struct {
	platform                          platformFlags
	start                             startFlags
	tty, interactive, readOnly, force bool
	env                               []string
	network, runtime                  string
}

func (p *program) runCommand() *cli.Command {
	var o runOptions
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

It is for trying an image: it has no pull, volumes, ports, pods, names or detached
containers. For these:  podman run --rm -it -v DIR:/data -p 8080:80 IMAGE

Examples:
  mpull run alpine:3.15 uname -m
  mpull run -t alpine:3.15
  mpull run --entrypoint /bin/ls --user 1000 --read-only alpine:3.15 -l /
  mpull run --platform linux/arm/v7 --force alpine:3.15

Exit codes: the program's; 128 and the signal that ended it; before it is started
125 for unknown, failed or no such image, 126 exec format error or permission
denied, 127 not found, 132 illegal instruction. A forced program that does not
start, as predicted, ends with the predicted code.`,
		Flags: append(append(o.platform.flags(onePlatform), o.start.flags()...),
			&cli.BoolFlag{Name: "tty", Aliases: []string{"t"}, Usage: "give the program a terminal; what is typed on a terminal goes to it", Destination: &o.tty},
			&cli.BoolFlag{Name: "interactive", Aliases: []string{"i"}, Usage: "give the program the standard input", Destination: &o.interactive},
			&cli.BoolFlag{Name: "rm", Usage: "for podman's sake: the container is always removed"},
			&cli.StringSliceFlag{Name: "env", Aliases: []string{"e"}, Usage: "`NAME=VALUE`, or NAME with the value it has here; may be repeated", Action: into(&o.env)},
			&cli.StringFlag{Name: "network", Aliases: []string{"net"}, Usage: "`NETWORK`: none or host", Value: "none", Destination: &o.network},
			&cli.BoolFlag{Name: "read-only", Usage: "make the root filesystem read-only, with empty /tmp, /run and /var/tmp", Destination: &o.readOnly},
			&cli.BoolFlag{Name: "force", Usage: "start what is predicted not to start", Destination: &o.force},
			&cli.StringFlag{Name: "runtime", Usage: "`RUNTIME` to use: runc, crun or a path (default: runc, else crun)", Destination: &o.runtime},
		),
		Action: action(1, -1, func(ctx context.Context, names []string) error {
			return asFailure(p.run(ctx, o, names[0], names[1:]))
		}),
	}
}

func (p *program) run(ctx context.Context, o runOptions, image string, command []string) error {
	start, err := p.startOf(o, command)
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
	p.stopDeadRuns(ctx)
	e := p.engine(p.tellNotes)
	if unshare.IsRootless() && !start.Foreground {
		// What is typed to interrupt reaches the process outside, which passes
		// it on: it must not come here twice.
		if err := unix.Setpgid(0, 0); err != nil {
			return fmt.Errorf("leaving the process group: %w", err)
		}
	}
	start.Signals = func() <-chan os.Signal { return p.takeSignals(handed, start.Foreground && !start.TTY) }
	code, err := e.Run(ctx, image, start)
	if err == nil && code != 0 {
		return &codeError{code}
	}
	return err
}

// startOf says what is started, with which streams.
func (p *program) startOf(o runOptions, command []string) (engine.RunOptions, error) {
	r := engine.RunOptions{
		CheckOptions: o.start.options(command), Force: o.force, Runtime: o.runtime,
		Options: container.Options{TTY: o.tty, ReadOnly: o.readOnly, HostNetwork: o.network == "host", Stdout: os.Stdout, Stderr: os.Stderr},
	}
	if o.network != "host" && o.network != "none" {
		return r, usagef("unknown --network %q: use none or host", o.network)
	}
	var err error
	if r.Env, err = environment(o.env); err != nil {
		return r, err
	}
	if o.tty && !p.inTerminal && !p.outTerminal && !p.errTerminal {
		return r, usagef("--tty passes a terminal on, and there is none here")
	}
	if o.interactive || o.tty && p.inTerminal {
		r.Stdin = os.Stdin
	}
	r.Foreground = o.tty || r.Stdin != nil && p.inTerminal
	r.Platform, err = o.platform.one(host.Wants(), "run takes one platform")
	return r, err
}

// environment reads the values of --env: a name alone stands for the value that
// it has here, if it has one.
func environment(texts []string) (env []string, err error) {
	for _, e := range texts {
		name, _, given := strings.Cut(e, "=")
		value, here := os.LookupEnv(name)
		switch {
		case name == "":
			return nil, usagef("--env %q: use NAME=VALUE", e)
		case given:
			env = append(env, e)
		case here:
			env = append(env, name+"="+value)
		}
	}
	return env, nil
}

// stopDeadRuns ends the programs of runs that were killed, where only the process
// outside a user namespace can. What fails here the sweep inside tries, and tells.
func (p *program) stopDeadRuns(ctx context.Context) {
	if outside() {
		_ = engine.New(engine.Config{Store: p.store}).StopDeadRuns(ctx)
	}
}
