package pack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"

	"github.com/mpull/mpull/engine/archive"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// Options say how images are written. The zero value compresses beside the store.
type Options struct {
	TempDir string // where layers are compressed; "" means beside the store
	Disk    string // a path on the disk that the archive goes to; "" means that it goes to none
}

// Group is what one input of a save means.
type Group struct {
	Input, Name string // Name is "" where the input is an ID
	Images      []*store.Image
}

// Saved is one image in an archive.
type Saved struct {
	ID       string
	Name     string // "" when it was saved by its ID
	Platform string
	Manifest digest.Digest // the original, which mpull load restores
	Listed   digest.Digest // of the manifest that other tools find; the original where its layers could be made again
}

// Write writes images of a store to out. All that can be known before the first
// byte is found out before.
func Write(ctx context.Context, out io.Writer, s *store.Store, snap *store.Snapshot, groups []Group, o Options) ([]Saved, error) {
	w := &saving{s: s, snap: snap, out: archive.NewWriter(out), temp: o.TempDir, done: map[string]*savedImage{}, blobs: map[blobKey]imgspecv1.Descriptor{}}
	groups, err := w.prepare(ctx, groups)
	if err != nil {
		return nil, err
	}
	if err := w.room(groups, o); err != nil {
		return nil, err
	}
	for _, g := range groups {
		if err := w.group(ctx, g.Name, g.Images); err != nil {
			return nil, fmt.Errorf("saving %s: %w", g.Input, err)
		}
	}
	return w.saved, w.out.Close()
}

// prepare leaves each name once, and checks the images.
func (w *saving) prepare(ctx context.Context, groups []Group) ([]Group, error) {
	done := map[string]bool{}
	groups = slices.DeleteFunc(groups, func(g Group) bool { // two ways to write one name
		key := cmp.Or(g.Name, g.Images[0].ID)
		again := done[key]
		done[key] = true
		return again
	})
	for _, g := range groups {
		for _, img := range g.Images {
			if err := w.check(ctx, img); err != nil {
				return nil, fmt.Errorf("saving %s: image %s: %w", g.Input, query.ShortID(img.ID), err)
			}
		}
	}
	return groups, nil
}

// saving is a Write under way.
type saving struct {
	s     *store.Store
	snap  *store.Snapshot
	out   *archive.Writer
	temp  string
	done  map[string]*savedImage // by image ID
	blobs map[blobKey]imgspecv1.Descriptor
	saved []Saved
}

// savedImage is an image whose blobs are in the archive.
type savedImage struct {
	record archive.Image
	listed imgspecv1.Descriptor // the manifest that other tools find
	config digest.Digest
	layers []digest.Digest // blobs of that manifest
}

// group writes the images of one name.
func (w *saving) group(ctx context.Context, name string, images []*store.Image) error {
	group := archive.Group{Name: name}
	var members []*savedImage
	for _, img := range images {
		one := w.done[img.ID]
		if one == nil {
			var err error
			if one, err = w.image(ctx, img); err != nil {
				return fmt.Errorf("image %s: %w", query.ShortID(img.ID), err)
			}
			w.done[img.ID] = one
		}
		members = append(members, one)
		group.Images = append(group.Images, one.record)
		w.saved = append(w.saved, Saved{ID: img.ID, Name: name, Platform: img.Platform(), Manifest: one.record.Manifest, Listed: one.listed.Digest})
		tag := ""
		if _, t := query.Split(name); len(members) == 1 && name != "" && t != query.None {
			tag = name // docker has one image for a tag
		}
		w.out.Docker(one.config, one.layers, tag)
	}
	w.out.Group(group)
	if len(members) == 1 {
		w.out.Manifest(members[0].listed, name)
		return nil
	}
	index := imgspecv1.Index{MediaType: imgspecv1.MediaTypeImageIndex}
	index.SchemaVersion = 2
	for i, m := range members {
		d := m.listed
		p := query.PlatformOf(images[i])
		if p.Complete() {
			d.Platform = &imgspecv1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}
		}
		index.Manifests = append(index.Manifests, d)
	}
	d, err := w.document(index.MediaType, index)
	if err != nil {
		return err
	}
	w.out.Manifest(d, name)
	return nil
}

// parts are the documents of an image and its layers.
type parts struct {
	manifest manifest.Manifest
	original []byte        // the manifest, byte for byte
	digest   digest.Digest // of original
	config   []byte
	others   []digest.Digest // of the indexes that it came from, the latest last
	chain    []*store.Layer
}

