//go:build linux

package main

import (
	"context"
	"embed"

	"github.com/urfave/cli/v2"
)

// scripts are what shells read to complete mpull's command lines. They ask
// mpull itself (complete.go), and so need no change when commands do.
//
//go:embed all:completions
var scripts embed.FS

func (p *program) completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script of a shell",
		UsageText: "completion bash|zsh|fish",
		Description: `Prints the script with which a shell completes commands, flags, names, platforms
and filters. make install and the packages bring it already; this is for a program
that was copied by hand.

Examples:
  mpull completion bash > mpull.bash && . ./mpull.bash
  mpull completion zsh > _mpull
  mpull completion fish > mpull.fish

Exit codes: 0 done; 125 bad usage.`,
		Action: action(1, 1, func(_ context.Context, names []string) error { return printCompletion(p.streams, names[0]) }),
	}
}

func printCompletion(s *streams, shell string) error {
	file := map[string]string{"bash": "mpull.bash", "zsh": "_mpull", "fish": "mpull.fish"}[shell]
	if file == "" {
		return instead("mpull completion bash, zsh or fish", "there is no completion for %q", shell)
	}
	text, err := scripts.ReadFile("completions/" + file)
	if err != nil {
		return err
	}
	_, err = s.rawOut.Write(text)
	return err
}
