package unpack

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// DefaultWorkers is how many layers are fetched at the same time when nothing
// else is said. One layer keeps about one and a half CPUs busy.
const DefaultWorkers = 4

// Group bounds how many layers several Fetch calls on one store work on at the
// same time, and has each layer fetched by one of them only.
type Group struct {
	slots   chan struct{}
	windows *semaphore.Weighted // bytes that decompressors look back on, together

	mu     sync.Mutex
	claims map[string]*claim // by chain ID
}

// claim is the right to fetch one layer, or the wait for who has it.
type claim struct {
	id   string
	mine bool
	done chan struct{} // closed when its owner gives up the claim
}

// NewGroup returns a group that fetches up to workers layers at a time.
func NewGroup(workers int) *Group {
	return &Group{slots: make(chan struct{}, max(1, workers)), windows: semaphore.NewWeighted(maxZstdWindow), claims: make(map[string]*claim)}
}

// claim claims what nobody has claimed. As one call claims all that it needs
// at once, and a chain ID comes with all below it, calls wait for earlier calls
// only and never for each other.
func (g *Group) claim(ids []string) map[string]*claim {
	g.mu.Lock()
	defer g.mu.Unlock()
	claims := make(map[string]*claim, len(ids))
	for _, id := range ids {
		if c, ok := g.claims[id]; ok {
			claims[id] = &claim{id: id, done: c.done}
			continue
		}
		claims[id] = &claim{id: id, mine: true, done: make(chan struct{})}
		g.claims[id] = claims[id]
	}
	return claims
}

// release ends a claim; doing it again, or for another call's, does nothing.
func (g *Group) release(c *claim) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.mine && g.claims[c.id] == c {
		delete(g.claims, c.id)
		close(c.done)
	}
}

// slot waits until one more layer may be worked on.
func (g *Group) slot(ctx context.Context) (release func(), err error) {
	select {
	case g.slots <- struct{}{}:
		return func() { <-g.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// window waits until a decompressor may look back on so many bytes more; wait
// is called before and after, where there is any waiting.
func (g *Group) window(ctx context.Context, bytes int64, wait func(waits bool)) (release func(), err error) {
	if !g.windows.TryAcquire(bytes) {
		wait(true)
		defer wait(false)
		if err := g.windows.Acquire(ctx, bytes); err != nil {
			return nil, context.Cause(ctx)
		}
	}
	return sync.OnceFunc(func() { g.windows.Release(bytes) }), nil
}
