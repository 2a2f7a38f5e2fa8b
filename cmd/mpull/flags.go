//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/platform"
)

// action is what the flag library calls for a command: it counts the names (most
// < 0 means any number) and calls run. By then the flags have filled the options
// of the command, so that nothing behind it sees the library's context.
func action(least, most int, run func(ctx context.Context, names []string) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if n := c.Args().Len(); n < least || most >= 0 && n > most {
			usage, _, _ := strings.Cut(c.Command.UsageText, "\n")
			return usagef("usage: mpull %s", usage)
		}
		return run(c.Context, c.Args().Slice())
	}
}

// into is the Action of a flag that may be repeated: Destination would put its
// values into a type of the library's.
func into[T any](to *T) func(*cli.Context, T) error {
	return func(_ *cli.Context, value T) error { *to = value; return nil }
}

// given is the Action of a flag for which an empty value, or 0, means something
// else than no flag: then to stays nil.
func given[T any](to **T) func(*cli.Context, T) error {
	return func(_ *cli.Context, value T) error { *to = &value; return nil }
}

// platformFlags choose a platform.
type platformFlags struct {
	lists             []string // of --platform, each an ordered fallback
	os, arch, variant string
}

// What --platform takes differs from command to command.
const (
	onePlatform      = "`OS/ARCH[/VARIANT]` wanted"
	orderedPlatforms = onePlatform + "; a list such as native,linux/arm/v7 is tried in order"
	severalPlatforms = orderedPlatforms + "; may be repeated"
)

// flags are those of most commands; usage is that of --platform. The override-
// names are skopeo's.
func (f *platformFlags) flags(usage string) []cli.Flag {
	return []cli.Flag{
		f.list(usage),
		&cli.StringFlag{Name: "os", Aliases: []string{"override-os"}, Usage: "`OS` wanted (default: this machine's)", Destination: &f.os},
		&cli.StringFlag{Name: "arch", Aliases: []string{"override-arch"}, Usage: "`ARCH` wanted (default: this machine's)", Destination: &f.arch},
		&cli.StringFlag{Name: "variant", Aliases: []string{"override-variant"}, Usage: "`VARIANT` of the architecture wanted, such as v7", Destination: &f.variant},
	}
}

// list is --platform alone.
func (f *platformFlags) list(usage string) cli.Flag {
	return &cli.StringSliceFlag{Name: "platform", Usage: usage, Action: into(&f.lists)}
}

// requests reads the flags: one ordered fallback for each --platform, or one
// request of --os, --arch and --variant; nil when none is given.
func (f *platformFlags) requests(host platform.Platform) ([]engine.Fallback, error) {
	single := f.os+f.arch+f.variant != ""
	if len(f.lists) > 0 && single {
		return nil, usagef("use either --platform or --os, --arch and --variant, not both")
	}
	if single {
		r, err := platform.FromFlags(f.os, f.arch, f.variant, host)
		if err != nil {
			return nil, usagef("%v", err)
		}
		return []engine.Fallback{{r}}, nil
	}
	var all []engine.Fallback
	for _, s := range f.lists {
		list, err := platform.ParseList(s, host)
		if err != nil {
			return nil, usagef("--platform %s: %v", s, err)
		}
		all = append(all, list)
	}
	return all, nil
}

// fallback is requests for a command that takes one --platform, perhaps a list to
// try in order; nil when none is given. tooMany is the error for more.
func (f *platformFlags) fallback(host platform.Platform, tooMany string) (engine.Fallback, error) {
	lists, err := f.requests(host)
	switch {
	case err != nil || len(lists) == 0:
		return nil, err
	case len(lists) > 1:
		return nil, usagef("%s", tooMany)
	}
	return lists[0], nil
}

// one is fallback for a command that takes a single platform.
func (f *platformFlags) one(host platform.Platform, tooMany string) (*platform.Request, error) {
	list, err := f.fallback(host, tooMany)
	switch {
	case err != nil || len(list) == 0:
		return nil, err
	case len(list) > 1:
		return nil, usagef("%s", tooMany)
	}
	return &list[0], nil
}

