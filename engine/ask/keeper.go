package ask

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/unpack"
)

const (
	// keepFrom is from which size on what comes of a layer is kept until all of
	// it is in: a smaller one costs hardly more than asking for its rest would.
	keepFrom = 1 << 20
	// keepPoll is after how many kept bytes the disk is looked at.
	keepPoll = 8 << 20
)

// InterruptedError says that a pull ended early, and what of its layers is kept
// for the next one.
type InterruptedError struct {
	Kept int64 // bytes that need not come again
	Err  error
}

func (e *InterruptedError) Error() string { return e.Err.Error() }

// Unwrap returns why the pull ended.
func (e *InterruptedError) Unwrap() error { return e.Err }

// Keeper keeps what comes of the large layers of a Pull, for the next one in
// case this one is interrupted. What it cannot keep comes all the same.
type Keeper struct {
	asker *Asker
	w     *store.Writer

	mu      sync.Mutex
	parts   map[digest.Digest]held // that this pull has
	touched map[digest.Digest]bool
}

// held is what is kept of a layer, and what fetches the layer: other images of
// one pull may have it too.
type held struct {
	*store.Partial
	owner *Watchdog
}

// NewKeeper returns a keeper for one Pull into the store of w.
func NewKeeper(a *Asker, w *store.Writer) *Keeper {
	return &Keeper{asker: a, w: w, parts: map[digest.Digest]held{}, touched: map[digest.Digest]bool{}}
}

// part returns where a layer is kept, nil where it is not: it is small, another
// pull has it, or this one on top of other layers.
func (k *Keeper) part(l unpack.Layer, owner *Watchdog) *store.Partial {
	if l.Size < keepFrom {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.parts[l.Digest].Partial != nil {
		return nil
	}
	p, err := k.w.Partial(l.Digest)
	if err == nil && p != nil && p.Size() > l.Size {
		err = errors.Join(p.Clear(), errors.New("more was kept than there is"))
	}
	if err != nil {
		k.asker.debug(fmt.Sprintf("layer %s: %v", l.Digest, err))
	}
	if p == nil {
		return nil
	}
	k.parts[l.Digest], k.touched[l.Digest] = held{p, owner}, true
	return p
}

// drop removes what its owner has kept of a layer.
func (k *Keeper) drop(d digest.Digest, owner *Watchdog) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.parts[d]; p.Partial != nil && p.owner == owner {
		delete(k.parts, d)
		if err := p.Remove(); err != nil {
			k.asker.debug(fmt.Sprintf("layer %s: %v", d, err))
		}
	}
}

// release leaves what its owner has kept of a layer to whoever pulls it next.
func (k *Keeper) release(d digest.Digest, owner *Watchdog) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.parts[d]; p.Partial != nil && p.owner == owner {
		delete(k.parts, d)
		_ = p.Close() // nothing is lost: its bytes are checked when they are read
	}
}

// Forget removes what is kept of a layer that the store has.
func (k *Keeper) Forget(layer digest.Digest) {
	if err := k.w.Forget(layer); err != nil {
		k.asker.debug(fmt.Sprintf("layer %s: %v", layer, err))
	}
}

// Interrupted adds to an error what is kept for the next pull, where that may
// get further.
func (k *Keeper) Interrupted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil && !passing(err) && !errors.As(err, new(*usedUpError)) {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var kept int64
	for d := range k.touched {
		kept += k.w.Kept(d)
	}
	if kept == 0 {
		return err
	}
	return &InterruptedError{kept, err}
}
