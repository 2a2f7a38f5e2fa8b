//go:build linux

package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"
)

type tagsOptions struct {
	registry registryFlags
	limit    int
	format   string
}

func (p *program) tagsCommand() *cli.Command {
	var o tagsOptions
	return &cli.Command{
		Name:      "tags",
		Usage:     "list the tags of a repository, or the names in an archive",
		UsageText: "tags [flags] REPOSITORY|ARCHIVE",
		Description: `Lists the tags that a registry has for a repository, in the registry's order, one
a line; all pages. A tag in the name makes no difference. --format json prints the
document of skopeo list-tags.

Of docker-archive:FILE, oci-archive:FILE and oci:DIR it lists all images by what may
stand behind the path (mpull oci:DIR:NAME): a name, or @N where there is none.

Examples:
  mpull tags docker.io/library/alpine
  mpull tags --limit 20 alpine
  mpull tags oci-archive:alpine.tar
  mpull tags --format json docker://docker.io/library/alpine | jq -r .Tags[]

Exit codes: 0 done; 125 the repository, its registry or the archive is not there, or bad usage.`,
		Flags: append(o.registry.flags(),
			&cli.IntFlag{Name: "limit", Usage: "print at most `N` tags; 0 prints all", Destination: &o.limit},
			&cli.StringFlag{Name: "format", Usage: "print json, or by a Go `TEMPLATE` with the fields Repository and Tags", Destination: &o.format},
		),
		Action: action(1, 1, func(ctx context.Context, names []string) error { return p.tags(ctx, o, names[0]) }),
	}
}

// tagList is the document of skopeo list-tags.
type tagList struct {
	Repository string `json:",omitempty"`
	Tags       []string
}

func (p *program) tags(ctx context.Context, o tagsOptions, name string) error {
	if o.limit < 0 {
		return usagef("--limit %d: use 0 for all tags, or a number of them", o.limit)
	}
	if err := checkFormat[tagList](o.format); err != nil {
		return err
	}
	if err := p.applyRegistry(o.registry); err != nil {
		return err
	}
	repository, tags, err := p.lookEngine(true, name).Tags(ctx, name, p.retry)
	if err != nil {
		return err
	}
	if o.limit > 0 && len(tags) > o.limit {
		p.line("%s of %d are shown", plural(o.limit, "tag"), len(tags))
		tags = tags[:o.limit]
	}
	return showOne(p.out, o.format, tagList{repository, tags}, func() {
		for _, tag := range tags {
			fmt.Fprintln(p.out, escape(tag))
		}
	})
}
