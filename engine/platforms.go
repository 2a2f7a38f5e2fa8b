package engine

import (
	"cmp"
	"context"
	"errors"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
)

// HostUse says what this machine can do with a platform.
type HostUse string

// What a machine can do with a platform.
const (
	HostOwn      HostUse = "own"      // what a pull without a platform takes
	HostNative   HostUse = "native"   // it runs without emulation
	HostEmulated HostUse = "emulated" // a binfmt_misc handler runs it, in any image
	HostNone     HostUse = ""         // it does not run
	HostArtifact HostUse = "artifact" // it is no image
)

// OfferedPlatform is one platform that an image offers. Field names are
// stable: templates and scripts use them.
type OfferedPlatform struct {
	Platform     string        // os/arch[/variant], windows(VERSION)/arch, "" when neither index nor config says
	OS           string        //
	Architecture string        //
	Variant      string        //
	OSVersion    string        // of Windows
	Digest       digest.Digest // of its manifest
	MediaType    string
	ArtifactType string  // of what is no image, "" for images
	Absent       bool    // the index names it, and asking for it showed that it is not there
	Size         int64   // compressed bytes of its layers, -1 when not known without a request more
	Host         HostUse // what this machine can do with it
	Emulator     string  // interpreter of the handler that takes it, "" when none does
	Local        []LocalImage
	Index        digest.Digest // the nested index that it is in, "" for the top level
}

// LocalImage is an image of local storage.
type LocalImage struct {
	ID    string
	Names []string
}

// PlatformsOptions says which platforms of an image to list.
type PlatformsOptions struct {
	Retry Retry
	// Filter selects by the platform as the index has it; nil selects all.
	Filter func(platform.Platform) bool
	// Sizes asks for the manifest of each platform whose size is not known
	// here: one request each.
	Sizes bool
}

// maxUnnamed bounds the entries of an index without a platform whose configs
// are read, two requests each.
const maxUnnamed = 32

// Platforms lists the platforms that an image offers, in the order of its
// index: nested indexes are followed, attestations left out. An index costs one
// request, and two more for each entry that names no platform, or the same one as
// another; a single manifest costs two. The store, when there is one, tells what is here.
func (e *Engine) Platforms(ctx context.Context, input string, o PlatformsOptions) (rows []OfferedPlatform, err error) {
	err = e.look(ctx, input, LookOptions{Retry: o.Retry}, func(ctx context.Context, img *registry.Image, _ registry.Source) error {
		instances, err := img.Instances(ctx)
		if err != nil {
			return err
		}
		if err = nameAll(ctx, img, instances); err != nil {
			return err
		}
		return e.readIfThere(ctx, func(s *store.Store, snap *store.Snapshot, problem error) error {
			if problem != nil {
				e.note("what is here is not shown: %v", problem)
			}
			rows, err = e.offered(ctx, img, instances, s, byDigest(snap), o)
			return err
		})
	})
	return rows, err
}

func (e *Engine) offered(ctx context.Context, img *registry.Image, instances []registry.Instance, s *store.Store, here map[digest.Digest][]*store.Image, o PlatformsOptions) ([]OfferedPlatform, error) {
	rows, listed := []OfferedPlatform{}, []int{}
	for i, in := range instances {
		if in.Attestation || o.Filter != nil && !o.Filter(in.Platform) {
			continue
		}
		row := OfferedPlatform{Size: -1, Local: []LocalImage{}}
		for _, img := range here[in.Digest] {
			row.Local = append(row.Local, LocalImage{ID: img.ID, Names: img.Names})
			if blob, err := s.Manifest(img, in.Digest); err == nil {
				row.Size = registry.ManifestSize(blob)
			}
		}
		rows, listed = append(rows, row), append(listed, i)
	}
	if o.Sizes || !img.IsIndex {
		if err := sizeAll(ctx, img, rows, instances, listed); err != nil {
			return nil, err
		}
	}
	on := e.host()
	wanted := []platform.Request{platform.Native(e.Platform())}
	own, _ := platform.Choose(wanted, candidatesOf(instances))
	if hasTwins(own) {
		if c, err := e.choose(ctx, img, instances, wanted); err == nil {
			instances, own = c.instances, c.decision
		}
	}
	for n, i := range listed {
		rows[n].describe(instances[i])
		switch p := instances[i].Platform; {
		case instances[i].Artifact != "":
			rows[n].Host = HostArtifact
		case i == own.Chosen:
			rows[n].Host = HostOwn
		case p.Complete():
			rows[n].Host, rows[n].Emulator = hostUse(on, p)
		}
	}
	return rows, nil
}

// describe fills in what an index, and what was read of its entry, say.
func (r *OfferedPlatform) describe(in registry.Instance) {
	r.Platform, r.OS, r.Architecture, r.Variant, r.OSVersion = in.Platform.String(), in.Platform.OS, in.Platform.Architecture, in.Platform.Variant, in.Platform.OSVersion
	r.Digest, r.MediaType, r.Index, r.ArtifactType, r.Absent = in.Digest, in.MediaType, in.Index, in.Artifact, in.Absent
}

// sizeAll asks for the sizes of the instances that are listed, several at a time,
// where they are not known, and notes of each what its manifest shows: that it is
// no image, or is not there.
func sizeAll(ctx context.Context, img *registry.Image, rows []OfferedPlatform, instances []registry.Instance, listed []int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(ask.Workers)
	for n, i := range listed {
		if rows[n].Size >= 0 || instances[i].Absent {
			continue
		}
		g.Go(func() (err error) {
			rows[n].Size, err = img.CompressedSize(ctx, instances[i])
			if errors.As(err, new(*registry.AbsentError)) { // the rest can be told all the same
				rows[n].Size, instances[i].Absent, err = -1, true, nil
			} else if artifact, ok := errors.AsType[*registry.NotImageError](err); ok {
				instances[i].Artifact, err = cmp.Or(instances[i].Artifact, artifact.Type), nil
			}
			return err
		})
	}
	return g.Wait()
}

func hostUse(on preflight.Host, p platform.Platform) (HostUse, string) {
	if on.Facts().Native(p) {
		return HostNative, ""
	}
	h, _ := on.Handler(p)
	if h.InAnyImage() {
		return HostEmulated, h.Interpreter
	}
	return HostNone, h.Interpreter
}

// byDigest finds local images by the digests of their own manifests. An index
// that several share is no sign that a platform of it is here.
func byDigest(snap *store.Snapshot) map[digest.Digest][]*store.Image {
	images := make(map[digest.Digest][]*store.Image, len(snap.Images))
	for i := range snap.Images {
		for _, d := range snap.Images[i].Digests {
			images[d] = append(images[d], &snap.Images[i])
		}
	}
	return images
}