// parts reads what is to be saved of an image, its layers apart.
func (w *saving) parts(img *store.Image) (*parts, error) {
	p, err := w.originals(img)
	if err != nil {
		return nil, err
	}
	if p.manifest, err = manifest.FromBlob(p.original, manifest.GuessMIMEType(p.original)); err != nil {
		return nil, fmt.Errorf("reading its manifest: %w", err)
	}
	if p.config, err = w.s.ConfigBlob(img); err != nil {
		return nil, err
	}
	if p.chain, err = w.chain(img, len(p.manifest.LayerInfos())); err != nil {
		return nil, err
	}
	if d := digest.FromBytes(p.config); d != p.manifest.ConfigInfo().Digest || d.Encoded() != img.ID && !img.KnownByLists(d, p.chain) {
		return nil, errors.New("its ID, its manifest and its config do not belong together: it cannot be saved without becoming another image")
	}
	return p, nil
}

// check tells why an image cannot be saved, as far as that is known without
// reading its layers.
func (w *saving) check(ctx context.Context, img *store.Image) error {
	p, err := w.parts(img)
	if err != nil {
		return err
	}
	for _, l := range p.chain {
		if err := w.s.CanRead(ctx, l.ID); err != nil {
			return err
		}
	}
	return nil
}

// image writes the blobs of one image.
func (w *saving) image(ctx context.Context, img *store.Image) (*savedImage, error) {
	p, err := w.parts(img)
	if err != nil {
		return nil, err
	}
	one := &savedImage{record: archive.Image{ID: p.manifest.ConfigInfo().Digest.Encoded(), Platform: img.Platform(), Manifest: p.digest, Indexes: p.others}}
	for _, d := range append(slices.Clone(p.others), p.digest) {
		blob, err := w.s.Manifest(img, d)
		if err != nil {
			return nil, err
		}
		if _, err := w.out.Document(blob); err != nil {
			return nil, err
		}
	}
	if one.config, err = w.out.Document(p.config); err != nil {
		return nil, err
	}
	if one.record.Displaced, err = img.RecordJSON(); err != nil {
		return nil, err
	}
	layers, err := w.layers(ctx, img, p)
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		one.layers = append(one.layers, l.Digest)
		if at := p.manifest.LayerInfos()[i]; at.Digest != l.Digest {
			one.record.Layers = append(one.record.Layers, archive.Layer{Original: at.Digest, Blob: l.Digest, MediaType: l.MediaType})
		}
	}
	return one, w.list(one, p.original, len(p.config), layers)
}

// originals finds the manifests that the store has kept with an image.
func (w *saving) originals(img *store.Image) (*parts, error) {
	p := &parts{}
	for _, d := range img.Digests {
		blob, err := w.s.Manifest(img, d)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a digest that somebody noted, without a document
		}
		if err != nil {
			return nil, err
		}
		mediaType := manifest.GuessMIMEType(blob)
		if store.IsSchema1(mediaType) {
			return nil, fmt.Errorf("%w: podman save writes it, converted", store.ErrSchema1)
		}
		if digest.FromBytes(blob) != d {
			continue
		}
		switch {
		case !manifest.MIMETypeIsMultiImage(mediaType):
			// An image may have been pulled with two manifests that name one
			// config; the latest counts.
			if p.original == nil || d == img.Digest {
				p.original, p.digest = blob, d
			}
		case d == img.Digest:
			p.others = append(p.others, d)
		default:
			p.others = append([]digest.Digest{d}, p.others...)
		}
	}
	if p.original == nil {
		return nil, errors.New("the store has no manifest of it that can be saved")
	}
	return p, nil
}

// list writes the manifest that other tools find: the original when it is an
// OCI manifest and all its blobs are there, else one that names those that are.
func (w *saving) list(one *savedImage, original []byte, configSize int, layers []imgspecv1.Descriptor) error {
	mediaType := manifest.GuessMIMEType(original)
	if mediaType == imgspecv1.MediaTypeImageManifest && len(one.record.Layers) == 0 {
		one.listed = imgspecv1.Descriptor{MediaType: mediaType, Digest: one.record.Manifest, Size: int64(len(original))}
		return nil
	}
	m := imgspecv1.Manifest{MediaType: imgspecv1.MediaTypeImageManifest, Layers: layers}
	m.SchemaVersion = 2
	m.Config = imgspecv1.Descriptor{MediaType: imgspecv1.MediaTypeImageConfig, Digest: one.config, Size: int64(configSize)}
	if mediaType == imgspecv1.MediaTypeImageManifest {
		if o, err := manifest.OCI1FromManifest(original); err == nil {
			m.Annotations = o.Annotations
		}
	}
	var err error
	one.listed, err = w.document(m.MediaType, m)
	return err
}
