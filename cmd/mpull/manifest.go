//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/registry"
)

type manifestOptions struct {
	registry      registryFlags
	raw, insecure bool
}

func (p *program) manifestCommand() *cli.Command {
	var o manifestOptions
	inspect := &cli.Command{
		Name:      "inspect",
		Usage:     "print the index or manifest of an image",
		UsageText: "manifest inspect [flags] IMAGE",
		Description: `Prints the index (manifest list) or the manifest of IMAGE as JSON, without pulling
anything. A bare name that is here is answered from local storage: with the index
it was pulled from, else its own manifest. docker://IMAGE asks the registry, and
so does a name that is not here: one request.

The document is the one that the registry has, indented; --raw prints it byte for
byte, so that its sha256 is the digest.

Examples:
  mpull manifest inspect alpine:3.15 | jq -r .mediaType
  mpull manifest inspect docker://alpine:3.15 | jq -rc .manifests[].platform
  mpull manifest inspect --raw docker://alpine:3.15 | sha256sum

Exit codes: 0 done; 125 the image or its registry is not there, or bad usage.`,
		Flags: append(o.registry.flags(),
			&cli.BoolFlag{Name: "raw", Usage: "print the document byte for byte", Destination: &o.raw},
			&cli.BoolFlag{Name: "insecure", Usage: "docker's word for --tls-verify=false", Destination: &o.insecure},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "for scripts of podman and docker: the whole document is printed anyway"}),
		Action: action(1, 1, func(ctx context.Context, names []string) error { return p.manifestInspect(ctx, o, names[0]) }),
	}
	return &cli.Command{Name: "manifest", Usage: "the manifest commands under the names that podman has for them", UsageText: "manifest COMMAND",
		Description: `Examples:
  mpull manifest inspect alpine:3.15 | jq -r .mediaType
  mpull manifest inspect --raw docker://alpine:3.15 | sha256sum

Exit codes: those of the command.`,
		Subcommands: []*cli.Command{inspect}}
}

func (p *program) manifestInspect(ctx context.Context, o manifestOptions, image string) error {
	if err := p.applyRegistry(o.registry); err != nil {
		return err
	}
	if o.insecure {
		p.registry.TLSVerify = new(bool)
	}
	e := p.lookEngine(registry.HasTransport(image) && !strings.HasPrefix(image, "containers-storage:"), image)
	m, err := e.InspectManifest(ctx, image, engine.LookOptions{Retry: p.retry})
	if err != nil {
		return err
	}
	if o.raw {
		return p.printRaw(m.Blob)
	}
	if !m.IsIndex {
		p.line("%s is a single image, not an index (%s)", image, m.MediaType)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(m.Blob), "", "    "); err != nil {
		return fmt.Errorf("printing the manifest of %s: %w", image, err)
	}
	_, err = fmt.Fprintf(p.out, "%s\n", plainJSON(b.Bytes()))
	return err
}
