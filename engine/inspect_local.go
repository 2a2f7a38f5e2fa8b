package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// ImageData is what podman inspect prints about a local image, under the same
// names, in the same order and with the same values, and four fields more:
// Variant, Platform, PlatformCheck and Displaced. JSON names are stable.
type ImageData struct {
	ID           string                 `json:"Id"`
	Digest       digest.Digest          `json:"Digest"`
	RepoTags     []string               `json:"RepoTags"`
	RepoDigests  []string               `json:"RepoDigests"`
	Parent       string                 `json:"Parent"`
	Comment      string                 `json:"Comment"`
	Created      *time.Time             `json:"Created"`
	Config       *imgspecv1.ImageConfig `json:"Config"`
	Version      string                 `json:"Version"`
	Author       string                 `json:"Author"`
	Architecture string                 `json:"Architecture"`
	Variant      string                 `json:"Variant"` // the index's, where the config names none
	Os           string                 `json:"Os"`
	Platform     string                 `json:"Platform"` // os/arch[/variant]
	// PlatformCheck compares Platform with the program that the image starts;
	// it is left out when that is not known.
	PlatformCheck PlatformCheck                 `json:"PlatformCheck,omitzero"`
	Size          int64                         `json:"Size"` // bytes, unpacked
	VirtualSize   int64                         `json:"VirtualSize"`
	GraphDriver   *DriverData                   `json:"GraphDriver"`
	RootFS        *RootFS                       `json:"RootFS"`
	Labels        map[string]string             `json:"Labels"`
	Annotations   map[string]string             `json:"Annotations"`
	ManifestType  string                        `json:"ManifestType"`
	User          string                        `json:"User"`
	History       []imgspecv1.History           `json:"History"`
	NamesHistory  []string                      `json:"NamesHistory"`
	HealthCheck   *manifest.Schema2HealthConfig `json:"Healthcheck,omitempty"`
	Displaced     []store.Displacement          `json:"Displaced"` // names it lost, oldest first
}

// DriverData is what the storage driver says about an image's top layer.
type DriverData struct {
	Name string            `json:"Name"`
	Data map[string]string `json:"Data"`
}

// RootFS names the layers of an image by their DiffIDs, lowest first.
type RootFS struct {
	Type   string          `json:"Type"`
	Layers []digest.Digest `json:"Layers"`
}

// InspectImages describes local images: those that the inputs mean, or with
// wanted the images of that platform which hold or held their names. Each input
// that cannot be described is an error of its own, joined; the others are in
// the result.
func (e *Engine) InspectImages(ctx context.Context, inputs []string, wanted *platform.Request) ([]ImageData, error) {
	found := []ImageData{}
	err := e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		view := e.view(snap)
		var errs []error
		for _, input := range inputs {
			data, err := e.inspect(ctx, s, view, input, wanted)
			if errs = append(errs, err); err == nil {
				found = append(found, *data)
			}
		}
		return errors.Join(errs...)
	})
	return found, err
}

func (e *Engine) inspect(ctx context.Context, s *store.Store, view *query.View, input string, wanted *platform.Request) (data *ImageData, err error) {
	found, err := e.one(ctx, s, view, input, wanted)
	if err != nil {
		return nil, err
	}
	img := found.Image
	if img.IsList {
		return nil, fmt.Errorf("%s is a manifest list, not an image: mpull manifest inspect %s shows it", input, input)
	}
	ref, err := s.Reference(img, "")
	if err != nil {
		return nil, err
	}
	err = e.open(ctx, registry.Source{Ref: ref}, Retry{}, func(ctx context.Context, opened *registry.Image, _ registry.Source) error {
		detail, err := opened.Detail(ctx, registry.Instance{Digest: opened.Digest})
		if err != nil {
			return err
		}
		data, err = e.describe(ctx, s, view, img, detail)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("inspecting %s: %w", input, err)
	}
	return data, nil
}

func (e *Engine) describe(ctx context.Context, s *store.Store, view *query.View, img *store.Image, d *registry.Detail) (*ImageData, error) {
	info, err := d.Info()
	if err != nil {
		return nil, err
	}
	driver, err := s.DriverData(img)
	if err != nil {
		return nil, err
	}
	config, size := d.Config, view.Sizes().Of(img)
	data := &ImageData{
		ID: img.ID, Digest: img.Digest, RepoTags: repoTags(img), RepoDigests: repoDigests(img), Parent: view.Parents()(img),
		Created: config.Created, Config: &config.Config, Version: info.DockerVersion, Author: config.Author,
		Architecture: config.Architecture, Os: config.OS, Platform: img.Platform(), Size: size, VirtualSize: size,
		GraphDriver: &DriverData{Name: s.Driver(), Data: driver},
		RootFS:      &RootFS{Type: config.RootFS.Type, Layers: config.RootFS.DiffIDs},
		Labels:      info.Labels, Annotations: map[string]string{}, ManifestType: d.MediaType, User: config.Config.User,
		History: config.History, NamesHistory: img.NamesHistory, Displaced: append([]store.Displacement{}, img.Displaced...),
		PlatformCheck: e.actualPlatform(ctx, s, img),
	}
	if img.Config != nil {
		data.Variant = img.Config.Variant
	}
	return data, data.ofFormat(d)
}

// ofFormat fills what the two manifest formats keep in different places, by
// podman's rules: only OCI has annotations, only docker has health checks and
// a comment of its own.
func (data *ImageData) ofFormat(d *registry.Detail) error {
	switch d.MediaType {
	case imgspecv1.MediaTypeImageManifest:
		var m imgspecv1.Manifest
		if err := json.Unmarshal(d.Manifest, &m); err != nil {
			return err
		}
		if m.Annotations != nil {
			data.Annotations = m.Annotations
		}
		if len(data.History) > 0 {
			data.Comment = data.History[0].Comment
		}
	case manifest.DockerV2Schema2MediaType:
		var c manifest.Schema2V1Image
		if err := json.Unmarshal(d.ConfigBlob, &c); err != nil {
			return err
		}
		data.Comment, data.HealthCheck = c.Comment, c.ContainerConfig.Healthcheck
		if data.HealthCheck == nil && c.Config != nil {
			data.HealthCheck = c.Config.Healthcheck
		}
	}
	return nil
}

// repoTags lists an image's names that have a tag.
func repoTags(img *store.Image) []string {
	tags := []string{}
	for _, name := range img.Names {
		ref, err := reference.Parse(name)
		if err != nil {
			continue // not a reference: podman would refuse the image, its other names are of use
		}
		if tagged, ok := ref.(reference.NamedTagged); ok {
			tags = append(tags, tagged.String())
		}
	}
	return tags
}

// repoDigests lists each repository of an image with each of its manifests'
// digests, sorted.
func repoDigests(img *store.Image) []string {
	if len(img.Names) == 0 {
		return []string{}
	}
	of := slices.DeleteFunc(slices.Compact(append(slices.Clone(img.Digests), img.Digest)), func(d digest.Digest) bool { return d == "" })
	digests := []string{}
	for _, name := range img.Names {
		ref, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			continue
		}
		for _, d := range of {
			digests = append(digests, ref.Name()+"@"+d.String())
		}
	}
	slices.Sort(digests)
	return slices.Compact(digests)
}