// tlsFlags say how a registry proves that it is the one.
type tlsFlags struct {
	certDir string
	verify  *bool // nil: as registries.conf says
}

func (f *tlsFlags) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "cert-dir", Usage: "`DIR` with certificates and keys for the registry (default: certs.d)", Destination: &f.certDir},
		&cli.BoolFlag{Name: "tls-verify", Usage: "require HTTPS and a good certificate (default: true, unless registries.conf says insecure)", Action: given(&f.verify)},
	}
}

func authFileFlag(to *string) cli.Flag {
	return &cli.StringFlag{Name: "authfile", Usage: "`FILE` with credentials (default: REGISTRY_AUTH_FILE, else podman's)", Destination: to}
}

// registryFlags say how to reach a registry.
type registryFlags struct {
	tls             tlsFlags
	creds, authFile string
	idle            time.Duration
	retries         *int
	delay           *time.Duration
}

func (f *registryFlags) flags() []cli.Flag {
	return append(f.tls.flags(), authFileFlag(&f.authFile),
		&cli.StringFlag{Name: "creds", Usage: "`USER[:PASSWORD]` for the registry; without a password it is asked for", Destination: &f.creds},
		&cli.IntFlag{Name: "retry", Usage: "`TIMES` to try again after a failure that may pass (default: containers.conf's retry, else 3)", Action: given(&f.retries)},
		&cli.DurationFlag{Name: "idle-timeout", Usage: "how long a registry may send nothing, or ask to wait, before it counts as failed", Value: time.Minute, Destination: &f.idle},
		&cli.DurationFlag{Name: "retry-delay", Usage: "`DURATION` before the first retry; doubled after each, up to 16 times (default: containers.conf's retry_delay, else 1s)", Action: given(&f.delay)},
	)
}

// applyRegistry puts the flags of a registry command into the program's options.
func (p *program) applyRegistry(f registryFlags) (err error) {
	p.registry.AuthFile, p.registry.CertDir = f.authFile, f.tls.certDir
	if err := p.registry.CheckAuthFile(); err != nil {
		return err
	}
	if f.tls.verify != nil {
		p.registry.TLSVerify = f.tls.verify
	}
	if f.idle <= 0 {
		return usagef("--idle-timeout must be more than 0")
	}
	if p.retry, err = f.retry(); err != nil {
		return err
	}
	p.registry.Creds, err = p.completeCreds(f.creds)
	p.secrets.LearnFrom(p.registry)
	return err
}

// defaultRetries is how often is tried again where nobody says so, as in podman.
const defaultRetries = 3

// retry says how often, and when, is tried again: the flags, else
// containers.conf.
func (f registryFlags) retry() (r engine.Retry, err error) {
	r = engine.Retry{Times: defaultRetries, Idle: f.idle}
	if f.retries == nil || f.delay == nil {
		if r, err = engine.ConfiguredRetry(r); err != nil {
			return r, err
		}
	}
	if f.retries != nil {
		r.Times = *f.retries
	}
	if f.delay != nil {
		r.Delay = *f.delay
	}
	return r, nil
}

// completeCreds asks on the terminal for the password of user:password when it
// is missing, so that it need not stand in the shell's history.
func (p *program) completeCreds(creds string) (string, error) {
	if creds == "" || strings.Contains(creds, ":") {
		return creds, nil
	}
	if !p.inTerminal || !p.errTerminal {
		return "", usagef("--creds %s has no password, and there is no terminal to ask on", creds)
	}
	password, err := p.askPassword("Password for " + escape(creds))
	return creds + ":" + password, err
}

// askPassword asks on the terminal, which does not show what is typed.
func (p *program) askPassword(prompt string) (string, error) {
	fmt.Fprintf(p.err, "%s: ", prompt)
	password, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(p.err)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return string(password), nil
}
