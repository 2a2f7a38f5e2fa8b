package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	nocache "go.podman.io/image/v5/pkg/blobinfocache/none"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/unpack"
)

// fetchLayers brings the layers of an instance into the store by mpull's own
// path: one pass over the bytes, layers in parallel. It returns false when the
// library's path must be used, which then also gives the official result or
// error.
func (e *Engine) fetchLayers(ctx context.Context, w *store.Writer, img *registry.Image, d *registry.Detail, shared *shared, like func() []string, o *PullOptions) (bool, error) {
	layers, reason := fastLayers(img, d)
	if reason != "" {
		e.debug("layers are unpacked by the library: " + reason)
		return false, nil
	}
	limits := o.Limits
	ctx, watch := newWatchdog(ctx, limits.idle())
	defer watch.stop()
	watch.rest() // nothing is asked for while other images of the pull have their turn
	done := make(chan struct{})
	var helpers sync.WaitGroup
	helpers.Go(func() { monitor(ctx, watch.cancel, w.Root(), done, stopUnpackers) })
	defer helpers.Wait()
	defer close(done)
	meter := &meter{engine: e, watch: watch, ref: refName(img.Ref), layers: layers, read: make([]int64, len(layers)), told: make([]time.Time, len(layers))}
	keep := shared.keep
	if !img.InRegistry() {
		keep = nil // its blobs are at hand
	}
	open := func(ctx context.Context, l unpack.Layer) (io.ReadCloser, error) {
		return newBlobReader(ctx, l, o.Retry.start(e, 0), watch, keep, e.widely(img, l, shared.wide, watch, e.opener(img, l)))
	}
	options := unpack.Options{
		Group: shared.group, OnRead: meter.add, OnWait: func(i int, waits bool) { watch.wait(layers[i].Digest, waits) },
		MaxBytes: limits.MaxBytes, MaxEntries: limits.MaxEntries, Chunked: e.partial(w, img, like, watch),
	}
	options.OnIn = func(i int) {
		if keep != nil {
			keep.drop(layers[i].Digest, watch)
		}
		meter.in(i)
	}
	if keep != nil {
		defer func() {
			for _, l := range layers {
				keep.release(l.Digest, watch)
			}
		}()
	}
	result, ok, reason, err := w.FetchLayers(ctx, layers, open, options)
	if err != nil {
		return false, withCause(ctx, tooBig(err))
	}
	if !ok {
		e.debug("layers are unpacked by the library: " + reason)
		if hasSubstitutes(img, d) {
			survey, err := limits.survey(w)
			if err != nil {
				return false, err
			}
			return true, withCause(ctx, tooBig(w.PutLayers(ctx, layers, open, survey)))
		}
		return false, nil
	}
	meter.present(result.Fetched)
	return true, nil
}

// opener asks for a layer: the library for the whole of it, the registry itself
// for its rest. What the library does not know how to reach otherwise (a token
// of another kind) it reads from the first byte.
func (e *Engine) opener(img *registry.Image, l unpack.Layer) openBlob {
	failed := 0                        // asking for the rest, in a row
	rest := func(offset int64) int64 { // with an end where it is known: some registries know no other ranges
		if l.Size > offset {
			return l.Size - offset
		}
		return -1
	}
	return func(ctx context.Context, offset int64) (io.ReadCloser, int64, error) {
		if offset > 0 && img.InRegistry() && failed < 2 {
			body, at, err := img.Rest(ctx, l.Digest, offset, rest(offset))
			if err == nil {
				failed = 0
				return body, at, nil
			}
			failed++
			if passing(err) || ctx.Err() != nil {
				return nil, 0, err
			}
			e.debug(fmt.Sprintf("layer %s is read from its first byte: %v", l.Digest, err))
		}
		failed = 0
		return e.whole(ctx, img, l)
	}
}

// widely lets what open gives come over several connections.
func (e *Engine) widely(img *registry.Image, l unpack.Layer, wide *widener, watch *watchdog, open openBlob) openBlob {
	if !img.InRegistry() || l.Size < 0 {
		return open
	}
	return func(ctx context.Context, offset int64) (io.ReadCloser, int64, error) {
		body, at, err := open(ctx, offset)
		if err != nil {
			return nil, 0, err
		}
		part := func(ctx context.Context, offset, length int64) (io.ReadCloser, int64, error) {
			return img.Rest(ctx, l.Digest, offset, length)
		}
		return wide.widen(ctx, body, at, l.Size, part, func(n int64) { watch.alive(l.Digest.String(), n, false) }), at, nil
	}
}

