package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/platform"
)

// Image is what one reference offers, read with one manifest request. Close
// must be called.
type Image struct {
	Ref       types.ImageReference
	Manifest  []byte // top level, byte for byte
	MediaType string
	Digest    digest.Digest // of Manifest
	IsIndex   bool

	// Local returns the manifest with a digest and the config it names when
	// they are known already, so that nothing is asked for them. Both are
	// checked as if they had come from the registry. nil means nothing is known.
	Local func(d digest.Digest) (manifest, config []byte, ok bool)

	sys     *types.SystemContext
	srcMu   sync.Mutex
	src     types.ImageSource // Elsewhere replaces it
	guard   *Guard
	details map[digest.Digest]*Detail // read already: a config is asked for once
	within  map[digest.Digest]nested  // the nested indexes that were read
	asked   Asked
	rests   rests
}

// Instance is one image that a reference offers.
type Instance struct {
	Platform    platform.Platform // in its canonical spelling; zero where the index names none
	Said        platform.Platform // the same as the index spells it
	Digest      digest.Digest     // of its manifest
	Size        int64             // bytes of its manifest
	MediaType   string
	Annotations map[string]string
	Attestation bool          // describes another instance; never an image to run
	Artifact    string        // type of what is no image; "" for images
	Silent      bool          // the config was read and names no platform either
	Absent      bool          // it was asked for, and is not there
	Deep        bool          // an index in indexes, deeper than is followed; counts as absent
	Index       digest.Digest // the nested index it is in; "" for the top level
}

// Names gives the instance the platform that its config claims.
func (i *Instance) Names(p platform.Platform) {
	i.Platform, i.Said, i.Silent = p, p, !p.Complete()
}

// Adds completes the platform that the index names by what the config claims
// where the two do not contradict each other.
func (i *Instance) Adds(p platform.Platform) {
	if p.OS == i.Platform.OS && p.Architecture == i.Platform.Architecture {
		i.Platform.Variant, i.Platform.OSVersion = p.Variant, p.OSVersion
		i.Said.Variant, i.Said.OSVersion = p.Variant, p.OSVersion
	}
}

// Zstd tells whether the index says that the instance's layers are compressed
// with zstd (annotation of containers/image).
func (i Instance) Zstd() bool {
	return i.Annotations["io.github.containers.compression.zstd"] == "true"
}

// Asked counts requests to a registry. JSON names are stable.
type Asked struct {
	Manifests int `json:"manifests"` // what Docker Hub counts against the rate limit
	Blobs     int `json:"blobs"`     // configs and layers
}

// Asked returns how many requests were made so far.
func (i *Image) Asked() Asked { return i.asked }

// Open reads the manifest of ref: one request to a registry. It puts a Guard
// into sys, which must not be shared.
func Open(ctx context.Context, sys *types.SystemContext, ref types.ImageReference) (*Image, error) {
	if err := notBlocked(sys, ref); err != nil {
		return nil, err
	}
	guard := NewGuard(sys, ref)
	guard.Observe(ctx, nil)
	src, err := ref.NewImageSource(ctx, sys)
	if err != nil {
		return nil, err
	}
	img := &Image{Ref: ref, sys: sys, src: src, guard: guard, details: map[digest.Digest]*Detail{}, within: map[digest.Digest]nested{}, asked: Asked{Manifests: 1}}
	img.Manifest, img.MediaType, err = src.GetManifest(ctx, nil)
	if err == nil {
		img.MediaType = manifest.NormalizedMIMEType(img.MediaType)
		img.IsIndex = manifest.MIMETypeIsMultiImage(img.MediaType)
		img.Digest, err = manifest.Digest(img.Manifest)
	}
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return img, nil
}

// notBlocked honours "blocked" of registries.conf for the name as the user
// wrote it. The library looks only at the place that a location or a mirror
// turns it into, and so would reach a blocked registry under another address.
func notBlocked(sys *types.SystemContext, ref types.ImageReference) error {
	if ref.Transport().Name() != docker.Transport.Name() {
		return nil
	}
	r, err := sysregistriesv2.FindRegistry(sys, ref.DockerReference().Name())
	if err != nil {
		return fmt.Errorf("reading registries.conf: %w", err)
	}
	if r != nil && r.Blocked {
		return fmt.Errorf("registry %s is blocked in %s", r.Prefix, sysregistriesv2.ConfigurationSourceDescription(sys))
	}
	return nil
}

