package testimage

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Entry is one image of the catalogue: an index or a single image.
type Entry struct {
	Name  string // repository:tag
	Why   string // what is special about it
	Index v1.ImageIndex
	Image v1.Image
}

// Hostile is a text that would steer a terminal if it were printed raw: an
// escape sequence, a C1 control, a change of writing direction, a line break.
const Hostile = "\x1b[31mred\x1b]0;title\x07 \u009b2J \u202egnp.exe \r\n<b>&amp;</b> \u00e9 \U0001F433"

// Catalogue builds one image of each kind that tools disagree about.
func Catalogue() ([]Entry, error) {
	var entries []Entry
	for _, build := range []func() (Entry, error){
		dockerList, ociIndex, nestedIndex, attestedIndex, singleDocker, singleOCI, namelessIndex,
		noVariant, zstdImage, manyLayers, hostileImage, foreignImage, foreignIndex, fullConfig, annotated, twins,
	} {
		e, err := build()
		if err != nil {
			return nil, fmt.Errorf("building %s: %w", e.Name, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func dockerList() (Entry, error) {
	index, err := Index(AlpinePlatforms(), Spec{})
	return Entry{Name: "library/alpine:3.15", Why: "docker list of seven platforms", Index: index}, err
}

func ociIndex() (Entry, error) {
	index, err := OCIIndex(AlpinePlatforms(), Spec{OCI: true, Seed: 1})
	return Entry{Name: "cat/oci:1", Why: "OCI index", Index: index}, err
}

// OCIIndex is Index with an OCI index around the images.
func OCIIndex(platforms []string, spec Spec) (v1.ImageIndex, error) {
	index, err := Index(platforms, spec)
	if err != nil {
		return nil, err
	}
	return mutate.IndexMediaType(index, types.OCIImageIndex), nil
}

func nestedIndex() (Entry, error) {
	e := Entry{Name: "cat/nested:1", Why: "index in an index"}
	inner, err := OCIIndex([]string{"linux/arm/v7", "linux/arm64"}, Spec{OCI: true, Seed: 2})
	if err != nil {
		return e, err
	}
	outer, err := OCIIndex([]string{"linux/amd64"}, Spec{OCI: true, Seed: 2})
	e.Index = mutate.AppendManifests(outer, mutate.IndexAddendum{Add: inner})
	return e, err
}

func attestedIndex() (Entry, error) {
	e := Entry{Name: "cat/attested:1", Why: "index with attestations, as BuildKit makes them"}
	index, err := OCIIndex([]string{"linux/amd64", "linux/arm64"}, Spec{OCI: true, Seed: 3})
	if err != nil {
		return e, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return e, err
	}
	for i, of := range manifest.Manifests {
		statement := static.NewLayer(fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v0.1","n":%d}`, i), "application/vnd.in-toto+json")
		img, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), mutate.Addendum{Layer: statement})
		if err != nil {
			return e, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{
				"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of.Digest.String(),
			},
		}})
	}
	e.Index = index
	return e, nil
}

func singleDocker() (Entry, error) {
	img, err := Image(Spec{Seed: 4, Layers: 2})
	return Entry{Name: "cat/single-docker:1", Why: "single docker manifest", Image: img}, err
}

func singleOCI() (Entry, error) {
	img, err := Image(Spec{OCI: true, Seed: 5, Layers: 2})
	return Entry{Name: "cat/single-oci:1", Why: "single OCI manifest", Image: img}, err
}

func namelessIndex() (Entry, error) {
	e := Entry{Name: "cat/nameless:1", Why: "index whose entries name no platform"}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range []string{"linux/amd64", "linux/arm64"} {
		img, err := Image(Spec{Platform: p, OCI: true, Seed: 6})
		if err != nil {
			return e, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img})
	}
	e.Index = index
	return e, nil
}

