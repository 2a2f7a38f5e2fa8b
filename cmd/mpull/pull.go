//go:build linux

package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/store/query"
)

type pullOptions struct {
	platform           platformFlags
	registry           registryFlags
	all, skipMissing   bool
	policy, as, locked string
	noTag, keep        bool
	maxSize            string
	maxEntries         int64
	dryRun, quiet      bool
	format             string
}

func (p *program) pullCommand() *cli.Command {
	var o pullOptions
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
		Flags: append(append(o.platform.flags(severalPlatforms), o.registry.flags()...),
			&cli.BoolFlag{Name: "all-platforms", Usage: "pull every platform that the image offers", Destination: &o.all},
			&cli.BoolFlag{Name: "skip-missing", Usage: "with --all-platforms: only warn of those that the index names and that are not there", Destination: &o.skipMissing},
			&cli.StringFlag{Name: "policy", Usage: "when to ask the registry: `WHEN` is always, missing, newer or never, each for the platform wanted", Value: "always", Destination: &o.policy},
			&cli.StringFlag{Name: "as", Usage: "`NAME` for the image instead of its own", Destination: &o.as, Action: filled("as")},
			&cli.StringFlag{Name: "locked", Usage: "pull exactly the digests that the lock `FILE` has for IMAGE... or for all its names (mpull lock)", Destination: &o.locked, Action: filled("locked")},
			&cli.BoolFlag{Name: "no-tag", Usage: "move no tag: the image gets its repo@digest name only", Destination: &o.noTag},
			&cli.BoolFlag{Name: "keep", Usage: "give the image that loses the name its repo@digest name, so that nothing prunes it", Destination: &o.keep},
			p.progressFlag(),
			&cli.StringFlag{Name: "max-size", Usage: "`SIZE` of disk, such as 2GB, that an image may take (default: what is free, less a reserve)", Destination: &o.maxSize, Action: filled("max-size")},
			&cli.Int64Flag{Name: "max-entries", Usage: "`NUMBER` of files and folders that an image may have (default: any)", Destination: &o.maxEntries},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but image IDs and errors", Destination: &o.quiet},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "print what would be chosen, fetched and displaced, and change nothing", Destination: &o.dryRun},
			&cli.StringFlag{Name: "format", Usage: "print events as json (see docs/events.md); a --dry-run as json, or by a Go `TEMPLATE`", Destination: &o.format},
		),
		Action: action(0, -1, func(ctx context.Context, names []string) error { return p.pull(ctx, o, names) }),
	}
}

func (p *program) pull(ctx context.Context, o pullOptions, names []string) error {
	if len(names) == 0 && o.locked == "" {
		return usagef("usage: mpull [pull] [flags] IMAGE...")
	}
	if err := p.applyRegistry(o.registry); err != nil {
		return err
	}
	onOut := isJSON(o.format) && !o.dryRun
	switch {
	case onOut:
		p.events = newEventWriter(striker{p.rawOut, p.secrets})
	case o.format != "" && !o.dryRun:
		return usagef("a --format other than json goes with --dry-run")
	}
	job, err := o.job(p.retry, len(names))
	if err != nil {
		return err
	}
	if o.locked != "" {
		if job.Lock, err = readLock(ctx, o.locked); err != nil {
			return err
		}
	}
	if o.dryRun {
		return p.planPull(ctx, o.format, names, job)
	}
	view := p.newPullView("Pulling", o.quiet)
	defer view.close()
	p.inUserNamespace(false)
	e := p.newEngine(nil, view.event)
	defer runtime.KeepAlive(collectSooner())
	results, err := e.Pull(ctx, names, job)
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

// job says what to pull, for the engine. It comes before an ordinary user's
// program starts again in a user namespace: bad usage needs none.
func (o pullOptions) job(retry engine.Retry, names int) (job engine.PullOptions, err error) {
	job = engine.PullOptions{
		All: o.all, SkipMissing: o.skipMissing, NoTag: o.noTag, Keep: o.keep, Retry: retry, Limits: engine.Limits{MaxEntries: o.maxEntries},
	}
	if job.Platforms, err = o.platform.requests(host.Wants()); err != nil {
		return job, err
	}
	if job.Policy, err = engine.ParsePullPolicy(o.policy); err != nil {
		return job, usagef("%v", err)
	}
	if o.as != "" {
		if job.As, err = query.NewName(o.as); err != nil {
			return job, usagef("--as: %v", err)
		}
	}
	if o.maxSize != "" {
		if job.Limits.MaxBytes, err = query.ParseSize(o.maxSize); err != nil || job.Limits.MaxBytes <= 0 {
			return job, usagef("--max-size %q: write a size such as 500MB or 2GB", o.maxSize)
		}
	}
	switch {
	case o.maxEntries < 0:
		return job, usagef("--max-entries must not be negative")
	case o.all && job.Platforms != nil:
		return job, usagef("use either --all-platforms or chosen ones, not both")
	case o.skipMissing && !o.all:
		return job, usagef("--skip-missing goes with --all-platforms")
	case o.as != "" && o.locked != "":
		return job, usagef("--locked does not go with --as: the lock says how images are named")
	case o.as != "" && names > 1:
		return job, usagef("--as names one image; %d were given", names)
	}
	job.Command = "pull" + platformWords(job)
	if o.locked != "" {
		job.Command += " --locked"
	}
	return job, nil
}

// platformWords is the part of a pull's command line that a record keeps: what
// tells one pull of a name from another.
func platformWords(o engine.PullOptions) string {
	var b strings.Builder
	if o.All {
		b.WriteString(" --all-platforms")
	}
	for _, list := range o.Platforms {
		separator := " --platform "
		for _, r := range list {
			b.WriteString(separator + r.String())
			separator = ","
		}
	}
	return b.String()
}
