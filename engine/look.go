package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
)

// LookOptions says which instance of an image to look at, without pulling it.
// The zero value is the host's platform and no retry.
type LookOptions struct {
	Requests []platform.Request // an ordered fallback; nil means the host's platform
	Retry    Retry
}

func (e *Engine) requests(o LookOptions) []platform.Request {
	if len(o.Requests) == 0 {
		return []platform.Request{platform.Native(e.Platform())}
	}
	return o.Requests
}

// localTransport is how containers/image calls images of local storage.
const localTransport = "containers-storage:"

// look opens what an input stands for and hands it to f: an image of local
// storage for containers-storage:, else the first of the input's sources that
// answers. It changes nothing.
func (e *Engine) look(ctx context.Context, input string, o LookOptions, f lookFunc) error {
	if strings.HasPrefix(input, localTransport) {
		return e.lookLocal(ctx, input, f)
	}
	return e.besideStore(ctx, input, func(e *Engine) error {
		return e.asker.Each(ctx, input, "looking at", func(source registry.Source) error {
			return e.open(ctx, source, o.Retry, f)
		})
	})
}

// lookFunc gets an image that is open, and where it lies. ctx ends when the
// registry is silent.
type lookFunc = func(ctx context.Context, img *registry.Image, source registry.Source) error

// open reads one source's manifest and hands it to f.
func (e *Engine) open(ctx context.Context, source registry.Source, r Retry, f lookFunc) error {
	return e.asker.Ask(ctx, r, func(ctx context.Context, sys *types.SystemContext, watch *ask.Watchdog) (err error) {
		img, err := registry.Open(ctx, sys, source.Ref)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, img.Close()) }()
		img.Guard().Observe(ctx, watch.Asked)
		return f(ctx, img, source)
	})
}

// lookLocal opens an image of local storage as the image library reads it.
func (e *Engine) lookLocal(ctx context.Context, input string, f lookFunc) error {
	if strings.HasPrefix(input, localTransport+"[") {
		return fmt.Errorf("reading %q: name the store with --root, --runroot and --storage-driver", input)
	}
	return e.readImage(ctx, input, func(s *store.Store, img *store.Image, name string) error {
		ref, err := s.Reference(img, name)
		if err != nil {
			return err
		}
		return e.open(ctx, registry.Source{Ref: ref, Name: ref.DockerReference()}, Retry{}, f)
	})
}

// readIfThere is read for a look-up that can do without the store: where none
// can be read, f gets an empty snapshot, no store, and the reason.
func (e *Engine) readIfThere(ctx context.Context, f func(s *store.Store, snap *store.Snapshot, problem error) error) error {
	var asked bool
	err := e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		asked = true
		return f(s, snap, nil)
	})
	if asked || err == nil {
		return err
	}
	return f(nil, &store.Snapshot{}, err)
}