func noVariant() (Entry, error) {
	index, err := Index([]string{"linux/amd64", "linux/arm/v6", "linux/arm/v7"}, Spec{Seed: 7, NoConfigVariant: true})
	return Entry{Name: "cat/novariant:1", Why: "index with variants that the configs lack", Index: index}, err
}

func zstdImage() (Entry, error) {
	img, err := Image(Spec{OCI: true, Zstd: true, Seed: 8, Layers: 2})
	return Entry{Name: "cat/zstd:1", Why: "zstd layers", Image: img}, err
}

func manyLayers() (Entry, error) {
	img, err := Image(Spec{Seed: 9, Layers: 127, Files: 1, FileSize: 64})
	return Entry{Name: "cat/layers:1", Why: "127 layers", Image: img}, err
}

func hostileImage() (Entry, error) {
	img, err := Image(Spec{Seed: 10, Labels: map[string]string{
		"hostile": Hostile, "quote\"key": "tab\there", "empty": "", "": "no key", "nul": "a\x00b",
	}, Edit: func(c *v1.ConfigFile) {
		c.Author = Hostile
		c.History[0].CreatedBy = Hostile
		c.History[0].Comment = "<>&\u2028\u2029"
		c.Config.Env = append(c.Config.Env, "EVIL="+Hostile)
	}})
	return Entry{Name: "cat/hostile:1", Why: "labels, author and history with odd characters", Image: img}, err
}

func foreignImage() (Entry, error) {
	img, err := Image(Spec{Platform: "linux/s390x", Seed: 11})
	return Entry{Name: "cat/foreign:1", Why: "single image of a foreign platform", Image: img}, err
}

func foreignIndex() (Entry, error) {
	index, err := OCIIndex([]string{"linux/s390x", "linux/ppc64le"}, Spec{OCI: true, Seed: 12})
	return Entry{Name: "cat/foreign-index:1", Why: "index of foreign platforms only", Index: index}, err
}

func fullConfig() (Entry, error) {
	img, err := Image(Spec{Seed: 13, Labels: map[string]string{"org.opencontainers.image.version": "1"}, Edit: func(c *v1.ConfigFile) {
		c.Author = "A. Uthor <a@example.org>"
		c.DockerVersion = "20.10.23" //nolint:staticcheck // old images have it, and the peers show it
		c.Config.User, c.Config.WorkingDir, c.Config.StopSignal = "1000:1000", "/data0", "SIGQUIT"
		c.Config.Entrypoint, c.Config.Cmd = []string{"/bin/sh", "-c"}, []string{"echo <hi> && true"}
		c.Config.ExposedPorts = map[string]struct{}{"80/tcp": {}, "53/udp": {}}
		c.Config.Volumes = map[string]struct{}{"/data0": {}}
		c.Config.Healthcheck = &v1.HealthConfig{Test: []string{"CMD-SHELL", "true && false"}, Interval: 3e9, Retries: 2}
		c.Config.OnBuild = []string{"RUN true"}
		c.History = append(c.History, v1.History{CreatedBy: "CMD", Comment: "a comment", Author: "me", EmptyLayer: true})
	}})
	return Entry{Name: "cat/full:1", Why: "every field of a docker config", Image: img}, err
}

func annotated() (Entry, error) {
	e := Entry{Name: "cat/annotated:1", Why: "OCI manifest with annotations and a comment in its history"}
	img, err := Image(Spec{OCI: true, Seed: 14, Edit: func(c *v1.ConfigFile) { c.History[0].Comment = "built by hand" }})
	if err != nil {
		return e, err
	}
	e.Image, _ = mutate.Annotations(img, map[string]string{"org.opencontainers.image.title": "annotated", "z": "<&>"}).(v1.Image)
	return e, nil
}

func twins() (Entry, error) {
	index, err := Index([]string{"linux/arm", "linux/arm/v7", "linux/amd64", "linux/amd64"}, Spec{Seed: 15})
	return Entry{Name: "cat/twins:1", Why: "arm with and without variant, one platform twice", Index: index}, err
}
