package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/store"
)

// ParseSize reads a number of bytes: 1000, 10GB and 1.5g (powers of 1000), or
// 512MiB (powers of 1024).
func ParseSize(text string) (int64, error) {
	parse := units.FromHumanSize
	if strings.ContainsAny(text, "iI") {
		parse = units.RAMInBytes
	}
	n, err := parse(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("cannot read %q as a size: use a number of bytes or a form such as 500MB or 2GiB", text)
	}
	return n, nil
}

// Sizes tells how large the images of a snapshot are, by their records.
type Sizes struct {
	layers map[string]*store.Layer
}

// Layers returns the layers of an image, the top first, as far as they are here.
// A damaged store may hold a circle of layers: no chain is longer than all.
func (s *Sizes) Layers(img *store.Image) []*store.Layer {
	var chain []*store.Layer
	for l := s.layers[img.TopLayer]; l != nil && len(chain) <= len(s.layers); l = s.layers[l.Parent] {
		chain = append(chain, l)
	}
	return chain
}

// Of returns what podman shows as an image's size: the unpacked bytes of all
// its layers and its own data, whoever else uses the layers.
func (s *Sizes) Of(img *store.Image) int64 {
	var bytes int64
	for _, size := range img.BigData {
		bytes += max(size, 0)
	}
	for _, l := range s.Layers(img) {
		bytes += max(l.UncompressedSize, 0)
	}
	return bytes
}

// Complete tells whether all that an image's config speaks of is here.
func (s *Sizes) Complete(img *store.Image) bool {
	if img.ConfigError != nil || img.Config == nil || !img.HasManifest() {
		return false
	}
	chain := s.Layers(img)
	diffIDs := make([]digest.Digest, len(chain))
	for i, l := range chain {
		diffIDs[len(chain)-1-i] = l.UncompressedDigest
	}
	return img.CheckChain(diffIDs) == nil && !slices.ContainsFunc(chain, func(l *store.Layer) bool { return l.Incomplete })
}
