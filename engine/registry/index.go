package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"

	"github.com/mpull/mpull/engine/platform"
)

// Bounds for indexes: real ones hold a few dozen entries. What lies deeper, or in
// more indexes, is not followed: a few hundred bytes could name millions of images.
const (
	maxInstances = 10_000
	maxIndexes   = 100
	maxNesting   = 3
)

// nested is an index in another one.
type nested struct {
	blob []byte
	in   digest.Digest // the nested index it is in; "" for the top level
}

// Indexes returns the documents that lead to an instance, the top level first;
// none for a single manifest.
func (i *Image) Indexes(one Instance) [][]byte {
	if !i.IsIndex {
		return nil
	}
	var inner [][]byte
	for d := one.Index; d != ""; d = i.within[d].in {
		inner = append(inner, i.within[d].blob)
	}
	slices.Reverse(inner)
	return append([][]byte{i.Manifest}, inner...)
}

func (i *Image) index(ctx context.Context, blob []byte, mediaType string, self digest.Digest, depth int) ([]Instance, error) {
	// The library refuses ambiguous documents, such as one with both layers
	// and manifests.
	if _, err := manifest.ListFromBlob(blob, mediaType); err != nil {
		return nil, fmt.Errorf("reading the index of %s: %w", RefName(i.Ref), err)
	}
	var index imgspecv1.Index // docker's manifest list has the same fields
	if err := json.Unmarshal(blob, &index); err != nil {
		return nil, fmt.Errorf("reading the index of %s: %w", RefName(i.Ref), err)
	}
	if len(index.Manifests) > maxInstances {
		return nil, fmt.Errorf("reading the index of %s: it has %d entries, more than %d", RefName(i.Ref), len(index.Manifests), maxInstances)
	}
	var all []Instance
	for _, d := range index.Manifests {
		if err := d.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("reading the index of %s: entry with digest %q: %w", RefName(i.Ref), d.Digest, err)
		}
		if manifest.MIMETypeIsMultiImage(d.MediaType) {
			nested, err := i.nested(ctx, d, self, depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, nested...)
			continue
		}
		all = append(all, toInstance(d, self))
	}
	return all, nil
}

// nested follows an entry that is an index itself, once. One that is not there, or
// too deep, is one instance that is absent: the others can be had all the same.
func (i *Image) nested(ctx context.Context, entry imgspecv1.Descriptor, in digest.Digest, depth int) ([]Instance, error) {
	d, one := entry.Digest, toInstance(entry, in)
	one.Artifact, one.Absent = "", true
	if _, again := i.within[d]; again {
		return nil, nil
	}
	if one.Deep = depth >= maxNesting || len(i.within) >= maxIndexes; one.Deep {
		return []Instance{one}, nil
	}
	i.asked.Manifests++
	var blob []byte
	var mediaType string
	err := i.anywhere(ctx, func() (err error) {
		blob, mediaType, err = i.Source().GetManifest(ctx, &d)
		return err
	})
	if isAbsent(err) {
		return []Instance{one}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the nested index %s: %w", d, err)
	}
	if ok, err := manifest.MatchesDigest(blob, d); err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("the nested index %s has other content than its digest says", d), err)
	}
	i.within[d] = nested{blob, in}
	return i.index(ctx, blob, manifest.NormalizedMIMEType(mediaType), d, depth)
}

func toInstance(d imgspecv1.Descriptor, index digest.Digest) Instance {
	one := Instance{Digest: d.Digest, Size: d.Size, MediaType: d.MediaType, Annotations: d.Annotations, Index: index}
	if d.Platform != nil {
		one.Platform = platform.Platform{OS: d.Platform.OS, Architecture: d.Platform.Architecture, Variant: d.Platform.Variant, OSVersion: d.Platform.OSVersion}.Canonical()
		one.Said = platform.Platform{OS: d.Platform.OS, Architecture: d.Platform.Architecture, Variant: d.Platform.Variant, OSVersion: one.Platform.OSVersion}
	}
	one.Artifact = artifactType(d)
	// BuildKit marks attestations both ways; either is enough.
	one.Attestation = d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" ||
		one.Platform.OS == "unknown" && one.Platform.Architecture == "unknown"
	return one
}
