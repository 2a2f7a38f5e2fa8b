package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func (p *program) versionCommand() *cli.Command {
	return &cli.Command{
		Name:      "version",
		Usage:     "print the version",
		UsageText: "version",
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, 0, "version"); err != nil {
				return err
			}
			_, err := fmt.Fprintf(p.out, "mpull %s (commit %s)\n", version, commit)
			return err
		},
	}
}
