package ask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	nocache "go.podman.io/image/v5/pkg/blobinfocache/none"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store/unpack"
)

// Blobs reads the layers of one image.
type Blobs struct {
	*Asker
	Image *registry.Image
	Retry Retry
	Watch *Watchdog
	Keep  *Keeper // nil: nothing is kept of them
	Wide  *Widener
}

// Open asks for a layer. Its reader asks for the rest where the connection breaks.
func (b *Blobs) Open(ctx context.Context, l unpack.Layer) (io.ReadCloser, error) {
	return newBlobReader(ctx, l, b.Retry.start(b.Asker, 0), b.Watch, b.Keep, b.widely(l, b.opener(l)))
}

// Came says that a layer is in the store: nothing need be kept of it.
func (b *Blobs) Came(l unpack.Layer) {
	if b.Keep != nil {
		b.Keep.drop(l.Digest, b.Watch)
	}
}

// Leave leaves what is kept of layers that did not come to whoever pulls them next.
func (b *Blobs) Leave(layers []unpack.Layer) {
	if b.Keep == nil {
		return
	}
	for _, l := range layers {
		b.Keep.release(l.Digest, b.Watch)
	}
}

// opener asks for a layer: the library for the whole of it, the registry itself
// for its rest. What the library does not know how to reach otherwise (a token
// of another kind) it reads from the first byte.
func (b *Blobs) opener(l unpack.Layer) openBlob {
	failed := 0                        // asking for the rest, in a row
	rest := func(offset int64) int64 { // with an end where it is known: some registries know no other ranges
		if l.Size > offset {
			return l.Size - offset
		}
		return -1
	}
	return func(ctx context.Context, offset int64) (io.ReadCloser, int64, error) {
		if offset > 0 && b.Image.InRegistry() && failed < 2 {
			body, at, err := b.Image.Rest(ctx, l.Digest, offset, rest(offset))
			if err == nil {
				failed = 0
				return body, at, nil
			}
			failed++
			if passing(err) || ctx.Err() != nil {
				return nil, 0, err
			}
			b.debug(fmt.Sprintf("layer %s is read from its first byte: %v", l.Digest, err))
		}
		failed = 0
		return b.whole(ctx, l)
	}
}

// widely lets what open gives come over several connections.
func (b *Blobs) widely(l unpack.Layer, open openBlob) openBlob {
	if !b.Image.InRegistry() || l.Size < 0 {
		return open
	}
	return func(ctx context.Context, offset int64) (io.ReadCloser, int64, error) {
		body, at, err := open(ctx, offset)
		if err != nil {
			return nil, 0, err
		}
		part := func(ctx context.Context, offset, length int64) (io.ReadCloser, int64, error) {
			return b.Image.Rest(ctx, l.Digest, offset, length)
		}
		return b.Wide.widen(ctx, body, at, l.Size, part, func(n int64) { b.Watch.Alive(l.Digest.String(), n, false) }), at, nil
	}
}

// whole asks for a layer from its first byte. Where the library ends its asking,
// though a fresh token or another place may do, all places are asked again.
func (b *Blobs) whole(ctx context.Context, l unpack.Layer) (io.ReadCloser, int64, error) {
	blob, _, err := b.Image.Source().GetBlob(ctx, types.BlobInfo{Digest: l.Digest, Size: l.Size, MediaType: l.MediaType}, nocache.NoCache)
	if err == nil || ctx.Err() != nil || !b.Image.InRegistry() {
		return blob, 0, err
	}
	if elsewhere := b.Image.HasMirrors() && registry.IsAnswer(err); !elsewhere && !registry.IsRefusal(err) {
		return nil, 0, err
	}
	body, at, restErr := b.Image.Rest(ctx, l.Digest, 0, -1)
	if restErr == nil {
		return body, at, nil
	}
	b.debug(fmt.Sprintf("layer %s was refused once more: %v", l.Digest, restErr))
	return nil, 0, err
}

// Parts asks for parts of a layer.
func (b *Blobs) Parts(ctx context.Context, l unpack.Layer, wanted []unpack.Part) (unpack.Parts, error) {
	parts := make([]registry.Part, len(wanted))
	for i, p := range wanted {
		parts[i] = registry.Part(p)
	}
	b.Watch.reading(l.Digest.String())
	got, err := b.Image.Parts(ctx, l.Digest, parts)
	if err != nil {
		b.Watch.Has(l.Digest)
		if errors.Is(err, registry.ErrFewerParts) {
			err = unpack.ErrFewerParts
		}
		return nil, err
	}
	b.Watch.answers.blob(1)
	return &watchedParts{Parts: got, close: sync.OnceValue(func() error {
		b.Watch.answers.blob(-1)
		b.Watch.Has(l.Digest)
		return got.Close()
	})}, nil
}

// watchedParts are parts whose end is told.
type watchedParts struct {
	*registry.Parts
	close func() error
}

func (p *watchedParts) Close() error { return p.close() }
