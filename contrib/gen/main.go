// Gen writes mpull's man pages into contrib/man and its completions into
// contrib/completions, from what the program says about itself:
//
//	go run ./contrib/gen MPULL DIR
//
// MPULL is the built program, DIR the folder that gets man and completions.
// Files of a kind that is generated, but of a command that is no more, go.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: gen MPULL DIR")
		os.Exit(2)
	}
	if err := generate(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// command is what mpull says about itself or one of its commands; see
// cmd/mpull/describe.go.
type command struct {
	Name      string    `json:"name"`
	Aliases   []string  `json:"aliases"`
	Usage     string    `json:"usage"`
	Synopsis  []string  `json:"synopsis"`
	Text      string    `json:"text"`
	Examples  []string  `json:"examples"`
	ExitCodes string    `json:"exitCodes"`
	Elsewhere string    `json:"elsewhere"`
	Flags     []flag    `json:"flags"`
	Commands  []command `json:"commands"`
}

type flag struct {
	Names   []string `json:"names"`
	Value   string   `json:"value"`
	Usage   string   `json:"usage"`
	Default string   `json:"default"`
}

func describe(mpull string) (app command, err error) {
	out, err := exec.Command(mpull, "__describe").Output()
	if err != nil {
		return app, fmt.Errorf("asking %s what it is: %w", mpull, err)
	}
	return app, json.Unmarshal(out, &app)
}

func generate(mpull, dir string) error {
	app, err := describe(mpull)
	if err != nil {
		return err
	}
	files := map[string][]byte{}
	for name, page := range manPages(app) {
		files[filepath.Join("man", name)] = page
	}
	for shell, name := range map[string]string{"bash": "mpull.bash", "zsh": "_mpull", "fish": "mpull.fish"} {
		if files[filepath.Join("completions", name)], err = exec.Command(mpull, "completion", shell).Output(); err != nil {
			return fmt.Errorf("asking %s for the completion of %s: %w", mpull, shell, err)
		}
	}
	old, err := filepath.Glob(filepath.Join(dir, "man", "*.1"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if files[filepath.Join("man", filepath.Base(path))] == nil {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
