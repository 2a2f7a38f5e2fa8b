//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/userfile"
)

func (p *program) lockCommand() *cli.Command {
	return &cli.Command{
		Name:      "lock",
		Usage:     "write down the digests that tags stand for now",
		UsageText: "lock [flags] FILE [IMAGE...]",
		Description: `Asks the registry what each IMAGE stands for and writes the digests of its index
and of its platforms to FILE, so that every machine of a fleet gets the same
images whenever it pulls: mpull pull --locked FILE. Nothing is pulled. What FILE
has about other names stays; without IMAGE all its names are asked for again.

FILE is JSON, sorted, without a time, so that the same state gives the same bytes
and a change reads well in a review:

  {
    "version": 1,
    "images": {
      "docker.io/library/alpine:3.15": {
        "digest": "sha256:...",
        "platforms": {"linux/amd64": "sha256:...", "linux/arm/v7": "sha256:..."}
      }
    }
  }

With --platform only these platforms are locked, and no other is pulled from FILE.

Examples:
  mpull lock images.lock alpine:3.15 docker.io/library/busybox:1.36
  mpull lock --platform linux/arm64 --platform linux/arm/v7 images.lock alpine:3.15
  mpull lock images.lock && git diff images.lock

Exit codes: 0 done; 125 an image or its registry is not there, FILE is no lock, or
bad usage.`,
		Flags: append(registryFlags(),
			&cli.StringSliceFlag{Name: "platform", Usage: "`OS/ARCH[/VARIANT]` to lock (default: all that the image offers); may be repeated"},
		),
		Action: p.lock,
	}
}

func (p *program) lock(c *cli.Context) error {
	if err := exactly(c, 1, -1, "lock [flags] FILE [IMAGE...]"); err != nil {
		return err
	}
	if err := p.applyRegistryFlags(c); err != nil {
		return err
	}
	e := p.lookEngine(true)
	o := engine.LockOptions{Retry: p.retry}
	var err error
	if o.Platforms, err = requests(c, host.Wants()); err != nil {
		return err
	}
	file, inputs := c.Args().First(), c.Args().Tail()
	lock, err := readLock(c.Context, file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && (len(inputs) == 0 || strings.Contains(filepath.Base(file), ":")):
		return instead("mpull lock images.lock "+strings.Join(c.Args().Slice(), " "), "lock takes the lock file first, and there is no file %s", file)
	case errors.Is(err, fs.ErrNotExist) && len(inputs) > 0:
		lock = &engine.Lock{Version: engine.LockVersion}
	case err != nil:
		return err
	case len(inputs) == 0:
		inputs = lock.Names()
	}
	if err := e.Lock(c.Context, lock, inputs, o); err != nil {
		return err
	}
	data, err := lock.Bytes()
	if err != nil {
		return err
	}
	err = p.output(c.Context, file, func(w io.Writer, _ string) error {
		_, err := w.Write(data)
		return err
	})
	if err == nil && file != "-" {
		p.line("%s has the digests of %s; mpull pull --locked %s pulls them", file, plural(len(lock.Names()), "name"), file)
	}
	return err
}

// maxLockFile bounds what is read of a lock file; the engine's own bound is
// lower.
const maxLockFile = 32 << 20

func readLock(ctx context.Context, file string) (*engine.Lock, error) {
	data, err := userfile.Read(ctx, file, maxLockFile)
	if err != nil {
		return nil, fmt.Errorf("reading the lock file: %w", err)
	}
	lock, err := engine.ParseLock(data)
	if err != nil {
		return nil, fmt.Errorf("reading the lock file %s: %w", filepath.Clean(file), err)
	}
	return lock, nil
}

// pullLocked pulls what --locked names.
func (p *program) pullLocked(c *cli.Context) error {
	if c.String("as") != "" {
		return usagef("--locked does not go with --as: the lock says how images are named")
	}
	lock, err := readLock(c.Context, c.String("locked"))
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return p.dryRunPull(c, lock)
	}
	mode, err := p.progress(c)
	if err != nil {
		return err
	}
	view := newPullView(p.streams, "Pulling", mode, c.Bool("quiet"))
	defer view.close()
	options, err := p.pullOptions(c)
	if err != nil {
		return err
	}
	options.Command += " --locked"
	e := p.creatingEngine(view.event)
	defer runtime.KeepAlive(collectSooner())
	results, err := e.PullLocked(c.Context, lock, c.Args().Slice(), options)
	view.end(results)
	for _, r := range results {
		fmt.Fprintln(p.out, r.ID)
	}
	return err
}
