//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"
	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/crio"
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
	args, path, err := arrange(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	err = seeHelp(err, path)
	var help *helpRequest
	if errors.As(err, &help) {
		return printHelp(s, app, help)
	}
	return err
}

// arrange puts a command line into order. What shells hand over to be completed
// is no command line yet. The path leads to the command that is meant.
func arrange(app *cli.App, args []string) (ordered, path []string, err error) {
	if len(args) > 1 && args[1] == completeName {
		return completionArgs(app, args), nil, nil
	}
	l := newLine(app)
	ordered, err = l.straighten(args)
	return ordered, l.path, err
}

// program is what commands share: streams, and global flags once parsed.
type program struct {
	*streams
	store     store.Options
	registry  registry.Options
	retry     engine.Retry // of requests, once the registry flags are applied
	guard     bool         // --guard-tags
	rootNamed bool         // --root is given
	userMask  int          // the umask that mpull was started with; negative while it is in force
}

func newApp(s *streams) *cli.App {
	p := &program{streams: s, userMask: -1}
	app := &cli.App{
		Name:      "mpull",
		Usage:     "pull images of a chosen platform, and keep track of the ones that lose their name to them",
		UsageText: "mpull [global flags] [pull] IMAGE...\nmpull [global flags] COMMAND [flags] [arguments]",
		Version:   buildVersion,
		Flags:     p.globalFlags(),
		Before:    p.before,
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

func (p *program) globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "root", Usage: "graph `DIR` of the store (default: storage.conf's)", Destination: &p.store.Root},
		&cli.StringFlag{Name: "runroot", Usage: "run `DIR` of the store (default: storage.conf's)", Destination: &p.store.RunRoot},
		&cli.StringFlag{Name: "imagestore", Usage: "`DIR` where images lie apart from the graph root (default: storage.conf's or CRI-O's)", Destination: &p.store.ImageStore},
		&cli.StringFlag{Name: "crio-config", Usage: "`PATH` of CRI-O's configuration, a file or a folder; empty for none (default: MPULL_CRIO_CONFIG, else /etc/crio for root)"},
		&cli.StringFlag{Name: "storage-driver", Usage: "storage `DRIVER`: overlay or vfs (default: storage.conf's)", Destination: &p.store.Driver},
		&cli.BoolFlag{Name: "sync", Usage: "write a layer's files to the disk before the layer counts as complete, so that a power loss cannot damage it (overlay)", Destination: &p.store.Sync},
		&cli.StringSliceFlag{Name: "storage-opt", Usage: "`OPTION` of the storage driver, as for podman; may be repeated"},
		&cli.StringFlag{Name: "registries-conf", Usage: "`FILE` to read instead of registries.conf", Destination: &p.registry.RegistriesConf},
		&cli.StringFlag{Name: "policy-file", Usage: "`FILE` to read instead of policy.json", Destination: &p.registry.PolicyFile},
		&cli.BoolFlag{Name: "guard-tags", Usage: "move no name of an image in use to an image of another platform: exit code 2", Destination: &p.guard},
		&cli.StringFlag{Name: "log-level", Usage: "`LEVEL` of messages from the libraries: debug, info, warn, error", Value: "warn"},
	}
}

// logFormat leaves out what the library says of storage.conf and is not so: of
// two roots, an ordinary user's is not the one that is root's.
type logFormat struct{ *logrus.TextFormatter }

// Format implements logrus.Formatter.
func (f logFormat) Format(e *logrus.Entry) ([]byte, error) {
	if strings.HasPrefix(e.Message, "Both rootless_storage_path and graphroot are set") {
		return nil, nil
	}
	return f.TextFormatter.Format(e)
}

