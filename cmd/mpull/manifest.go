//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
)

func (p *program) manifestCommand() *cli.Command {
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
		Flags: append(registryFlags(),
			&cli.BoolFlag{Name: "raw", Usage: "print the document byte for byte"},
			&cli.BoolFlag{Name: "insecure", Usage: "docker's word for --tls-verify=false"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "for scripts of podman and docker: the whole document is printed anyway"}),
		Action: p.manifestInspect,
	}
	return &cli.Command{Name: "manifest", Usage: "the manifest commands under the names that podman has for them", UsageText: "manifest COMMAND",
		Description: `Examples:
  mpull manifest inspect alpine:3.15 | jq -r .mediaType
  mpull manifest inspect --raw docker://alpine:3.15 | sha256sum

Exit codes: those of the command.`,
		Subcommands: []*cli.Command{inspect}}
}

func (p *program) manifestInspect(c *cli.Context) error {
	if err := exactly(c, 1, 1, "manifest inspect [flags] IMAGE"); err != nil {
		return err
	}
	if err := p.applyRegistryFlags(c); err != nil {
		return err
	}
	if c.Bool("insecure") {
		verify := false
		p.registry.TLSVerify = &verify
	}
	input := c.Args().First()
	e := p.lookEngine(engine.IsTransport(input) && !strings.HasPrefix(input, "containers-storage:"))
	m, err := e.InspectManifest(c.Context, input, engine.LookOptions{Retry: p.retry})
	if err != nil {
		return err
	}
	if c.Bool("raw") {
		return p.printRaw(m.Blob)
	}
	if !m.IsIndex {
		p.line("%s is a single image, not an index (%s)", input, m.MediaType)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(m.Blob), "", "    "); err != nil {
		return fmt.Errorf("printing the manifest of %s: %w", input, err)
	}
	_, err = fmt.Fprintf(p.out, "%s\n", plainJSON(b.Bytes()))
	return err
}
