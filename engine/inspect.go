package engine

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/docker/distribution/registry/api/errcode"
	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/registry"
)

// Inspection is what skopeo inspect prints about an image that is not pulled,
// under the same names and in the same order, with two fields more: Variant,
// and InstanceDigest, the digest of the instance that the fields below
// describe where Digest is its index's (containers/skopeo#1554).
type Inspection struct {
	Name           string `json:",omitempty"` // repository, "" where the source has none
	Tag            string `json:",omitempty"` // only old schema 1 images have it
	Digest         digest.Digest
	InstanceDigest digest.Digest
	RepoTags       []string // empty, not nil, when not asked for
	Created        *time.Time
	DockerVersion  string
	Labels         map[string]string
	Architecture   string
	Variant        string
	Os             string
	Layers         []string // digests, lowest first
	LayersData     []types.ImageInspectLayer
	Env            []string
}

// InspectOptions says which parts of an image to read.
type InspectOptions struct {
	LookOptions
	NoTags bool // do not list the repository's tags: one request less
}

// Inspect describes an image that need not be pulled: by docker://IMAGE or
// another transport. The tags are left out, with a note, where a registry
// forbids listing them.
func (e *Engine) Inspect(ctx context.Context, input string, o InspectOptions) (doc *Inspection, err error) {
	err = e.detail(ctx, input, o.LookOptions, func(ctx context.Context, img *registry.Image, d *registry.Detail) error {
		info, err := d.Info()
		if err != nil {
			return err
		}
		doc = &Inspection{
			Tag: info.Tag, Digest: img.Digest, InstanceDigest: d.Digest, RepoTags: []string{},
			Created: info.Created, DockerVersion: info.DockerVersion, Labels: info.Labels,
			Architecture: info.Architecture, Variant: d.Platform().Variant, Os: info.Os,
			Layers: info.Layers, LayersData: info.LayersData, Env: info.Env,
		}
		if named := img.Ref.DockerReference(); named != nil {
			doc.Name = named.Name()
		}
		if o.NoTags || img.Ref.Transport() != docker.Transport {
			return nil
		}
		doc.RepoTags, err = e.repoTags(ctx, img.Ref)
		return err
	})
	return doc, err
}

// repoTags lists the tags of an image's repository. Registries that do not let
// anybody list are no reason to fail (as in skopeo): AWS ECR denies it,
// public.ecr.aws has no such page.
func (e *Engine) repoTags(ctx context.Context, ref types.ImageReference) ([]string, error) {
	sys, err := e.config.Registry.SystemContext()
	if err != nil {
		return nil, err
	}
	tags, err := registry.Tags(ctx, sys, ref, nil)
	if err == nil {
		return tags, nil
	}
	var coded errcode.ErrorCoder
	var status docker.UnexpectedHTTPStatusError
	denied := errors.As(err, &coded) && (coded.ErrorCode() == errcode.ErrorCodeDenied || coded.ErrorCode() == errcode.ErrorCodeUnknown)
	absent := errors.As(err, &status) && status.StatusCode == http.StatusNotFound
	if !denied && !absent {
		return nil, err
	}
	e.note("the registry does not let its tags be listed: RepoTags is empty")
	return []string{}, nil
}

// detail opens an input, chooses the instance as Pull would, and hands both to f.
func (e *Engine) detail(ctx context.Context, input string, o LookOptions, f func(context.Context, *registry.Image, *registry.Detail) error) error {
	return e.look(ctx, input, o, func(ctx context.Context, img *registry.Image, _ registry.Source) error {
		instances, err := img.Instances(ctx)
		if err != nil {
			return err
		}
		c, err := e.chooseNamed(ctx, img, instances, e.requests(o))
		if err != nil {
			return err
		}
		return f(ctx, img, c.detail)
	})
}

// ImageConfig is the config of one instance.
type ImageConfig struct {
	Blob   []byte // byte for byte
	Config *imgspecv1.Image
}

// InspectConfig reads the config of an image that need not be pulled. The
// layers are not read.
func (e *Engine) InspectConfig(ctx context.Context, input string, o LookOptions) (config *ImageConfig, err error) {
	err = e.detail(ctx, input, o, func(_ context.Context, _ *registry.Image, d *registry.Detail) error {
		config = &ImageConfig{Blob: d.ConfigBlob, Config: d.Config}
		return nil
	})
	return config, err
}

// RawManifest reads the manifest or index of an image that need not be pulled,
// byte for byte: one request.
func (e *Engine) RawManifest(ctx context.Context, input string, o LookOptions) (m *ManifestDocument, err error) {
	err = e.look(ctx, input, o, func(ctx context.Context, img *registry.Image, _ registry.Source) error {
		m = &ManifestDocument{Blob: img.Manifest, MediaType: img.MediaType, Digest: img.Digest, IsIndex: img.IsIndex}
		return nil
	})
	return m, err
}