// before applies the global flags. It runs before each command.
func (p *program) before(c *cli.Context) error {
	level, err := logrus.ParseLevel(c.String("log-level"))
	if err != nil {
		return usagef("unknown --log-level %q: use debug, info, warn or error", c.String("log-level"))
	}
	logrus.SetLevel(level)
	logrus.SetOutput(p.err)
	// The standard library's HTTP client has a say of its own about a server's
	// bad manners.
	log.SetOutput(io.Discard)
	if level >= logrus.DebugLevel {
		log.SetOutput(p.err)
	}
	logrus.SetFormatter(logFormat{&logrus.TextFormatter{DisableColors: true, FullTimestamp: level >= logrus.DebugLevel, DisableTimestamp: level < logrus.DebugLevel}})
	if err := p.checkPlaces(c); err != nil {
		return err
	}
	p.store.DriverOptions = c.StringSlice("storage-opt")
	p.store.CRIO = crioSource(c)
	if err := p.registry.CheckFiles(); err != nil {
		return err
	}
	p.registry.RuntimeDir = store.SettleRuntimeDir()
	p.registry.UserAgent = "mpull/" + buildVersion
	return nil
}

// crioVariable names CRI-O's configuration where --crio-config does not.
const crioVariable = "MPULL_CRIO_CONFIG"

// crioSource is where CRI-O's configuration is read from. CRI-O works on root's
// store: an ordinary user's is none of its own, unless the user says so.
func crioSource(c *cli.Context) *crio.Source {
	path, named := os.LookupEnv(crioVariable)
	if c.IsSet("crio-config") {
		path, named = c.String("crio-config"), true
	}
	switch {
	case named && path == "":
		return nil
	case named:
		return crio.At(path, true)
	case unshare.IsRootless() || os.Geteuid() != 0:
		return nil
	}
	return crio.At(crio.DefaultPath, false)
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

// engine returns an engine for one command that works on what is in the store.
func (p *program) engine(events func(engine.Event)) *engine.Engine {
	return p.engineFor(nil, events)
}

// creatingEngine is engine for a command that makes the store where there is none.
func (p *program) creatingEngine(events func(engine.Event)) *engine.Engine {
	p.inUserNamespace(true)
	p.setUmask()
	return p.newEngine(nil, events)
}

// engineFor is engine for another machine than this; nil means this one. An
// ordinary user's store needs a user namespace: the program starts itself again
// in one, as podman does.
func (p *program) engineFor(host func() preflight.Host, events func(engine.Event)) *engine.Engine {
	p.inUserNamespace(true)
	p.setUmask()
	p.tellNoStore()
	return p.newEngine(host, events)
}

func (p *program) newEngine(host func() preflight.Host, events func(engine.Event)) *engine.Engine {
	return engine.New(engine.Config{Store: p.store, Registry: p.registry, Host: host, Events: events, GuardTags: p.guard, RunInit: true})
}

// inUserNamespace is enterUserNamespace for the constructors of engines: without
// the namespace there is nothing that they could do.
func (p *program) inUserNamespace(quiet bool) {
	if err := p.enterUserNamespace(quiet); err != nil {
		report(p.streams, err)
		os.Exit(exitFailed)
	}
}

// storeMask is the umask under which podman and buildah write the store.
const storeMask = 0o022

// setUmask makes what the libraries write into the store the same for every
// user: they leave modes to the umask, of their own files, and of folders of an
// image that no layer has an entry for. What a user gets as a file of their own
// keeps to the umask that they have (newFile).
//
// It comes after the program may have started itself again, since the new one
// inherits it. The umask is the whole process's, and so of what that starts:
// it is set before the first engine is made, and never again.
func (p *program) setUmask() {
	if p.userMask < 0 {
		p.userMask = unix.Umask(storeMask)
	}
}

// newFile is the mode of a new file of the user's.
func (p *program) newFile() fs.FileMode {
	p.setUmask()
	return 0o666 &^ fs.FileMode(p.userMask) //nolint:gosec // at most 0o777
}

// line prints one line for people.
func (p *program) line(format string, args ...any) {
	fmt.Fprintf(p.err, format+"\n", args...)
}

// exactly checks the number of names that a command takes; most < 0 means any.
func exactly(c *cli.Context, least, most int, usage string) error {
	if n := c.Args().Len(); n < least || most >= 0 && n > most {
		return usagef("usage: mpull %s", usage)
	}
	return nil
}
