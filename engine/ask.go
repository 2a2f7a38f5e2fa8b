package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/registry"
)

// askWorkers bounds the requests for documents under way, of commands that ask
// for many.
const askWorkers = 4

// ask is the one way to ask a registry for documents: a try of f, watched. It
// ends when the registry, or a credential helper, is silent for the limit of r;
// sys is f's own. What fails in passing is tried again.
func (e *Engine) ask(ctx context.Context, r Retry, f func(ctx context.Context, sys *types.SystemContext, watch *watchdog) error) error {
	return r.do(ctx, e, func() error { return e.askOnce(ctx, r, f) })
}

func (e *Engine) askOnce(ctx context.Context, r Retry, f func(ctx context.Context, sys *types.SystemContext, watch *watchdog) error) (err error) {
	sys, err := e.config.Registry.SystemContext()
	if err != nil {
		return err
	}
	ctx, watch := newWatchdog(ctx, r.idle())
	defer watch.stop()
	defer registry.EndHelpers(ctx, r.idle())()
	return withCause(ctx, f(ctx, sys, watch))
}

// nearTags is how long an error waits for the list of tags that it may name one
// of.
const nearTags = 10 * time.Second

// withAdvice is registry.Explain, with the tags that there are where the one asked
// for is not.
func (e *Engine) withAdvice(ctx context.Context, ref types.ImageReference, err error) error {
	sys, sysErr := e.config.Registry.SystemContext()
	if sysErr != nil {
		return err
	}
	err = registry.Explain(sys, ref, err)
	var asked *registry.AskError
	if ctx.Err() != nil || !errors.As(err, &asked) || asked.Problem != registry.NoSuchTag || asked.Tag == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, nearTags)
	defer cancel()
	_ = e.askOnce(ctx, Retry{Idle: nearTags}, func(ctx context.Context, sys *types.SystemContext, watch *watchdog) (err error) {
		asked.Tags, err = registry.Tags(ctx, sys, ref, watch.asked)
		return err
	}) // without them the error is as good as before
	return err
}

// withSource asks the sources that an input stands for, in their order, until f
// succeeds with one. Errors say what was done: "looking at".
func (e *Engine) withSource(ctx context.Context, input, doing string, f func(registry.Source) error) error {
	sys, err := e.config.Registry.SystemContext()
	if err != nil {
		return err
	}
	e.question.Lock()
	sources, err := registry.Resolve(sys, input)
	e.question.Unlock()
	if err != nil {
		return err
	}
	var errs []error
	for _, source := range sources {
		err := registry.CheckPlace(source.Ref)
		if err == nil {
			err = f(source)
		}
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s %s: %w", doing, refName(source.Ref), e.withAdvice(ctx, source.Ref, err)))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}
