package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
)

// beside hands f an engine that unpacks archives beside the store, where what
// a kill leaves is found again. It is e itself where no input is one.
func (e *Engine) beside(ctx context.Context, s *store.Store, inputs []string, f func(*Engine) error) (err error) {
	if !slices.ContainsFunc(inputs, registry.Unpacks) {
		return f(e)
	}
	dir, release, err := s.TempDir(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	c := e.config
	c.Registry.TempDir, c.Events = dir, e.emit
	return f(newEngine(c, e.host, e.native))
}

// besideStore is beside for who reads the archive alone. Where the store cannot
// be written, or there is none, the library's own directory has to do: nothing
// is made for a look.
func (e *Engine) besideStore(ctx context.Context, input string, f func(*Engine) error) (err error) {
	if !registry.Unpacks(input) {
		return f(e)
	}
	s, err := store.Open(e.config.Store)
	if err != nil {
		return f(e) // the store is not what was asked for
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.ReadOnly() || !s.Exists() {
		return f(e)
	}
	return e.beside(ctx, s, []string{input}, f)
}
