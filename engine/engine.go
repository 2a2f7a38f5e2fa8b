package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// Config says what an Engine works on. The zero value is this machine, the
// store that podman would use and the registries as podman reaches them.
type Config struct {
	Store    store.Options
	Registry registry.Options
	Host     func() preflight.Host // facts about the machine that images are for; nil means this one
	Events   func(Event)           // called for each event, from one goroutine at a time; nil means nobody listens
	// GuardTags refuses to move a name whose image is in use to an image of
	// another platform.
	GuardTags bool
	// RunInit says that this program calls container.Init when it is started by
	// the name container.InitName. Run then starts it so.
	RunInit bool
}

// Engine carries out use cases. It holds no open store: each use case opens
// the store, reads it once, and closes it.
type Engine struct {
	config Config
	host   func() preflight.Host
	native func() platform.Platform
	mu     sync.Mutex // serialises Events

	asker *ask.Asker
	ids   func() preflight.IDTable // of this process
}

// New returns an engine. It reads nothing yet.
func New(c Config) *Engine {
	c.Registry.RuntimeDir = store.SettleRuntimeDir()
	if c.Host == nil {
		return newEngine(c, sync.OnceValue(func() preflight.Host { return host.Local() }), sync.OnceValue(host.Wants))
	}
	on := sync.OnceValue(c.Host)
	return newEngine(c, on, func() platform.Platform { return on().Facts().Wants() })
}

func newEngine(c Config, on func() preflight.Host, native func() platform.Platform) *Engine {
	e := &Engine{config: c, host: on, native: native, ids: sync.OnceValue(preflight.OwnIDs)}
	e.asker = &ask.Asker{Registry: c.Registry, Debug: e.debug, Retrying: func(err error, wait time.Duration, left int) {
		e.emit(Event{Retry: &RetryEvent{Err: err, Wait: wait, Tries: left}})
	}}
	return e
}

// Platform returns what is wanted on the host when nobody asks for a platform,
// Facts.Wants, without reading the other facts about it. It is what this
// program was built for; what starts there is the kernel's business.
func (e *Engine) Platform() platform.Platform { return e.native() }

func (e *Engine) emit(ev Event) {
	if e.config.Events == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.config.Events(ev)
}

func (e *Engine) debug(text string) { e.emit(Event{Debug: &NoteEvent{Text: text}}) }

func (e *Engine) note(format string, args ...any) {
	e.emit(Event{Note: &NoteEvent{Text: fmt.Sprintf(format, args...)}})
}

// read opens the store, takes one snapshot, and hands both to f.
func (e *Engine) read(ctx context.Context, f func(*store.Store, *store.Snapshot) error) (err error) {
	s, err := store.Open(e.config.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	snap, err := s.Snapshot(ctx)
	if err != nil {
		return err
	}
	return f(s, snap)
}

// readImage opens the store for reading, and hands the local image that input
// means to f, and the name by which it was found. Only that image is read
// whole; f needs no other.
func (e *Engine) readImage(ctx context.Context, input string, f func(s *store.Store, img *store.Image, name string) error) (err error) {
	s, err := store.Open(e.config.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	index, err := s.Index()
	if err != nil {
		return err
	}
	found, err := e.view(index).Find(input)
	if err == nil {
		s.ReadDetails(found.Image)
		return f(s, found.Image, found.Name)
	}
	snap, snapErr := s.Snapshot(ctx)
	if snapErr != nil {
		return snapErr
	}
	// Found or not, with the details that an error tells.
	if found, err = e.view(snap).Find(input); err != nil {
		return err
	}
	return f(s, found.Image, found.Name)
}

// view asks a snapshot, with short names as the user's configuration has them.
func (e *Engine) view(snap *store.Snapshot) *query.View { return query.New(snap, e.localNames) }

func (e *Engine) localNames(input string) ([]string, error) {
	sys, err := e.config.Registry.SystemContext()
	if err != nil {
		return nil, err
	}
	return registry.LocalNames(sys, input)
}

// write opens the store for changing, takes the shared lock and one snapshot,
// and hands both to f.
func (e *Engine) write(ctx context.Context, f func(*store.Writer, *store.Snapshot) error) (err error) {
	s, err := store.Create(e.config.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	w, err := s.Writer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	snap, err := s.Snapshot(ctx)
	if err != nil {
		return err
	}
	return f(w, snap)
}

// change is write for what is about one local image.
func (e *Engine) change(ctx context.Context, input string, f func(*store.Writer, *query.View) error) error {
	if err := e.absent(ctx, input); err != nil {
		return err
	}
	return e.write(ctx, func(w *store.Writer, snap *store.Snapshot) error { return f(w, e.view(snap)) })
}

// absent is the error of what is looked for in a store that is not there, in
// which a command then makes none. It is nil where there is a store.
func (e *Engine) absent(ctx context.Context, input string) error {
	if store.Present(e.config.Store) {
		return nil
	}
	return e.readImage(ctx, input, func(*store.Store, *store.Image, string) error { return nil })
}

// deleter is write with the right to delete, and without a snapshot: each deletion
// takes its own.
func (e *Engine) deleter(ctx context.Context, f func(*store.Deleter) error) (err error) {
	s, err := store.Create(e.config.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	d, err := s.Deleter(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	e.sweepRuns(ctx, &d.Writer)
	return f(d)
}
