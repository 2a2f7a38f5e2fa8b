//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/userfile"
)

type lockOptions struct {
	registry registryFlags
	platform platformFlags
}

func (p *program) lockCommand() *cli.Command {
	var o lockOptions
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
		Flags:  append(o.registry.flags(), o.platform.list("`OS/ARCH[/VARIANT]` to lock (default: all that the image offers); may be repeated")),
		Action: action(1, -1, func(ctx context.Context, names []string) error { return p.lock(ctx, o, names[0], names[1:]) }),
	}
}

func (p *program) lock(ctx context.Context, o lockOptions, file string, names []string) error {
	if err := p.applyRegistry(o.registry); err != nil {
		return err
	}
	wanted, err := o.platform.requests(host.Wants())
	if err != nil {
		return err
	}
	lock, err := readLock(ctx, file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && (len(names) == 0 || strings.Contains(filepath.Base(file), ":")):
		return instead(strings.Join(append([]string{"mpull lock images.lock", file}, names...), " "), "lock takes the lock file first, and there is no file %s", file)
	case errors.Is(err, fs.ErrNotExist):
		lock = &engine.Lock{Version: engine.LockVersion}
	case err != nil:
		return err
	case len(names) == 0:
		names = lock.Names()
	}
	if err := p.lookEngine(true).Lock(ctx, lock, names, engine.LockOptions{Platforms: wanted, Retry: p.retry}); err != nil {
		return err
	}
	data, err := lock.Bytes()
	if err != nil {
		return err
	}
	err = p.output(ctx, file, func(w io.Writer, _ string) error {
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
