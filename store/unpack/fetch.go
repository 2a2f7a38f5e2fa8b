package unpack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/idtools"
)

// Options are optional; the zero value sets no limit.
type Options struct {
	// Group bounds and shares the work of several Fetch calls on one store.
	// Nil stands for a group of its own.
	Group *Group
	// OnRead is called with the index of a layer and how many more of its
	// compressed bytes were read, from several goroutines. The number is negative
	// when the layer is read anew.
	OnRead func(layer int, n int64)
	// OnWait is called with the index of a layer that is not read on until there
	// is memory to decompress it, and when there is.
	OnWait func(layer int, waits bool)
	// OnIn is called with the index of a layer once the store has it.
	OnIn func(layer int)
	// MaxBytes and MaxEntries limit the unpacked tars of one call, 0 does not.
	MaxBytes, MaxEntries int64
	// Chunked, unless it is nil, has layers that list their files fetched in
	// parts, and the files of others listed.
	Chunked *Chunked
	// Library is what the library needs to unpack layers where the driver cannot
	// stage them. Nil refuses such a store.
	Library *Library
}

// Result says what a Fetch did.
type Result struct {
	// IDs are the chain IDs of all layers, in their order. All are in the store.
	IDs []string
	// Fetched are the indexes of those whose blobs were read from where the
	// opener reads, not found in the store.
	Fetched []int
}

