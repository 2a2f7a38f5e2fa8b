package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine/ask"
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
	ctx, watch := ask.Watch(ctx, o.Retry.IdleLimit())
	defer watch.Stop()
	watch.Rest() // nothing is asked for while other images of the pull have their turn
	done := make(chan struct{})
	var helpers sync.WaitGroup
	helpers.Go(func() { monitor(ctx, watch.Cancel, w.Root(), done, stopUnpackers) })
	defer helpers.Wait()
	defer close(done)
	meter := &meter{engine: e, watch: watch, ref: registry.RefName(img.Ref), layers: layers, read: make([]int64, len(layers)), told: make([]time.Time, len(layers))}
	blobs := &ask.Blobs{Asker: e.asker, Image: img, Retry: o.Retry, Watch: watch, Keep: shared.keep, Wide: shared.wide}
	if !img.InRegistry() {
		blobs.Keep = nil // they are at hand
	}
	defer blobs.Leave(layers)
	options := unpack.Options{
		Group: shared.group, OnRead: meter.add, OnWait: func(i int, waits bool) { watch.Wait(layers[i].Digest, waits) },
		MaxBytes: o.Limits.MaxBytes, MaxEntries: o.Limits.MaxEntries, Chunked: e.partial(w, blobs, like),
		OnIn: func(i int) {
			blobs.Came(layers[i])
			meter.in(i)
		},
	}
	result, ok, reason, err := w.FetchLayers(ctx, layers, blobs.Open, options)
	if err != nil {
		return false, ask.WithCause(ctx, tooBig(err))
	}
	if !ok {
		e.debug("layers are unpacked by the library: " + reason)
		if hasSubstitutes(img, d) {
			survey, err := o.Limits.survey(w)
			if err != nil {
				return false, err
			}
			return true, ask.WithCause(ctx, tooBig(w.PutLayers(ctx, layers, blobs.Open, survey)))
		}
		return false, nil
	}
	meter.present(result.Fetched)
	return true, nil
}

// tooBig gives an image that exceeds a limit the same error on both paths.
func tooBig(err error) error {
	limit, ok := errors.AsType[*unpack.LimitError](err)
	if !ok {
		return err
	}
	what := "bytes"
	if limit.What == "entries" {
		what = "files and folders"
	}
	return fmt.Errorf("the image takes more than the %d %s that it may (%w)", limit.Max, what, err)
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
	watch  *ask.Watchdog
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
	m.watch.Alive(l.Digest.String(), n, done)
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
