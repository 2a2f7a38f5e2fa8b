package registry

import (
	"context"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/types"
)

// Opened returns a reference to exactly what was read. A copy from it uses the
// source that is open, with the manifest that it has, so that a tag that moves
// meanwhile cannot give it another image. The copy closes the source, which a
// registry's survives: only idle connections end.
func (i *Image) Opened() types.ImageReference {
	if i.Ref.Transport().Name() != docker.Transport.Name() {
		return i.Ref
	}
	return openedReference{i.Ref, i.Source()}
}

type openedReference struct {
	types.ImageReference
	src types.ImageSource
}

// NewImageSource hands out the open source.
func (r openedReference) NewImageSource(context.Context, *types.SystemContext) (types.ImageSource, error) {
	return r.src, nil
}

// Pinned returns a reference to one instance alone, in the source that is open:
// for places other than registries, where a digest names nothing.
func (i *Image) Pinned(d digest.Digest) types.ImageReference {
	return openedReference{i.Ref, pinnedSource{i.Source(), d}}
}

// pinnedSource shows one instance of a source as all that there is.
type pinnedSource struct {
	types.ImageSource
	only digest.Digest
}

// Close leaves the source open: other instances may be taken from it.
func (s pinnedSource) Close() error { return nil }

func (s pinnedSource) GetManifest(ctx context.Context, _ *digest.Digest) ([]byte, string, error) {
	return s.ImageSource.GetManifest(ctx, &s.only)
}

func (s pinnedSource) GetSignatures(ctx context.Context, _ *digest.Digest) ([][]byte, error) {
	return s.ImageSource.GetSignatures(ctx, &s.only)
}

func (s pinnedSource) LayerInfosForCopy(ctx context.Context, _ *digest.Digest) ([]types.BlobInfo, error) {
	return s.ImageSource.LayerInfosForCopy(ctx, &s.only)
}
