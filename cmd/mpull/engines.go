//go:build linux

package main

import (
	"io/fs"
	"os"
	"slices"

	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
)

// engine returns an engine for one command that works on what is in the store.
func (p *program) engine(events func(engine.Event)) *engine.Engine {
	return p.engineFor(nil, events)
}

// engineFor is engine for another machine than this; nil means this one.
func (p *program) engineFor(host func() preflight.Host, events func(engine.Event)) *engine.Engine {
	e := p.newEngine(host, events)
	p.tellNoStore()
	return e
}

// newEngine is engineFor for a command that makes the store where there is none.
// An ordinary user's store needs a user namespace: the program starts itself again
// in one, as podman does.
func (p *program) newEngine(host func() preflight.Host, events func(engine.Event)) *engine.Engine {
	p.inUserNamespace(true)
	p.setUmask()
	return engine.New(engine.Config{Store: p.store, Registry: p.registry, Host: host, Events: events, GuardTags: p.guard, RunInit: true})
}

// readEngine is engine for a command that only reads: the user namespace that
// an ordinary user's store needs is entered only when there is a store.
func (p *program) readEngine() *engine.Engine {
	if unshare.IsRootless() && !store.Present(p.store) {
		p.tellNoStore()
		return p.lookEngine(true)
	}
	return p.engine(p.tellNotes)
}

// lookEngine is the engine of a command that looks at images where they lie: with
// remote in no store, so that no user namespace is needed, but for an input that the
// image library unpacks: it gives each file the owner that the archive names.
func (p *program) lookEngine(remote bool, inputs ...string) *engine.Engine {
	if !remote {
		return p.readEngine()
	}
	if slices.ContainsFunc(inputs, registry.Unpacks) {
		_ = p.enterUserNamespace(true) // without one, an archive of the user's own files can be read
	}
	return engine.New(engine.Config{Store: p.store, Registry: p.registry, Events: p.tellNotes})
}

// tellNoStore says that there is no store where --root says: what is read there is
// empty, and nothing is made.
func (p *program) tellNoStore() {
	if p.store.Root == "" || p.typing || store.Present(p.store) {
		return
	}
	text := "There is no store at " + p.store.Root + "."
	if driver := store.DriverAt(p.store.Root); driver != "" {
		text = "The store at " + p.store.Root + " is one of another driver: --storage-driver " + driver + " reads it."
	}
	p.note(text)
}

// tellNotes is the event listener of commands that show no progress.
func (p *program) tellNotes(ev engine.Event) {
	if ev.Note != nil {
		p.note(ev.Note.Text)
	}
}

// inUserNamespace is enterUserNamespace for the constructors of engines: without
// the namespace there is nothing that they could do.
func (p *program) inUserNamespace(quiet bool) {
	if err := p.enterUserNamespace(quiet); err != nil {
		report(p.streams, err)
		os.Exit(exitFailed)
	}
}

// storeMask is the umask under which podman and buildah write the store.
const storeMask = 0o022

// setUmask makes what the libraries write into the store the same for every
// user: they leave modes to the umask, of their own files, and of folders of an
// image that no layer has an entry for. What a user gets as a file of their own
// keeps to the umask that they have (newFile).
//
// It comes after the program may have started itself again, since the new one
// inherits it. The umask is the whole process's, and so of what that starts:
// it is set before the first engine is made, and never again.
func (p *program) setUmask() {
	if p.userMask < 0 {
		p.userMask = unix.Umask(storeMask)
	}
}

// newFile is the mode of a new file of the user's.
func (p *program) newFile() fs.FileMode {
	p.setUmask()
	return 0o666 &^ fs.FileMode(p.userMask) //nolint:gosec // at most 0o777
}
