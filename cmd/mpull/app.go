//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
)

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, s *streams) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if s.secrets == nil {
		s.secrets = &registry.Secrets{}
	}
	ctx = s.secrets.Trace(ctx)
	ended := make(chan struct{})
	s.release = sync.OnceFunc(cancelOnSignal(s, cancel, ended))
	defer s.release()
	go tellWaits(s, ended)
	err := guarded(func() error { return command(ctx, args, s) })
	close(ended)
	err = s.outcome(err)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = errors.Join(cause, err)
	}
	if err != nil {
		report(s, err)
	}
	return exitCode(err)
}

// command carries out one command line.
func command(ctx context.Context, args []string, s *streams) error {
	app := newApp(s)
	l := newLine(app)
	var err error
	if len(args) > 1 && args[1] == completeName { // what shells hand over to be completed is no command line yet
		args = completionArgs(app, args)
	} else {
		args, err = l.straighten(args)
	}
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	err = seeHelp(err, l.path)
	if help, ok := errors.AsType[*helpRequest](err); ok {
		return printHelp(s, app, help)
	}
	return err
}

// program is what commands share: streams, and global flags once parsed.
type program struct {
	*streams
	store      store.Options
	registry   registry.Options
	retry      engine.Retry // of requests, once the registry flags are applied
	guard      bool         // --guard-tags
	logLevel   string
	progress   progressMode // auto of a command without the flag
	crioConfig *string      // --crio-config
	typing     bool         // a command line is being completed: nobody reads what is said
	userMask   int          // the umask that mpull was started with; negative while it is in force
}

func newApp(s *streams) *cli.App {
	p := &program{streams: s, progress: progressAuto, userMask: -1}
	app := &cli.App{
		Name:      "mpull",
		Usage:     "pull images of a chosen platform, and keep track of the ones that lose their name to them",
		UsageText: "[global flags] [pull] IMAGE...\n  mpull [global flags] COMMAND [flags] [arguments]",
		Version:   buildVersion,
		Flags:     p.globalFlags(),
		Commands:  p.commands(),
		Writer:    s.out, ErrWriter: s.err,
		HideVersion: true,
		HideHelp:    true, // straighten finds --help, printHelp answers it
		// Values hold commas: lists of platforms, environments, options of mounts.
		DisableSliceFlagSeparator: true,
		// Errors are reported in one place, run; the library would exit by itself.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
		Description:    appDescription,
	}
	adopt(app.Commands)
	for _, c := range app.Commands {
		c.Before = func(*cli.Context) error { return p.applyGlobals() }
	}
	return app
}

// adopt gives each command what the library does not inherit.
func adopt(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = onUsageError
		c.HideHelp = true
		adopt(c.Subcommands)
	}
}

// appDescription is what mpull --help says beside commands and flags.
const appDescription = `Examples:
  mpull alpine:3.15                                     the host's platform
  mpull --arch arm --os linux --variant v7 alpine:3.15  another; the tag moves
  mpull images                                          what is here, dangling
  mpull prune                                           get the bytes back

Exit codes: 0 done; 1 no such image, or the answer is no; 2 image in use by a
container; 125 mpull, a registry or the store failed, or bad usage; 126, 127, 132
what mpull check predicts and mpull run ends with; 130 interrupted, 143 by SIGTERM.`

func onUsageError(_ *cli.Context, err error, _ bool) error {
	return usagef("%v", err)
}

func (p *program) commands() []*cli.Command {
	return []*cli.Command{
		p.pullCommand(),
		p.imagesCommand(),
		p.imageCommand(),
		p.platformsCommand(),
		p.manifestCommand(),
		p.inspectCommand(),
		p.tagsCommand(),
		p.matchCommand(),
		p.pruneCommand(),
		p.dfCommand(),
		p.tagCommand(),
		p.untagCommand(),
		p.rmiCommand(),
		p.checkCommand(),
		p.runCommand(),
		p.whyCommand(),
		p.restoreCommand(),
		p.useCommand(),
		p.loginCommand(),
		p.logoutCommand(),
		p.infoCommand(),
		p.doctorCommand(),
		p.lockCommand(),
		p.outdatedCommand(),
		p.saveCommand(),
		p.loadCommand(),
		p.versionCommand(),
		p.completionCommand(),
		p.completeCommand(),
		p.describeCommand(),
	}
}

// line prints one line for people.
func (p *program) line(format string, args ...any) {
	fmt.Fprintf(p.err, format+"\n", args...)
}
