//go:build linux

package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/store/query"
)

func (p *program) pullCommand() *cli.Command {
	return &cli.Command{
		Name:      "pull",
		Usage:     "pull images of a chosen platform",
		UsageText: "[pull] [flags] IMAGE...",
		Description: `Pulls the host's platform of each image, or the one that --platform (or --os,
--arch, --variant) names, and gives it the image's name. The image that had the
name until then keeps existing; what it lost, when and to whom is recorded, and
the command that gives the name back is printed.

The host's platform is the one that mpull is built for, as with podman: without
the level of the CPU, so that all machines of a fleet pull the same. A level, or
another platform to fall back on, is asked for: native,linux/arm/v7 or
linux/amd64/v3, which takes v2, v1 or none where there is no v3. Of several
versions of Windows one is named, as in 'windows(10.0.20348)/amd64'. An image that
names no platform is taken by default, and for a platform that is asked for only
when its program is for that.

IMAGE is a name as for podman (alpine, docker.io/library/alpine:3.15,
host:5000/app@sha256:..., docker://...) or oci:DIR[:TAG], oci-archive:FILE,
docker-archive:FILE, dir:DIR.

Of several platforms (--all-platforms, or --platform given again) the host's own
gets the name, else the first; each other one gets its repo@digest name, so that
neither mpull nor podman prunes it, and mpull use switches the name to it. What an
index names and the registry lacks is left out, told, and ends with exit code 125.

A pull that ends early keeps what came of layers of a megabyte or more; the next
one that needs them asks for their rest only (mpull prune --leftovers removes it).

A name whose image a container uses is moved to another platform with a warning;
with --guard-tags it is not, and nothing is fetched.

Standard output has the full image ID of each image, and nothing else.

Examples:
  mpull alpine:3.15
  mpull --arch arm --os linux --variant v7 alpine:3.15
  mpull pull --platform linux/arm64 --policy missing docker.io/library/alpine:3.15
  mpull pull --platform linux/amd64 --platform linux/arm64 alpine:3.15
  mpull pull --as localhost/tool:dev oci:./build:latest
  mpull pull --dry-run --platform linux/arm64 alpine:3.15

Exit codes: 0 done; 1 --policy never and the image is not here; 2 --guard-tags kept
the name where it is; 125 the image, the platform asked for or the registry is not
there, or the store failed.`,
		Flags: append(append(platformFlags(), registryFlags()...),
			&cli.BoolFlag{Name: "all-platforms", Usage: "pull every platform that the image offers"},
			&cli.BoolFlag{Name: "skip-missing", Usage: "with --all-platforms: only warn of those that the index names and that are not there"},
			&cli.StringFlag{Name: "policy", Usage: "when to ask the registry: `WHEN` is always, missing, newer or never, each for the platform wanted", Value: "always"},
			&cli.StringFlag{Name: "as", Usage: "`NAME` for the image instead of its own"},
			&cli.StringFlag{Name: "locked", Usage: "pull exactly the digests that the lock `FILE` has for IMAGE... or for all its names (mpull lock)"},
			&cli.BoolFlag{Name: "no-tag", Usage: "move no tag: the image gets its repo@digest name only"},
			&cli.BoolFlag{Name: "keep", Usage: "give the image that loses the name its repo@digest name, so that nothing prunes it"},
			progressFlag(),
			&cli.StringFlag{Name: "max-size", Usage: "`SIZE` of disk, such as 2GB, that an image may take (default: what is free, less a reserve)"},
			&cli.Int64Flag{Name: "max-entries", Usage: "`NUMBER` of files and folders that an image may have (default: any)"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but image IDs and errors"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "print what would be chosen, fetched and displaced, and change nothing"},
			&cli.StringFlag{Name: "format", Usage: "print events as json (see docs/events.md); a --dry-run as json, or by a Go `TEMPLATE`"},
		),
		Action: p.pull,
	}
}

func (p *program) pull(c *cli.Context) error {
	least := 1
	if c.String("locked") != "" {
		least = 0
	}
	if err := exactly(c, least, -1, "[pull] [flags] IMAGE..."); err != nil {
		return err
	}
	if err := p.applyRegistryFlags(c); err != nil {
		return err
	}
	if least == 0 {
		return p.pullLocked(c)
	}
	if c.Bool("dry-run") {
		return p.dryRunPull(c, nil)
	}
	mode, err := p.progress(c)
	if err != nil {
		return err
	}
	onOut := isJSON(c.String("format"))
	switch {
	case onOut:
		p.events = newEventWriter(striker{p.rawOut, p.secrets})
	case c.String("format") != "":
		return usagef("a --format other than json goes with --dry-run")
	}
	view := newPullView(p.streams, "Pulling", mode, c.Bool("quiet"))
	defer view.close()
	options, err := p.pullOptions(c)
	if err != nil {
		return err
	}
	if options.As != "" && c.Args().Len() > 1 {
		return usagef("--as names one image; %d were given", c.Args().Len())
	}
	p.inUserNamespace(false)
	e := p.creatingEngine(view.event)
	defer runtime.KeepAlive(collectSooner())
	results, err := e.Pull(c.Context, c.Args().Slice(), options)
	view.end(results)
	for _, r := range results {
		if p.events != nil {
			p.events.pulled(r)
		}
		if !onOut {
			fmt.Fprintln(p.out, r.ID)
		}
	}
	return err
}

// pullOptions reads the flags, before an ordinary user's program starts again in
// a user namespace: bad usage needs none.
func (p *program) pullOptions(c *cli.Context) (engine.PullOptions, error) {
	var o engine.PullOptions
	var err error
	if o.Platforms, err = requests(c, host.Wants()); err != nil {
		return o, err
	}
	if o.Policy, err = engine.ParsePullPolicy(c.String("policy")); err != nil {
		return o, usagef("%v", err)
	}
	if c.String("as") != "" {
		if o.As, err = query.NewName(c.String("as")); err != nil {
			return o, usagef("--as: %v", err)
		}
	}
	if o.Limits, err = limits(c); err != nil {
		return o, err
	}
	if o.All = c.Bool("all-platforms"); o.All && o.Platforms != nil {
		return o, usagef("use either --all-platforms or chosen ones, not both")
	}
	if o.SkipMissing = c.Bool("skip-missing"); o.SkipMissing && !o.All {
		return o, usagef("--skip-missing goes with --all-platforms")
	}
	o.NoTag, o.Keep, o.Retry = c.Bool("no-tag"), c.Bool("keep"), p.retry
	o.Command = "pull" + platformWords(o)
	return o, nil
}

// limits reads what bounds a pull.
func limits(c *cli.Context) (engine.Limits, error) {
	l := engine.Limits{Idle: c.Duration("idle-timeout"), MaxEntries: c.Int64("max-entries")}
	if l.Idle <= 0 {
		return l, usagef("--idle-timeout must be more than 0")
	}
	if l.MaxEntries < 0 {
		return l, usagef("--max-entries must not be negative")
	}
	if s := c.String("max-size"); s != "" {
		var err error
		if l.MaxBytes, err = query.ParseSize(s); err != nil || l.MaxBytes <= 0 {
			return l, usagef("--max-size %q: write a size such as 500MB or 2GB", s)
		}
	}
	return l, nil
}

// platformWords is the part of a pull's command line that a record keeps: what
// tells one pull of a name from another.
func platformWords(o engine.PullOptions) string {
	var b strings.Builder
	if o.All {
		b.WriteString(" --all-platforms")
	}
	for _, list := range o.Platforms {
		b.WriteString(" --platform ")
		for i, r := range list {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(r.String())
		}
	}
	return b.String()
}
