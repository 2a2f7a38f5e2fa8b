//go:build linux

package main

import (
	"github.com/urfave/cli/v2"
	"go.podman.io/storage/pkg/unshare"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/store"
)

// readEngine is engine for a command that only reads: the user namespace that
// an ordinary user's store needs is entered only when there is a store.
func (p *program) readEngine() *engine.Engine {
	if unshare.IsRootless() && !store.Present(p.store) {
		p.tellNoStore()
		return p.lookEngine(true)
	}
	return p.engine(p.tellNotes)
}

// lookEngine is the engine of a command that looks at images where they lie.
// One that needs no store needs no user namespace either.
func (p *program) lookEngine(remote bool) *engine.Engine {
	if !remote {
		return p.readEngine()
	}
	return engine.New(engine.Config{Store: p.store, Registry: p.registry, Events: p.tellNotes})
}

// tellNotes is the event listener of commands that show no progress.
func (p *program) tellNotes(ev engine.Event) {
	if ev.Note != nil {
		p.line("%s", escape(ev.Note.Text))
	}
}

// lookOptions reads the flags that choose an instance: one ordered fallback.
func (p *program) lookOptions(c *cli.Context) (engine.LookOptions, error) {
	o := engine.LookOptions{Retry: p.retry}
	lists, err := requests(c, host.Wants())
	if err != nil {
		return o, err
	}
	if len(lists) > 1 {
		return o, usagef("one --platform, please; several to try in order are written --platform a,b")
	}
	if len(lists) == 1 {
		o.Requests = lists[0]
	}
	return o, nil
}
