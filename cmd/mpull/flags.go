//go:build linux

package main

import (
	"time"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/platform"
)

// platformFlags choose a platform. The override- names are skopeo's.
func platformFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "platform", Usage: "`OS/ARCH[/VARIANT]` wanted; a list such as native,linux/arm/v7 is tried in order; may be repeated"},
		&cli.StringFlag{Name: "os", Aliases: []string{"override-os"}, Usage: "`OS` wanted (default: this machine's)"},
		&cli.StringFlag{Name: "arch", Aliases: []string{"override-arch"}, Usage: "`ARCH` wanted (default: this machine's)"},
		&cli.StringFlag{Name: "variant", Aliases: []string{"override-variant"}, Usage: "`VARIANT` of the architecture wanted, such as v7"},
	}
}

// requests reads the platform flags: one ordered fallback for each --platform,
// or one request of --os, --arch and --variant; nil when none is given.
func requests(c *cli.Context, host platform.Platform) ([]engine.Fallback, error) {
	lists := c.StringSlice("platform")
	single := c.String("os") != "" || c.String("arch") != "" || c.String("variant") != ""
	if len(lists) > 0 && single {
		return nil, usagef("use either --platform or --os, --arch and --variant, not both")
	}
	if single {
		r, err := platform.FromFlags(c.String("os"), c.String("arch"), c.String("variant"), host)
		if err != nil {
			return nil, usagef("%v", err)
		}
		return []engine.Fallback{{r}}, nil
	}
	var all []engine.Fallback
	for _, s := range lists {
		list, err := platform.ParseList(s, host)
		if err != nil {
			return nil, usagef("--platform %s: %v", s, err)
		}
		all = append(all, list)
	}
	return all, nil
}

// registryFlags say how to reach a registry.
func registryFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "creds", Usage: "`USER[:PASSWORD]` for the registry; without a password it is asked for"},
		&cli.StringFlag{Name: "authfile", Usage: "`FILE` with credentials (default: REGISTRY_AUTH_FILE, else podman's)"},
		&cli.StringFlag{Name: "cert-dir", Usage: "`DIR` with certificates and keys for the registry (default: certs.d)"},
		&cli.BoolFlag{Name: "tls-verify", Usage: "require HTTPS and a good certificate (default: true, unless registries.conf says insecure)"},
		&cli.IntFlag{Name: "retry", Usage: "`TIMES` to try again after a failure that may pass (default: containers.conf's retry, else 3)"},
		&cli.DurationFlag{Name: "idle-timeout", Usage: "how long a registry may send nothing, or ask to wait, before it counts as failed", Value: time.Minute},
		&cli.DurationFlag{Name: "retry-delay", Usage: "`DURATION` before the first retry; doubled after each, up to 16 times (default: containers.conf's retry_delay, else 1s)"},
	}
}

// applyRegistryFlags puts the flags of a registry command into the options.
func (p *program) applyRegistryFlags(c *cli.Context) error {
	p.registry.AuthFile, p.registry.CertDir = c.String("authfile"), c.String("cert-dir")
	if err := p.registry.CheckAuthFile(); err != nil {
		return err
	}
	if c.IsSet("tls-verify") {
		verify := c.Bool("tls-verify")
		p.registry.TLSVerify = &verify
	}
	if c.Duration("idle-timeout") <= 0 {
		return usagef("--idle-timeout must be more than 0")
	}
	if err := p.applyRetry(c); err != nil {
		return err
	}
	creds, err := p.completeCreds(c.String("creds"))
	p.registry.Creds = creds
	p.secrets.LearnFrom(p.registry)
	return err
}

// defaultRetries is how often is tried again where nobody says so, as in podman.
const defaultRetries = 3

// applyRetry says how often, and when, is tried again: the flags, else
// containers.conf.
func (p *program) applyRetry(c *cli.Context) (err error) {
	p.retry = engine.Retry{Times: defaultRetries, Idle: c.Duration("idle-timeout")}
	if !c.IsSet("retry") || !c.IsSet("retry-delay") {
		if p.retry, err = engine.ConfiguredRetry(p.retry); err != nil {
			return err
		}
	}
	if c.IsSet("retry") {
		p.retry.Times = c.Int("retry")
	}
	if c.IsSet("retry-delay") {
		p.retry.Delay = c.Duration("retry-delay")
	}
	return nil
}