// whole asks for a layer from its first byte. Where the library ends its asking,
// though a fresh token or another place may do, all places are asked again.
func (e *Engine) whole(ctx context.Context, img *registry.Image, l unpack.Layer) (io.ReadCloser, int64, error) {
	blob, _, err := img.Source().GetBlob(ctx, types.BlobInfo{Digest: l.Digest, Size: l.Size, MediaType: l.MediaType}, nocache.NoCache)
	if err == nil || ctx.Err() != nil || !img.InRegistry() {
		return blob, 0, err
	}
	if elsewhere := img.HasMirrors() && registry.IsAnswer(err); !elsewhere && !registry.IsRefusal(err) {
		return nil, 0, err
	}
	body, at, restErr := img.Rest(ctx, l.Digest, 0, -1)
	if restErr == nil {
		return body, at, nil
	}
	e.debug(fmt.Sprintf("layer %s was refused once more: %v", l.Digest, restErr))
	return nil, 0, err
}

// tooBig gives an image that exceeds a limit the same error on both paths.
func tooBig(err error) error {
	var limit *unpack.LimitError
	if !errors.As(err, &limit) {
		return err
	}
	what := "bytes"
	if limit.What == "entries" {
		what = "files and folders"
	}
	return fmt.Errorf("%w (%w)", &TooBigError{what, limit.Max}, err)
}

// fastLayers pairs the blobs of the manifest with the DiffIDs of the config.
func fastLayers(img *registry.Image, d *registry.Detail) ([]unpack.Layer, string) {
	if !img.ReadsAtOnce() {
		return nil, "the source reads one blob at a time"
	}
	diffIDs := d.Config.RootFS.DiffIDs
	if len(diffIDs) != len(d.Layers) {
		return nil, "the config does not name each layer"
	}
	layers := make([]unpack.Layer, len(d.Layers))
	for i, l := range d.Layers {
		if l.EmptyLayer || len(l.URLs) > 0 {
			return nil, "a layer is empty or lies elsewhere"
		}
		layers[i] = unpack.Layer{Digest: l.Digest, Size: l.Size, DiffID: diffIDs[i], MediaType: l.MediaType, Annotations: l.Annotations}
		if s, ok := substitute(img, l.Digest); ok {
			layers[i].Digest, layers[i].Size, layers[i].MediaType, layers[i].Annotations = s.Digest, s.Size, s.MediaType, nil
		}
	}
	return layers, ""
}

// tellEvery is how often the bytes of one layer are reported.
const tellEvery = 100 * time.Millisecond

// meter turns bytes read into events and signs of life.
type meter struct {
	engine *Engine
	watch  *watchdog
	ref    string
	layers []unpack.Layer

	mu   sync.Mutex
	read []int64
	told []time.Time
}

func (m *meter) add(layer int, n int64) {
	l := m.layers[layer]
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read[layer] += n
	if n < 0 {
		return // it is read anew
	}
	done := l.Size >= 0 && m.read[layer] >= l.Size
	m.watch.alive(l.Digest.String(), n, done)
	now := time.Now()
	if !done && now.Sub(m.told[layer]) < tellEvery {
		return
	}
	m.told[layer] = now
	state := LayerRead
	if done {
		state = LayerDone
	}
	m.engine.emit(Event{Layer: &LayerEvent{Reference: m.ref, Digest: l.Digest.String(), State: state, Offset: m.read[layer], Size: l.Size}})
}

// in reports a layer that is in the store: of some, only parts were fetched.
func (m *meter) in(layer int) {
	l := m.layers[layer]
	m.mu.Lock()
	defer m.mu.Unlock()
	if read := m.read[layer]; read > 0 && read < l.Size {
		m.engine.emit(Event{Layer: &LayerEvent{Reference: m.ref, Digest: l.Digest.String(), State: LayerDone, Offset: read, Size: l.Size}})
	}
}

// present reports the layers that were not fetched.
func (m *meter) present(fetched []int) {
	came := make(map[digest.Digest]bool, len(fetched))
	for _, i := range fetched {
		came[m.layers[i].Digest] = true
	}
	for _, l := range m.layers {
		if !came[l.Digest] {
			came[l.Digest] = true
			m.engine.emit(Event{Layer: &LayerEvent{Reference: m.ref, Digest: l.Digest.String(), State: LayerPresent, Offset: l.Size, Size: l.Size}})
		}
	}
}