// Close releases the connection or file.
func (i *Image) Close() error {
	i.rests.close()
	return i.Source().Close()
}

// Guard returns what watches the requests; nil for other transports.
func (i *Image) Guard() *Guard { return i.guard }

// Source returns the library's source, for reading blobs.
func (i *Image) Source() types.ImageSource {
	i.srcMu.Lock()
	defer i.srcMu.Unlock()
	return i.src
}

// Unparsed returns the library's view of an instance, for signature policy;
// "" means the top level.
func (i *Image) Unparsed(d digest.Digest) *image.UnparsedImage {
	if d == "" || d == i.Digest {
		return image.UnparsedInstance(i.Source(), nil)
	}
	return image.UnparsedInstance(i.Source(), &d)
}

// Instances lists what the reference offers, nested indexes followed, in the
// order of the index. A single manifest is one instance whose platform is
// read from its config.
func (i *Image) Instances(ctx context.Context) ([]Instance, error) {
	if i.IsIndex {
		clear(i.within)
		return i.index(ctx, i.Manifest, i.MediaType, "", 0)
	}
	one := Instance{Digest: i.Digest, Size: int64(len(i.Manifest)), MediaType: i.MediaType}
	detail, err := i.Detail(ctx, one)
	if artifact, ok := errors.AsType[*NotImageError](err); ok {
		one.Artifact = artifact.Type
	} else if err != nil {
		return nil, err
	} else {
		one.Names(detail.Platform())
	}
	return []Instance{one}, nil
}

// Detail is the manifest and the config of one instance.
type Detail struct {
	Instance
	Manifest   []byte
	ConfigBlob []byte
	Config     *imgspecv1.Image
	ConfigInfo types.BlobInfo // digest and size of the config
	Layers     []manifest.LayerInfo
}

