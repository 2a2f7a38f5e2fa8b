package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/storage"

	"github.com/mpull/mpull/engine/platform"
)

func (s *Store) readConfig(img *Image, item items) (*Config, error) {
	config, err := s.parsedConfig(img, item)
	if err != nil {
		return nil, err
	}
	p := config.Claim()
	if p.Variant == "" && (p.Architecture == "arm" || p.Architecture == "arm64") || !p.Complete() || p.OS == "windows" && p.OSVersion == "" {
		p, completed := p.CompletedBy(indexed(img, item)), *config
		completed.OS, completed.Architecture, completed.Variant, completed.OSVersion = p.OS, p.Architecture, p.Variant, p.OSVersion
		return &completed, nil
	}
	return config, nil
}

// parsedConfig reads an image's config once: its digest is the image's ID, so
// what was read stays right.
func (s *Store) parsedConfig(img *Image, item items) (*Config, error) {
	if known, ok := s.configs.Load(img.ID); ok {
		return known.(*Config), nil
	}
	blob, err := configBlob(img, item)
	if err != nil {
		return nil, err
	}
	config, err := parseConfig(blob)
	if err != nil {
		return nil, fmt.Errorf("reading the config of image %s: %w", img.ID, err)
	}
	if _, ok := img.BigData["sha256:"+img.ID]; ok { // else the manifest names it
		s.configs.Store(img.ID, config)
	}
	return config, nil
}

// configFile is what is read of a config (OCI image specification, config.md).
type configFile struct {
	Created      *time.Time `json:"created"`
	OS           string     `json:"os"`
	OSVersion    string     `json:"os.version"`
	Architecture string     `json:"architecture"`
	Variant      string     `json:"variant"`
	Config       struct {
		Labels map[string]string `json:"Labels"`
		Start
	} `json:"config"`
	RootFS struct {
		DiffIDs []digest.Digest `json:"diff_ids"`
	} `json:"rootfs"`
	History []imgspecv1.History `json:"history"`
}

// decodeConfig decodes with the decoder that the library has for its lists, in a
// third of the time. What that one refuses, or takes though it is no JSON (control
// characters, invalid UTF-8), encoding/json judges.
func decodeConfig(blob []byte) (c configFile, err error) {
	control := slices.ContainsFunc(blob, func(b byte) bool { return b < ' ' })
	if !control && utf8.Valid(blob) && decoder().Unmarshal(blob, &c) == nil {
		return c, nil
	}
	c = configFile{}
	err = json.Unmarshal(blob, &c)
	return c, err
}

func parseConfig(blob []byte) (*Config, error) {
	c, err := decodeConfig(blob)
	if err != nil && !ofStart(err) {
		return nil, err
	}
	p := platform.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant, OSVersion: c.OSVersion}.Canonical()
	config := &Config{
		OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion,
		Labels: c.Config.Labels, DiffIDs: c.RootFS.DiffIDs, History: make([]History, len(c.History)),
		Start: c.Config.Start, StartError: err,
	}
	if c.Created != nil {
		config.Created = *c.Created
	}
	for i, h := range c.History {
		config.History[i] = History{CreatedBy: h.CreatedBy, Author: h.Author, Comment: h.Comment, EmptyLayer: h.EmptyLayer}
		if h.Created != nil {
			config.History[i].Created = h.Created.UTC().Format(time.RFC3339Nano)
		}
	}
	return config, nil
}

// ofStart tells whether all that is wrong with a config is the type of a field of
// Start, behind which encoding/json reads on.
func ofStart(err error) bool {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return false
	}
	field, ok := strings.CutPrefix(wrong.Field, "config.")
	field, _, _ = strings.Cut(strings.TrimPrefix(field, "Start."), ".")
	return ok && slices.Contains([]string{"Entrypoint", "Cmd", "Env", "WorkingDir", "User"}, field)
}

// configBlob finds the config among the big data: under the image's ID for
// all but a few images, else under the digest that the manifest names.
func configBlob(img *Image, item items) ([]byte, error) {
	key := "sha256:" + img.ID
	if _, ok := img.BigData[key]; !ok {
		blob, err := item(img, storage.ImageDigestBigDataKey)
		if err != nil {
			return nil, fmt.Errorf("reading the manifest of image %s: %w", img.ID, err)
		}
		m, err := manifest.FromBlob(blob, manifest.GuessMIMEType(blob))
		if err != nil {
			return nil, fmt.Errorf("reading the manifest of image %s: %w", img.ID, err)
		}
		if old, ok := m.(*manifest.Schema1); ok {
			return schema1Config(img, old)
		}
		key = m.ConfigInfo().Digest.String()
	}
	blob, err := item(img, key)
	if err != nil {
		return nil, fmt.Errorf("reading the config of image %s: %w", img.ID, err)
	}
	return blob, nil
}

// indexed returns the platform that the index names for an image, for a config
// that does not. The index is kept with the image when it was pulled through one.
func indexed(img *Image, item items) platform.Platform {
	for key := range img.BigData {
		if !strings.HasPrefix(key, storage.ImageDigestManifestBigDataNamePrefix+"-") {
			continue
		}
		blob, err := item(img, key)
		if err != nil {
			continue
		}
		var index imgspecv1.Index
		if json.Unmarshal(blob, &index) != nil {
			continue
		}
		at := slices.IndexFunc(index.Manifests, func(d imgspecv1.Descriptor) bool {
			return d.Platform != nil && d.Platform.OS != "" && slices.Contains(img.Digests, d.Digest)
		})
		if at >= 0 {
			p := index.Manifests[at].Platform
			return platform.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}
		}
	}
	return platform.Platform{}
}
