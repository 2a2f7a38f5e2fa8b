//go:build linux

package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func (p *program) tagsCommand() *cli.Command {
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
		Flags: append(registryFlags(),
			&cli.IntFlag{Name: "limit", Usage: "print at most `N` tags; 0 prints all"},
			&cli.StringFlag{Name: "format", Usage: "print json, or by a Go `TEMPLATE` with the fields Repository and Tags"},
		),
		Action: p.tags,
	}
}

// tagList is the document of skopeo list-tags.
type tagList struct {
	Repository string `json:",omitempty"`
	Tags       []string
}

func (p *program) tags(c *cli.Context) error {
	if err := exactly(c, 1, 1, "tags [flags] REPOSITORY|ARCHIVE"); err != nil {
		return err
	}
	limit := c.Int("limit")
	if limit < 0 {
		return usagef("--limit %d: use 0 for all tags, or a number of them", limit)
	}
	if err := checkFormat[tagList](c.String("format")); err != nil {
		return err
	}
	if err := p.applyRegistryFlags(c); err != nil {
		return err
	}
	repository, tags, err := p.lookEngine(true).Tags(c.Context, c.Args().First(), p.retry)
	if err != nil {
		return err
	}
	if limit > 0 && len(tags) > limit {
		p.line("%s of %d are shown", plural(limit, "tag"), len(tags))
		tags = tags[:limit]
	}
	switch format := c.String("format"); {
	case isJSON(format):
		return printJSON(p.out, tagList{Repository: repository, Tags: tags})
	case format != "":
		return printTemplate(p.out, format, []any{tagList{Repository: repository, Tags: tags}})
	}
	for _, t := range tags {
		if _, err := fmt.Fprintln(p.out, t); err != nil {
			return err
		}
	}
	return nil
}
