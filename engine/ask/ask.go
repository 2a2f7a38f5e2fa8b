package ask

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/registry"
)

// Asker asks registries. Its zero value asks as podman would, and tells nobody.
type Asker struct {
	Registry registry.Options
	Debug    func(text string)                             // what only a search for a fault needs; may be nil
	Retrying func(err error, wait time.Duration, left int) // before each wait for another try, of which so many are left; may be nil

	question sync.Mutex // what a short name means may be asked: one question at a time
}

func (a *Asker) debug(text string) {
	if a.Debug != nil {
		a.Debug(text)
	}
}

// Workers bounds the requests for documents under way, of commands that ask
// for many.
const Workers = 4

// Ask is the one way to ask a registry for documents: a try of f, watched. It
// ends when the registry, or a credential helper, is silent for the limit of r;
// sys is f's own. What fails in passing is tried again.
func (a *Asker) Ask(ctx context.Context, r Retry, f func(ctx context.Context, sys *types.SystemContext, watch *Watchdog) error) error {
	return r.Do(ctx, a, func() error { return a.Once(ctx, r, f) })
}

// Once is Ask without another try.
func (a *Asker) Once(ctx context.Context, r Retry, f func(ctx context.Context, sys *types.SystemContext, watch *Watchdog) error) (err error) {
	sys, err := a.Registry.SystemContext()
	if err != nil {
		return err
	}
	ctx, watch := Watch(ctx, r.IdleLimit())
	defer watch.Stop()
	defer registry.EndHelpers(ctx, r.IdleLimit())()
	return WithCause(ctx, f(ctx, sys, watch))
}

// nearTags is how long an error waits for the list of tags that it may name one
// of.
const nearTags = 10 * time.Second

// Explain is registry.Explain, with the tags that there are where the one asked
// for is not.
func (a *Asker) Explain(ctx context.Context, ref types.ImageReference, err error) error {
	sys, sysErr := a.Registry.SystemContext()
	if sysErr != nil {
		return err
	}
	err = registry.Explain(sys, ref, err)
	asked, ok := errors.AsType[*registry.AskError](err)
	if ctx.Err() != nil || !ok || asked.Problem != registry.NoSuchTag || asked.Tag == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, nearTags)
	defer cancel()
	_ = a.Once(ctx, Retry{Idle: nearTags}, func(ctx context.Context, sys *types.SystemContext, watch *Watchdog) (err error) {
		asked.Tags, err = registry.Tags(ctx, sys, ref, watch.Asked)
		return err
	}) // without them the error is as good as before
	return err
}

// Each asks the sources that an input stands for, in their order, until f
// succeeds with one. Errors say what was done: "looking at".
func (a *Asker) Each(ctx context.Context, input, doing string, f func(registry.Source) error) error {
	sys, err := a.Registry.SystemContext()
	if err != nil {
		return err
	}
	a.question.Lock()
	sources, err := registry.Resolve(sys, input)
	a.question.Unlock()
	if err != nil {
		return err
	}
	return registry.FirstOf(ctx, sources, func(source registry.Source) error {
		err := registry.CheckPlace(source.Ref)
		if err == nil {
			err = f(source)
		}
		if err != nil {
			err = fmt.Errorf("%s %s: %w", doing, registry.RefName(source.Ref), a.Explain(ctx, source.Ref, err))
		}
		return err
	})
}
