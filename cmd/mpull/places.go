//go:build linux

package main

import (
	"os"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/store"
)

// checkPlaces reads the global flags that name a folder or a file. An empty one
// comes from a variable that is not set: taken for the default, it would have a
// prune work on the machine's own store.
func (p *program) checkPlaces(c *cli.Context) error {
	for _, flag := range []string{"root", "runroot", "imagestore", "storage-driver", "registries-conf", "policy-file"} {
		if c.IsSet(flag) && c.String(flag) == "" {
			return usagef("--%s has an empty value; leave it away for the default", flag)
		}
	}
	for flag, path := range map[string]string{"root": p.store.Root, "runroot": p.store.RunRoot, "imagestore": p.store.ImageStore} {
		if info, err := os.Stat(path); path != "" && err == nil && !info.IsDir() {
			return usagef("--%s %s is no folder", flag, path)
		}
	}
	p.rootNamed = c.IsSet("root")
	return nil
}

// tellNoStore says that there is no store where --root says: what is read there is
// empty, and nothing is made.
func (p *program) tellNoStore() {
	if !p.rootNamed || store.Present(p.store) {
		return
	}
	text := "There is no store at " + p.store.Root + "."
	if driver := store.DriverAt(p.store.Root); driver != "" {
		text = "The store at " + p.store.Root + " is one of another driver: --storage-driver " + driver + " reads it."
	}
	if p.events != nil {
		p.events.write("note", noteBody{text})
		return
	}
	p.line("%s", escape(text))
}
