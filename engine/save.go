package engine

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
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// SaveOptions says which images of a name to save. The zero value saves the
// one that holds the name.
type SaveOptions struct {
	Platforms []Fallback // of the images that hold, held or are kept for the name, those of these platforms
	All       bool       // one image of each platform that is here
	TempDir   string     // where one layer at a time is compressed; "" means the system's
}

// Saved is one image in an archive.
type Saved struct {
	ID       string
	Name     string // "" when it was saved by its ID
	Platform string
	Manifest digest.Digest // the original, which mpull load restores
	Listed   digest.Digest // of the manifest that other tools find; the original where its layers could be made again
}

// Save writes local images to out as an archive (package archive).
func (e *Engine) Save(ctx context.Context, out io.Writer, inputs []string, o SaveOptions) ([]Saved, error) {
	var saved []Saved
	err := e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		w := &saving{Engine: e, s: s, snap: snap, out: archive.NewWriter(out), temp: o.TempDir, done: map[string]*savedImage{}, blobs: map[blobKey]imgspecv1.Descriptor{}}
		done := map[string]bool{}
		for _, input := range inputs {
			images, name, err := e.toSave(snap, input, o)
			if err != nil {
				return err
			}
			key := cmp.Or(name, images[0].ID)
			if done[key] {
				continue // two ways to write one name
			}
			done[key] = true
			if err := w.group(ctx, name, images); err != nil {
				return fmt.Errorf("saving %s: %w", input, err)
			}
		}
		saved = w.saved
		return w.out.Close()
	})
	return saved, err
}

// toSave finds the images that an input means: the holder of a name first.
func (e *Engine) toSave(snap *store.Snapshot, input string, o SaveOptions) ([]*store.Image, string, error) {
	view := e.view(snap)
	meant, err := view.Find(input)
	if err != nil {
		return nil, "", err
	}
	img, name := meant.Image, meant.Name
	if name == "" || !o.All && len(o.Platforms) == 0 {
		return []*store.Image{img}, name, savable(input, img)
	}
	var found []*store.Image
	var here []platform.Platform
	for _, one := range view.Family(name) {
		if savable(input, one) != nil || one.Config == nil {
			continue
		}
		p := query.PlatformOf(one)
		// The family is in the order of preference: a second image of one
		// platform lost the name earlier.
		if !slices.ContainsFunc(here, p.Same) {
			found, here = append(found, one), append(here, p)
		}
	}
	if o.All {
		if len(found) == 0 {
			return nil, "", savable(input, img)
		}
		return found, name, nil
	}
	chosen, err := ofPlatforms(name, found, o.Platforms)
	return chosen, name, err
}

// ofPlatforms takes for each fallback the first platform that is there.
func ofPlatforms(name string, images []*store.Image, wanted []Fallback) ([]*store.Image, error) {
	var chosen []*store.Image
	for _, requests := range wanted {
		at := -1
		for _, r := range requests {
			if at = slices.IndexFunc(images, func(img *store.Image) bool { return r.Target().Same(query.PlatformOf(img)) }); at >= 0 {
				break
			}
		}
		if at < 0 {
			missing := &query.NotHereError{Name: name, Request: requests[0]}
			for _, img := range images {
				missing.Here = append(missing.Here, query.PlatformOf(img))
			}
			return nil, missing
		}
		if !slices.Contains(chosen, images[at]) {
			chosen = append(chosen, images[at])
		}
	}
	return chosen, nil
}

// savable tells why an image cannot be saved.
func savable(input string, img *store.Image) error {
	switch {
	case img.IsList:
		return fmt.Errorf("%s is a manifest list of podman's, which holds no image: save its images by their names", input)
	case img.ConfigError != nil:
		return fmt.Errorf("image %s is damaged: %w", query.ShortID(img.ID), img.ConfigError)
	}
	return nil
}

// saving is a Save under way.
type saving struct {
	*Engine
	s     *store.Store
	snap  *store.Snapshot
	out   *archive.Writer
	temp  string
	done  map[string]*savedImage // by image ID
	blobs map[blobKey]imgspecv1.Descriptor
	last  string // the compressor that gave the original last
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

// image writes the blobs of one image.
func (w *saving) image(ctx context.Context, img *store.Image) (*savedImage, error) {
	one := &savedImage{record: archive.Image{ID: img.ID, Platform: img.Platform()}}
	original, err := w.originals(img, one)
	if err != nil {
		return nil, err
	}
	m, err := manifest.FromBlob(original, manifest.GuessMIMEType(original))
	if err != nil {
		return nil, fmt.Errorf("reading its manifest: %w", err)
	}
	config, err := w.s.ConfigBlob(img)
	if err != nil {
		return nil, err
	}
	if one.config, err = w.out.Document(config); err != nil {
		return nil, err
	}
	if one.config != m.ConfigInfo().Digest || one.config.Encoded() != img.ID {
		return nil, errors.New("its ID, its manifest and its config do not belong together: it cannot be saved without becoming another image")
	}
	if one.record.Displaced, err = img.RecordJSON(); err != nil {
		return nil, err
	}
	layers, err := w.layers(ctx, img, m)
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		one.layers = append(one.layers, l.Digest)
		if at := m.LayerInfos()[i]; at.Digest != l.Digest {
			one.record.Layers = append(one.record.Layers, archive.Layer{Original: at.Digest, Blob: l.Digest, MediaType: l.MediaType})
		}
	}
	return one, w.list(one, original, len(config), layers)
}

// originals writes the manifests that the store has kept with an image, and
// returns its own.
func (w *saving) originals(img *store.Image, one *savedImage) ([]byte, error) {
	var own []byte
	for _, d := range img.Digests {
		blob, err := w.s.Manifest(img, d)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a digest that somebody noted, without a document
		}
		if err != nil {
			return nil, err
		}
		if digest.FromBytes(blob) != d {
			continue // signed schema 1, whose digest is of a part only
		}
		isIndex := manifest.MIMETypeIsMultiImage(manifest.GuessMIMEType(blob))
		switch {
		case !isIndex && own != nil:
			// An image may have been pulled with two manifests that name one
			// config; the latest counts.
			if d != img.Digest {
				continue
			}
			fallthrough
		case !isIndex:
			own, one.record.Manifest = blob, d
		case d == img.Digest:
			one.record.Indexes = append(one.record.Indexes, d)
		default:
			one.record.Indexes = append([]digest.Digest{d}, one.record.Indexes...)
		}
		if _, err := w.out.Document(blob); err != nil {
			return nil, err
		}
	}
	if own == nil {
		return nil, errors.New("the store has no manifest of it that can be saved")
	}
	return own, nil
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