// Detail reads the manifest and the config of an instance, not its layers: at
// most two requests, and none when Local has them or they were read before.
// Both are checked against their digests.
func (i *Image) Detail(ctx context.Context, one Instance) (*Detail, error) {
	if one.Deep {
		return nil, &AbsentError{Instance: one}
	}
	if d := i.details[one.Digest]; d != nil {
		again := *d
		again.Instance, again.MediaType = one, d.MediaType
		return &again, nil
	}
	d := i.localDetail(one)
	if d == nil {
		err := i.anywhere(ctx, func() (err error) {
			d, err = i.remoteDetail(ctx, one)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading image %s of %s: %w", one.Digest, RefName(i.Ref), err)
		}
	}
	i.details[one.Digest] = d
	return d, nil
}

// localDetail answers from what is known; nil when that is nothing, or damaged:
// the registry has the original.
func (i *Image) localDetail(one Instance) *Detail {
	if i.Local == nil {
		return nil
	}
	blob, config, ok := i.Local(one.Digest)
	if !ok {
		return nil
	}
	d := &Detail{Instance: one, Manifest: blob, ConfigBlob: config, Config: &imgspecv1.Image{}}
	d.MediaType = manifest.GuessMIMEType(blob)
	m, err := manifest.FromBlob(blob, d.MediaType)
	if err != nil {
		return nil
	}
	d.ConfigInfo, d.Layers = m.ConfigInfo(), m.LayerInfos()
	matches, err := manifest.MatchesDigest(blob, one.Digest)
	if err != nil || !matches || d.ConfigInfo.Digest != digest.FromBytes(config) || json.Unmarshal(config, d.Config) != nil {
		return nil
	}
	return d
}

func (i *Image) remoteDetail(ctx context.Context, one Instance) (*Detail, error) {
	if one.Digest != i.Digest {
		i.asked.Manifests++
	}
	unparsed := i.Unparsed(one.Digest)
	d, err := i.manifestDetail(ctx, unparsed, one)
	if err != nil {
		return nil, err
	}
	i.asked.Blobs++
	img, err := image.FromUnparsedImage(ctx, i.sys, unparsed)
	if err != nil {
		return nil, err
	}
	if d.ConfigBlob, err = img.ConfigBlob(ctx); err != nil {
		return nil, err
	}
	if d.Config, err = img.OCIConfig(ctx); err != nil {
		return nil, err
	}
	d.ConfigInfo = img.ConfigInfo()
	return d, nil
}

// manifestDetail is what the manifest alone tells. It is there beside a
// *NotImageError, where the manifest is that of an artifact.
func (i *Image) manifestDetail(ctx context.Context, unparsed *image.UnparsedImage, one Instance) (*Detail, error) {
	d := &Detail{Instance: one}
	var err error
	if d.Manifest, d.MediaType, err = unparsed.Manifest(ctx); err != nil {
		if one.Digest != i.Digest && isAbsent(err) {
			return nil, &AbsentError{one, err}
		}
		return nil, err
	}
	if ok, err := manifest.MatchesDigest(d.Manifest, one.Digest); err != nil || !ok {
		return nil, errors.Join(errors.New("its manifest has other content than its digest says"), err)
	}
	m, err := manifest.FromBlob(d.Manifest, manifest.NormalizedMIMEType(d.MediaType))
	if err != nil {
		return nil, err
	}
	d.Layers = m.LayerInfos()
	if t := cmp.Or(notImage(d.Manifest, m.ConfigInfo().MediaType), notFiles(d.Layers)); t != "" {
		return d, &NotImageError{Name: RefName(i.Ref), Type: t}
	}
	return d, nil
}

// Platform returns the platform that the config claims, with what it leaves out
// from the index.
func (d *Detail) Platform() platform.Platform {
	p := platform.Platform{OS: d.Config.OS, Architecture: d.Config.Architecture, Variant: d.Config.Variant, OSVersion: d.Config.OSVersion}
	return p.Canonical().CompletedBy(d.Instance.Platform)
}

// Info returns the library's summary of the instance, the one that skopeo
// prints. It makes no request.
func (d *Detail) Info() (*types.ImageInspectInfo, error) {
	m, err := manifest.FromBlob(d.Manifest, manifest.NormalizedMIMEType(d.MediaType))
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of image %s: %w", d.Digest, err)
	}
	info, err := m.Inspect(func(types.BlobInfo) ([]byte, error) { return d.ConfigBlob, nil })
	if err != nil {
		return nil, fmt.Errorf("reading the config of image %s: %w", d.Digest, err)
	}
	return info, nil
}

// Size returns the compressed bytes of the layers, each counted once.
func (d *Detail) Size() int64 { return layerBytes(d.Layers) }

// CompressedSize reads the manifest of an instance and returns the compressed
// bytes of its layers: one request, none for the config. The error is a
// *NotImageError, beside the size, where the manifest is that of an artifact.
func (i *Image) CompressedSize(ctx context.Context, one Instance) (int64, error) {
	if d := i.details[one.Digest]; d != nil {
		return d.Size(), nil
	}
	var d *Detail
	err := i.anywhere(ctx, func() (err error) {
		d, err = i.manifestDetail(ctx, i.Unparsed(one.Digest), one)
		return err
	})
	switch {
	case d != nil:
		return d.Size(), err
	case errors.As(err, new(*AbsentError)):
		return 0, err
	}
	return 0, fmt.Errorf("reading image %s of %s: %w", one.Digest, RefName(i.Ref), err)
}

// ManifestSize returns the compressed bytes of the layers that a manifest names,
// each counted once, -1 where it cannot be read.
func ManifestSize(blob []byte) int64 {
	m, err := manifest.FromBlob(blob, manifest.GuessMIMEType(blob))
	if err != nil {
		return -1
	}
	return layerBytes(m.LayerInfos())
}

func layerBytes(layers []manifest.LayerInfo) int64 {
	seen := map[digest.Digest]bool{}
	var n int64
	for _, l := range layers {
		if !seen[l.Digest] && !l.EmptyLayer && l.Size > 0 {
			seen[l.Digest] = true
			n += l.Size
		}
	}
	return n
}
