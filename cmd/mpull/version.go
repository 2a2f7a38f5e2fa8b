//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// What this program is. make build sets both with the linker's -X; other builds
// are named after the module or the checkout they come from.
//
//nolint:gochecknoglobals // the linker can set variables only
var (
	buildVersion = "0.1.0-dev"
	buildCommit  = "unknown"
)

// versionInfo is what version --format shows. Field names are stable.
type versionInfo struct {
	Version   string            `json:"Version"`
	Commit    string            `json:"Commit"`
	GoVersion string            `json:"GoVersion"`
	OsArch    string            `json:"OsArch"`
	Tags      []string          `json:"Tags"`      // build tags
	Libraries map[string]string `json:"Libraries"` // module path -> version, of those that decide what mpull does
	Client    clientVersion     `json:"Client"`    // the same under podman's and docker's keys
}

type clientVersion struct {
	Version, GoVersion, GitCommit, OsArch, Os string
}

// reportedLibraries are the modules that a report of a fault should name.
func reportedLibraries() []string {
	return []string{
		"go.podman.io/image/v5", "go.podman.io/storage", "github.com/urfave/cli/v2", "github.com/sirupsen/logrus",
		"github.com/vbauerster/mpb/v8", "github.com/klauspost/compress", "github.com/vbatts/tar-split",
	}
}

func readVersion() (v versionInfo) {
	v = versionInfo{
		Version: buildVersion, Commit: buildCommit, GoVersion: runtime.Version(), OsArch: runtime.GOOS + "/" + runtime.GOARCH,
		Tags: []string{}, Libraries: map[string]string{},
	}
	defer func() {
		v.Client = clientVersion{Version: v.Version, GoVersion: v.GoVersion, GitCommit: v.Commit, OsArch: v.OsArch, Os: runtime.GOOS}
	}()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "-tags" && s.Value != "":
			v.Tags = strings.Split(s.Value, ",")
		case s.Key == "vcs.revision" && v.Commit == "unknown":
			v.Commit = s.Value
		}
	}
	for _, d := range info.Deps {
		d = cmp.Or(d.Replace, d)
		if d.Version != "" && slices.Contains(reportedLibraries(), d.Path) {
			v.Libraries[d.Path] = d.Version
		}
	}
	return v
}

func (p *program) versionCommand() *cli.Command {
	var format string
	return &cli.Command{
		Name:      "version",
		Usage:     "print the version",
		UsageText: "version [--format json|TEMPLATE]",
		Description: `Prints the version and the commit that it was built from; with --format json also
the versions of Go and of the libraries that decide what mpull does.

Examples:
  mpull version
  mpull version --format json
  mpull version --format '{{.Version}}'

Exit codes: 0 always, but 125 for bad usage.`,
		Flags:  []cli.Flag{&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Usage: "print json, or by a Go `TEMPLATE`", Destination: &format}},
		Action: action(0, 0, func(context.Context, []string) error { return p.version(format) }),
	}
}

func (p *program) version(format string) error {
	v := readVersion()
	return showOne(p.out, format, v, func() { fmt.Fprintf(p.out, "mpull %s (commit %s)\n", v.Version, v.Commit) })
}