// Fetch makes all layers of an image present in the store.
//
// Layers that the store has are not fetched, nor blobs that it has on top of
// other layers. What is not there is staged in parallel, largest first, and
// applied in order, each layer as soon as those below are in. Where the driver
// cannot stage, a layer is staged as a file, and the library applies it. On an error or
// when ctx is cancelled, everything that was staged is removed, while layers
// that were applied stay and are found by the next Fetch. The error is the one
// that came first.
//
// It returns an *UnsupportedError when the library's path is to be used, a
// *ParentGoneError when a layer was removed meanwhile, a *MismatchError when a
// blob is not what was promised, and a *LimitError.
//
// Several calls may work on one store, in one process and in many. The caller
// keeps the layers from being removed until an image refers to them.
func Fetch(ctx context.Context, store storage.Store, layers []Layer, open Opener, opts Options) (Result, error) {
	if reason := Applicable(store, layers, opts); reason != "" {
		return Result{}, &UnsupportedError{Reason: reason}
	}
	if opts.Group == nil {
		opts.Group = NewGroup(DefaultWorkers)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &fetcher{
		stager: &stager{store: store, open: open, opts: opts, chunks: newChunks(), packers: newPackers()},
		layers: layers,
		chain:  ChainIDs(layers),
		cancel: cancel,
	}
	defer f.wait()
	if l := opts.Library; l != nil && !stages(store) {
		f.survey = &Survey{MaxBytes: opts.MaxBytes, MaxEntries: opts.MaxEntries, Room: l.Room}
	} else if c := opts.Chunked; c != nil {
		f.partly = newPartly(store, c.PullOptions)
		f.listed = onceWith(f.prepareChunked)
	}
	// Before looking what is there, lest another call finishes in between.
	f.claims = opts.Group.claim(f.chain)
	defer f.release()
	first := f.present()
	if err := f.mapIDs(first); err != nil {
		return Result{}, err
	}
	f.start(ctx, first)
	result := Result{IDs: f.chain}
	for i := first; i < len(layers); {
		fetched, err := f.finish(ctx, i)
		for _, came := range fetched {
			if came {
				result.Fetched = append(result.Fetched, i)
			}
			if opts.OnIn != nil {
				opts.OnIn(i)
			}
			i++
		}
		if err != nil {
			cancel(err)
			return result, err
		}
	}
	return result, nil
}

// onceWith calls f at the first call, and returns what that returned.
func onceWith(f func(context.Context) bool) func(context.Context) bool {
	var once sync.Once
	var result bool
	return func(ctx context.Context) bool {
		once.Do(func() { result = f(ctx) })
		return result
	}
}

// fetcher is one Fetch in progress.
type fetcher struct {
	*stager
	layers []Layer
	chain  []string // IDs of the layers
	cancel context.CancelCauseFunc
	claims map[string]*claim
	// staged has a channel for each layer that this call stages; it gives one
	// value, none after an error.
	staged []chan staged
	tasks  sync.WaitGroup
}

// present returns how many layers, from the bottom, the store has.
func (f *fetcher) present() int {
	for i := range f.chain {
		if !f.whole(i) {
			return i
		}
	}
	return len(f.chain)
}

// whole reports whether the store has a layer and its files. The library
// replaces the files of a layer that another process made meanwhile, in two
// steps: when those to replace them with are swept away in between (see
// apply), it leaves the layer without any. Then it is put in once more.
func (f *fetcher) whole(i int) bool {
	if !f.store.Exists(f.chain[i]) {
		return false
	}
	if f.spools() {
		return true // the library replaces nothing there
	}
	if _, err := os.Lstat(f.diff(i)); !errors.Is(err, os.ErrNotExist) {
		return true
	}
	l, err := f.store.Layer(f.chain[i])
	return err == nil && l.ReadOnly // of an additional image store
}

// mapIDs finds out, as the library does when it creates a layer, how the owners
// in archives are mapped to those on disk: as in the layer below, else as the
// store says, unless the mapping is left to whoever mounts it.
func (f *fetcher) mapIDs(first int) error {
	if f.spools() {
		return nil // it will do so itself
	}
	uids, gids, elsewhere := f.store.UIDMap(), f.store.GIDMap(), false
	if first > 0 && first < len(f.chain) {
		below, err := f.store.Layer(f.chain[first-1])
		if err != nil {
			return f.parentGone(first, err)
		}
		uids, gids, elsewhere = below.UIDMap, below.GIDMap, below.ReadOnly
	}
	if len(uids) == 0 && len(gids) == 0 {
		f.commits = f.opts.Library != nil && f.opts.Library.Commit != nil && !elsewhere
		return nil
	}
	driver, err := f.store.GraphDriver()
	if err != nil {
		return err
	}
	if !driver.SupportsShifting(uids, gids) {
		f.ids = idtools.NewIDMappingsFromMaps(uids, gids)
		return nil
	}
	if first > 0 {
		return &UnsupportedError{Reason: fmt.Sprintf("layer %s maps user or group IDs, and those above need not", f.chain[first-1])}
	}
	return nil
}

// start stages, largest first, all layers that this call has claimed.
func (f *fetcher) start(ctx context.Context, first int) {
	f.staged = make([]chan staged, len(f.layers))
	var mine []int
	for i := first; i < len(f.layers); i++ {
		if f.claims[f.chain[i]].mine {
			mine = append(mine, i)
			f.staged[i] = make(chan staged, 1)
		}
	}
	slices.SortStableFunc(mine, func(a, b int) int { return int(min(1, max(-1, f.layers[b].Size-f.layers[a].Size))) })
	f.tasks.Go(func() {
		for _, i := range mine {
			release, err := f.opts.Group.slot(ctx)
			if err != nil {
				close(f.staged[i])
				continue
			}
			f.tasks.Go(func() {
				defer release()
				f.stageOne(ctx, i)
			})
		}
	})
}

func (f *fetcher) stageOne(ctx context.Context, i int) {
	defer close(f.staged[i])
	output, err := f.stage(ctx, i, f.layers[i])
	if err != nil {
		f.cancel(err) // the first one wins
		return
	}
	f.staged[i] <- output
}

// finish gets layer i into the store, and those after it that are staged by
// then. It reports for each whether this call fetched it.
func (f *fetcher) finish(ctx context.Context, i int) ([]bool, error) {
	c := f.claims[f.chain[i]]
	for !c.mine {
		select {
		case <-c.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if f.whole(i) {
			return []bool{false}, nil
		}
		// The other call failed: its error is not this one's.
		id := f.chain[i]
		c = f.opts.Group.claim([]string{id})[id]
		f.claims[id] = c
		if c.mine {
			release, err := f.opts.Group.slot(ctx)
			if err != nil {
				return nil, context.Cause(ctx)
			}
			f.staged[i] = make(chan staged, 1)
			f.stageOne(ctx, i)
			release()
		}
	}
	output, ok := <-f.staged[i]
	if !ok {
		return nil, context.Cause(ctx)
	}
	if f.commits {
		return f.commit(ctx, i, append([]staged{output}, f.alsoStaged(i+1)...))
	}
	into := f.apply
	if f.spools() {
		into = f.put
	}
	applied, err := into(ctx, i, output)
	f.opts.Group.release(c)
	if err != nil {
		return nil, err
	}
	return []bool{applied && output.fetched}, nil
}

// alsoStaged takes what is staged of the layers from i on, up to the first that
// is not.
func (f *fetcher) alsoStaged(i int) (more []staged) {
	for ; i < len(f.staged) && f.staged[i] != nil; i++ {
		select {
		case output, ok := <-f.staged[i]:
			if !ok {
				return more
			}
			more = append(more, output)
		default:
			return more
		}
	}
	return more
}

// wait cleans up what was staged and not applied.
func (f *fetcher) wait() {
	f.tasks.Wait()
	for _, staged := range f.staged {
		if staged == nil {
			continue
		}
		output, ok := <-staged
		switch {
		case !ok:
		case f.spools():
			output.spooled.close()
		default:
			// What cannot be removed now is removed when the store shuts down.
			_ = f.store.CleanupStagedLayer(output.DriverWithDifferOutput)
		}
	}
}

func (f *fetcher) release() {
	for _, c := range f.claims {
		f.opts.Group.release(c)
	}
}

// parentGone tells the removal of the layer below from other errors.
func (f *fetcher) parentGone(i int, err error) error {
	if i > 0 && !f.store.Exists(f.chain[i-1]) {
		return &ParentGoneError{Layer: f.chain[i], Parent: f.chain[i-1]}
	}
	return fmt.Errorf("layer %d (%s): %w", i+1, f.layers[i].Digest, err)
}
