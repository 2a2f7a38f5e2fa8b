//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/userfile"
)

type saveOptions struct {
	platform       platformFlags
	output, format string
	all, quiet     bool
}

func (p *program) saveCommand() *cli.Command {
	var o saveOptions
	return &cli.Command{
		Name:      "save",
		Usage:     "write local images to an archive, for a machine without a network",
		UsageText: "save -o FILE [flags] IMAGE...",
		Description: `Writes each IMAGE to an archive that is an OCI layout and a docker archive in one:
mpull load, podman load, docker load and skopeo (oci-archive:FILE[:NAME]) read it.
By default the image that holds the name is saved; --platform and --all-platforms
take those of the name's other platforms that are here.

The archive keeps image IDs and layer contents for every reader. For mpull load it
also keeps the manifests and indexes, byte for byte, so that digests and
repo@digest names are those of the registry again, and what displaced what (mpull
why). Other readers see the registry's digest where the image has OCI manifests
and its compressed layers could be made again (layers lie unpacked in storage);
else one of the archive's own. A line on standard error tells which.

Two archives of the same images are the same bytes. Without -o the archive goes to
standard output, which must not be a terminal.

Examples:
  mpull save -o alpine.tar alpine:3.15
  mpull save --all-platforms -o alpine.tar alpine:3.15
  mpull save --platform linux/arm/v7 --platform linux/arm64 alpine:3.15 | ssh device mpull load

Exit codes: 0 done; 1 no such image, or not of that platform; 125 failed.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FILE` to write (default: standard output)", Destination: &o.output},
			o.platform.list("`OS/ARCH[/VARIANT]` to save, of those that are here; a list is tried in order; may be repeated"),
			&cli.BoolFlag{Name: "all-platforms", Usage: "save every platform of the name that is here", Destination: &o.all},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but errors", Destination: &o.quiet},
			&cli.StringFlag{Name: "format", Usage: "podman's `FORMAT`: oci-archive or docker-archive; the archive is both", Destination: &o.format},
			&cli.BoolFlag{Name: "multi-image-archive", Aliases: []string{"m"}, Usage: "for podman's scripts: an archive takes several images anyway"},
		},
		Action: action(1, -1, func(ctx context.Context, names []string) error { return p.save(ctx, o, names) }),
	}
}

func (p *program) save(ctx context.Context, o saveOptions, names []string) error {
	if o.format != "" && o.format != "oci-archive" && o.format != "docker-archive" {
		return usagef("save --format %s: mpull writes one archive that is oci-archive and docker-archive; skopeo copy writes others", o.format)
	}
	if (o.output == "" || o.output == "-") && p.outTerminal {
		return usagef("an archive is not for a terminal: name a file with -o")
	}
	wanted, err := o.platform.requests(host.Wants())
	if err != nil {
		return err
	}
	if o.all && wanted != nil {
		return usagef("use either --all-platforms or chosen ones, not both")
	}
	e := p.engine(p.tellNotes)
	var saved []engine.Saved
	err = p.output(ctx, o.output, func(w io.Writer, temp string) error {
		saved, err = e.Save(ctx, w, names, engine.SaveOptions{All: o.all, Platforms: wanted, TempDir: temp, Disk: p.diskOf(o.output, temp)})
		return err
	})
	if err != nil || o.quiet {
		return err
	}
	for _, s := range saved {
		p.line("Saved %.12s for %s as %s, %s", s.ID, orNone(s.Platform), orDash(s.Name), keptDigest(s))
	}
	return nil
}

// keptDigest tells what becomes of an image's digest.
func keptDigest(s engine.Saved) string {
	if s.Manifest == s.Listed {
		return "digest " + shortDigest(s.Manifest.String()) + " for every reader"
	}
	return fmt.Sprintf("digest %s for mpull, %s for other readers", shortDigest(s.Manifest.String()), shortDigest(s.Listed.String()))
}

// diskOf returns a path on the disk that the output goes to, "" where it goes
// into what is no regular file.
func (p *program) diskOf(path, temp string) string {
	if temp != "" {
		return temp
	}
	if path == "" || path == "-" {
		path = "/proc/self/fd/1"
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	if named, err := filepath.EvalSymlinks(path); err == nil {
		return named // by its name, where it has one
	}
	return path
}

// output hands f a file that takes the place of path when f succeeds, and the
// directory of that file for f's own; "" and "-" are standard output.
func (p *program) output(ctx context.Context, path string, f func(w io.Writer, temp string) error) error {
	if path == "" || path == "-" {
		return f(p.rawOut, "")
	}
	return userfile.Replace(ctx, path, p.newFile(), f)
}
