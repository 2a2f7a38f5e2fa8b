package engine

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/archive"
	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
)

// progressInterval is how often the copy reports bytes.
const progressInterval = 200 * time.Millisecond

// copyImage brings the chosen instance into the store under its image ID and
// without a name: a library commit that fails while naming deletes the image
// with all its other names (containers/image#1267). With layersThere the layers
// are in the store already and are not reported again.
func (e *Engine) copyImage(ctx context.Context, w *store.Writer, img *registry.Image, c *choice, temp string, layersThere bool, o *PullOptions) error {
	ctx, watch := ask.Watch(ctx, o.Retry.IdleLimit())
	defer watch.Stop()
	survey, err := o.Limits.survey(w)
	if err != nil {
		return err
	}
	// The library reports the last bytes of a layer when it is done with the
	// layer, and those of a config never; it reads the config first.
	dest, err := w.Destination(ctx, imageID(c.detail), survey, func(blob digest.Digest) { watch.Has(c.detail.ConfigInfo.Digest, blob) })
	if err != nil {
		return err
	}
	src, sys, err := e.copySource(ctx, img, c.detail, temp, watch)
	if err != nil {
		return err
	}
	dest = knowing(dest, img, c.detail)
	policy, err := registry.Policy(sys)
	if err != nil {
		return err
	}
	defer policy.Destroy()
	progress := make(chan types.ProgressProperties)
	var helpers sync.WaitGroup
	done := make(chan struct{})
	helpers.Go(func() { monitor(ctx, watch.Cancel, w.Root(), done, stopUnpackers) })
	helpers.Go(func() {
		for p := range progress {
			watch.Note(p)
			if p.Artifact.Digest != c.detail.ConfigInfo.Digest && !layersThere {
				e.emit(layerEvent(img.Ref, p))
			}
		}
	})
	_, err = copy.Image(ctx, policy, dest, src, &copy.Options{
		ReportWriter: io.Discard, SourceCtx: sys, DestinationCtx: sys,
		Progress: progress, ProgressInterval: progressInterval,
		PreferGzipInstances: types.OptionalBoolFalse, // as libraryChoice has it
	})
	close(progress)
	close(done)
	helpers.Wait()
	return ask.WithCause(ctx, tooBig(err))
}

// copySource returns the reference and the context by which the copy chooses
// the instance that was chosen here: the source that is open, as a tag may have
// moved since; the whole index, so that its digest is recorded too, with
// exactly the instance's platform. Where that would choose another entry (no
// platform, nested index, the same platform twice) the instance is named by its
// digest.
func (e *Engine) copySource(ctx context.Context, img *registry.Image, d *registry.Detail, temp string, watch *ask.Watchdog) (types.ImageReference, *types.SystemContext, error) {
	options := e.config.Registry
	options.TempDir = temp
	sys, err := options.SystemContext()
	if err != nil {
		return nil, nil, err
	}
	sys.BlobInfoCacheDir = temp // one pull knows all it needs; the shared cache costs syncs
	img.Guard().Observe(ctx, watch.Asked)
	if !img.IsIndex {
		return img.Opened(), sys, nil
	}
	p := d.Said
	sys.OSChoice, sys.ArchitectureChoice, sys.VariantChoice = p.OS, p.Architecture, p.Variant
	if d.Index == "" && p.Complete() {
		if chosen, err := libraryChoice(img, sys); err == nil && chosen == d.Digest {
			return img.Opened(), sys, nil
		}
	}
	if r, ok := img.Ref.(archive.Reference); ok {
		return r.Pin(d.Digest), sys, nil
	}
	named := img.Ref.DockerReference()
	if img.Ref.Transport().Name() != docker.Transport.Name() || named == nil {
		return img.Pinned(d.Digest), sys, nil
	}
	canonical, err := reference.WithDigest(reference.TrimNamed(named), d.Digest)
	if err != nil {
		return nil, nil, err
	}
	ref, err := docker.NewReference(canonical)
	if err != nil {
		return nil, nil, err
	}
	registry.NewGuard(sys, ref).Observe(ctx, watch.Asked)
	return ref, sys, nil
}

// libraryChoice returns the instance that the library takes from the index.
func libraryChoice(img *registry.Image, sys *types.SystemContext) (digest.Digest, error) {
	list, err := manifest.ListFromBlob(img.Manifest, img.MediaType)
	if err != nil {
		return "", err
	}
	return list.ChooseInstance(sys)
}

// imageID returns the ID of the image in the store: the digest of its config,
// as for every image whose layers are known by their contents.
func imageID(d *registry.Detail) string { return d.ConfigInfo.Digest.Encoded() }

func layerEvent(ref types.ImageReference, p types.ProgressProperties) Event {
	state := map[types.ProgressEvent]LayerState{
		types.ProgressEventNewArtifact: LayerStarted, types.ProgressEventRead: LayerRead,
		types.ProgressEventSkipped: LayerPresent, types.ProgressEventDone: LayerDone,
	}[p.Event]
	return Event{Layer: &LayerEvent{Reference: registry.RefName(ref), Digest: p.Artifact.Digest.String(), State: state, Offset: int64(p.Offset), Size: p.Artifact.Size}}
}
