package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/archive"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// Load brings the images of an archive into the store, with the digests and
// displacement records that they had where Save read them, and gives them their
// names as a pull does: of several platforms of a name the host's own gets it,
// else the one that had it, and the others get their repo@digest names. Of an
// archive of another tool all images are taken, in all their platforms and with
// all their names.
//
// name is what messages call the archive. Where in is a file that can be read
// at any place, it is read where it lies; else it is kept in a file without a
// name on the store's disk, before anything of the store is locked.
func (e *Engine) Load(ctx context.Context, in io.Reader, name string) (results []PullResult, err error) {
	file, err := e.seekable(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if file != in {
		defer func() { err = errors.Join(err, file.Close()) }()
	}
	a, err := archive.Open(file, name)
	if err != nil {
		return nil, err
	}
	err = e.write(ctx, func(w *store.Writer, _ *store.Snapshot) error {
		defer func() { e.appraise(ctx, w, results) }()
		l := loading{pull: pull{engine: e, s: w.Store, w: w, shared: e.share(w), o: PullOptions{Command: "load"}}, a: a}
		if a.Record == nil {
			results, err = l.foreign(ctx)
		} else {
			results, err = l.groups(ctx)
		}
		return err
	})
	return results, e.discard(ctx, err)
}

// groups brings the images of mpull's own archive.
func (l loading) groups(ctx context.Context) (results []PullResult, err error) {
	for i := range l.a.Record.Groups {
		g := &l.a.Record.Groups[i]
		holder := l.engine.holder(g)
		for at := range g.Images {
			one := l
			one.o.As, one.img = g.Name, &g.Images[at]
			one.title = cmp.Or(g.Name, query.ShortID(one.img.ID))
			r, err := one.run(ctx, at == holder)
			if err != nil {
				return results, fmt.Errorf("loading %s: %w", cmp.Or(g.Name, query.ShortID(one.img.ID)), err)
			}
			results = append(results, r)
		}
	}
	return results, nil
}

// foreign pulls the images of another tool's archive.
func (l loading) foreign(ctx context.Context) (results []PullResult, err error) {
	for _, f := range l.a.Images {
		p, source := l.pull, registry.ArchiveSource(f.Ref, f.Names)
		p.found, p.title = &source, strings.Join(f.Names, ", ")
		p.o.All, p.o.SkipMissing = true, true // an index may name platforms of which the archive has nothing
		if p.snap, err = p.w.Snapshot(ctx); err != nil {
			return results, err
		}
		err = p.run(ctx)
		results = append(results, p.results()...)
		if err != nil {
			return results, err
		}
	}
	return results, nil
}

// holder decides which image of a group gets the name.
func (e *Engine) holder(g *archive.Group) int {
	native := platform.Native(e.Platform()).Target()
	at := slices.IndexFunc(g.Images, func(i archive.Image) bool {
		p, err := platform.Parse(i.Platform)
		return err == nil && native.Same(p)
	})
	return max(at, 0)
}

// loading is one image of a Load under way.
type loading struct {
	pull
	a   *archive.Archive
	img *archive.Image
}

// run brings the image through each of its indexes, so that the store knows it
// by all their digests, and names it the last time.
func (l *loading) run(ctx context.Context, named bool) (PullResult, error) {
	displaced, err := l.check()
	if err != nil {
		return PullResult{}, err
	}
	tops := l.img.Indexes
	if len(tops) == 0 {
		tops = []digest.Digest{l.img.Manifest}
	}
	as := l.o.As
	var result PullResult
	for i, top := range tops {
		l.o.As = ""
		if i == len(tops)-1 {
			l.o.As = as
		}
		present := result.Present || i == 0
		if result, err = l.through(ctx, top, named); err != nil {
			return PullResult{}, err
		}
		result.Present = result.Present && present
	}
	return result, l.w.MergeRecord(ctx, result.ID, displaced)
}

// check holds what the archive says of the image against its documents before
// anything is stored.
func (l *loading) check() (displaced []store.Displacement, err error) {
	config, err := l.a.ConfigDigest(l.img)
	if err != nil {
		return nil, err
	}
	if config.Encoded() != l.img.ID {
		return nil, fmt.Errorf("the archive calls an image %s whose manifest has the config %s", l.img.ID, config)
	}
	// A digest name is a promise about the contents.
	if _, promised, ok := strings.Cut(l.o.As, "@"); ok && !slices.Contains(append(slices.Clone(l.img.Indexes), l.img.Manifest), digest.Digest(promised)) {
		return nil, fmt.Errorf("the archive gives the name %s to an image with the manifest %s", l.o.As, l.img.Manifest)
	}
	if l.img.Displaced == nil {
		return nil, nil
	}
	return store.ParseRecord(l.img.Displaced)
}

// through brings the image through one index, or its manifest.
func (l *loading) through(ctx context.Context, top digest.Digest, named bool) (r PullResult, err error) {
	if l.snap, err = l.w.Snapshot(ctx); err != nil {
		return r, err
	}
	sys, err := l.engine.config.Registry.SystemContext()
	if err != nil {
		return r, err
	}
	ref := l.a.Reference(l.img, top)
	img, err := registry.Open(ctx, sys, ref)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	instances, err := img.Instances(ctx)
	if err != nil {
		return r, err
	}
	at := slices.IndexFunc(instances, func(i registry.Instance) bool { return i.Digest == l.img.Manifest })
	if at < 0 {
		return r, fmt.Errorf("the index %s does not name the manifest %s", top, l.img.Manifest)
	}
	detail, err := img.Detail(ctx, instances[at])
	if err != nil {
		return r, err
	}
	if err := pullable(detail); err != nil {
		return r, err
	}
	j := &job{named: named, choice: &choice{detail: detail}}
	l.jobs = []*job{j}
	source := registry.Source{Ref: ref}
	if err := l.fetchAll(ctx, source, img); err != nil {
		return r, err
	}
	err = l.finish(ctx, source, img, j)
	return j.result, err
}

// substitute returns the blob that stands for a layer of an archive in another
// compressed form.
func substitute(img *registry.Image, original digest.Digest) (types.BlobInfo, bool) {
	s, ok := img.Source().(*archive.Source)
	if !ok {
		return types.BlobInfo{}, false
	}
	return s.Substitute(original)
}

func hasSubstitutes(img *registry.Image, d *registry.Detail) bool {
	return slices.ContainsFunc(d.Layers, func(l manifest.LayerInfo) bool {
		_, ok := substitute(img, l.Digest)
		return ok
	})
}

// knowing tells the library, for this copy only, that the layers which are in the
// store now are what the manifest calls by the digest of their original
// compressed form. The manifest and the config that it names by digest vouch for
// their contents; nothing vouches for that pair of digests, so it goes into the
// cache of this copy and never into the store, where other images would rely on
// it. The cache is the one that the library hands over: without cgo it has none
// on the disk that could be filled beforehand.
func knowing(dest types.ImageReference, img *registry.Image, d *registry.Detail) types.ImageReference {
	diffIDs := d.Config.RootFS.DiffIDs
	if len(diffIDs) != len(d.Layers) || !hasSubstitutes(img, d) {
		return dest
	}
	known := map[digest.Digest]digest.Digest{}
	for i, l := range d.Layers {
		if _, ok := substitute(img, l.Digest); ok {
			known[l.Digest] = diffIDs[i]
		}
	}
	return knowingReference{dest, known}
}

type knowingReference struct {
	types.ImageReference
	known map[digest.Digest]digest.Digest
}

// NewImageDestination opens the destination.
func (r knowingReference) NewImageDestination(ctx context.Context, sys *types.SystemContext) (types.ImageDestination, error) {
	dest, err := r.ImageReference.NewImageDestination(ctx, sys)
	return knowingDestination{dest, r.known}, err
}

type knowingDestination struct {
	types.ImageDestination
	known map[digest.Digest]digest.Digest
}

// TryReusingBlob looks for a blob, by what it is known to hold too.
func (d knowingDestination) TryReusingBlob(ctx context.Context, info types.BlobInfo, cache types.BlobInfoCache, canSubstitute bool) (bool, types.BlobInfo, error) {
	if diffID, ok := d.known[info.Digest]; ok {
		cache.RecordDigestUncompressedPair(info.Digest, diffID)
	}
	return d.ImageDestination.TryReusingBlob(ctx, info, cache, canSubstitute)
}
