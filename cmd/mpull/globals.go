//go:build linux

package main

import (
	"io"
	"log"
	"os"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"
	"go.podman.io/storage/pkg/unshare"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/crio"
)

func (p *program) globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "root", Usage: "graph `DIR` of the store (default: storage.conf's)", Destination: &p.store.Root, Action: filled("root")},
		&cli.StringFlag{Name: "runroot", Usage: "run `DIR` of the store (default: storage.conf's)", Destination: &p.store.RunRoot, Action: filled("runroot")},
		&cli.StringFlag{Name: "imagestore", Usage: "`DIR` where images lie apart from the graph root (default: storage.conf's or CRI-O's)", Destination: &p.store.ImageStore, Action: filled("imagestore")},
		&cli.StringFlag{Name: "crio-config", Usage: "`PATH` of CRI-O's configuration, a file or a folder; empty for none (default: MPULL_CRIO_CONFIG, else /etc/crio for root)", Action: given(&p.crioConfig)},
		&cli.StringFlag{Name: "storage-driver", Usage: "storage `DRIVER`: overlay or vfs (default: storage.conf's)", Destination: &p.store.Driver, Action: filled("storage-driver")},
		&cli.BoolFlag{Name: "sync", Usage: "write a layer's files to the disk before the layer counts as complete, so that a power loss cannot damage it (overlay)", Destination: &p.store.Sync},
		&cli.StringSliceFlag{Name: "storage-opt", Usage: "`OPTION` of the storage driver, as for podman; may be repeated", Action: into(&p.store.DriverOptions)},
		&cli.StringFlag{Name: "registries-conf", Usage: "`FILE` to read instead of registries.conf", Destination: &p.registry.RegistriesConf, Action: filled("registries-conf")},
		&cli.StringFlag{Name: "policy-file", Usage: "`FILE` to read instead of policy.json", Destination: &p.registry.PolicyFile, Action: filled("policy-file")},
		&cli.BoolFlag{Name: "guard-tags", Usage: "move no name of an image in use to an image of another platform: exit code 2", Destination: &p.guard},
		&cli.StringFlag{Name: "log-level", Usage: "`LEVEL` of messages from the libraries: debug, info, warn, error", Value: "warn", Destination: &p.logLevel},
	}
}

// filled is the Action of a flag whose empty value would do harm. It comes from
// a variable of a script that is not set: taken for the default, --root "" would
// have a prune work on the machine's own store.
func filled(flag string) func(*cli.Context, string) error {
	return func(_ *cli.Context, value string) error {
		if value == "" {
			return usagef("--%s has an empty value; leave it away for the default", flag)
		}
		return nil
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

// applyGlobals makes the global flags count. It runs before each command.
func (p *program) applyGlobals() error {
	level, err := logrus.ParseLevel(p.logLevel)
	if err != nil {
		return usagef("unknown --log-level %q: use debug, info, warn or error", p.logLevel)
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
	for flag, path := range map[string]string{"root": p.store.Root, "runroot": p.store.RunRoot, "imagestore": p.store.ImageStore} {
		if info, err := os.Stat(path); path != "" && err == nil && !info.IsDir() {
			return usagef("--%s %s is no folder", flag, path)
		}
	}
	p.store.CRIO = p.crioSource()
	if err := p.registry.CheckFiles(); err != nil {
		return err
	}
	p.registry.RuntimeDir = store.SettleRuntimeDir()
	p.registry.UserAgent = "mpull/" + buildVersion
	return p.applyProgress()
}

// crioVariable names CRI-O's configuration where --crio-config does not.
const crioVariable = "MPULL_CRIO_CONFIG"

// crioSource is where CRI-O's configuration is read from. CRI-O works on root's
// store: an ordinary user's is none of its own, unless the user says so.
func (p *program) crioSource() *crio.Source {
	path, named := os.LookupEnv(crioVariable)
	if p.crioConfig != nil {
		path, named = *p.crioConfig, true
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
