package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"
)

// Names of the files in an archive.
const (
	layoutFile = "oci-layout"
	indexFile  = "index.json"
	dockerFile = "manifest.json"
	recordFile = "mpull.json"
	blobFolder = "blobs/sha256/"
)

// Version is the version of mpull.json that this package writes and reads.
const Version = 1

// containerdName is containerd's annotation for the name of an image, which
// docker reads; the specification's is imgspecv1.AnnotationRefName.
const containerdName = "io.containerd.image.name"

// Bounds of what is read from an archive.
const (
	maxDocument = 4 << 20 // a manifest, config, index or the record: what the image library takes
	maxFiles    = 100_000 // entries of the tar file
	maxGroups   = 10_000
	maxImages   = 10_000 // over all groups
	maxLayers   = 1_000  // of one image
)

// Record is mpull.json.
type Record struct {
	Version int     `json:"version"`
	Groups  []Group `json:"groups"`
}

// Group is the images that belong to one name.
type Group struct {
	Name   string  `json:"name,omitempty"` // a reference with a tag or digest; "" for an image saved by its ID
	Images []Image `json:"images"`         // the one that had the name first, if it is here
}

// Image is one image as it was in the store that it came from.
type Image struct {
	ID        string          `json:"id"`                  // hex of the digest of its config
	Platform  string          `json:"platform,omitempty"`  // os/arch[/variant]
	Manifest  digest.Digest   `json:"manifest"`            // the original; its blob is in the archive
	Indexes   []digest.Digest `json:"indexes,omitempty"`   // the originals that it came from, the latest last
	Layers    []Layer         `json:"layers,omitempty"`    // those whose compressed form is not the original
	Displaced json.RawMessage `json:"displaced,omitempty"` // its displacement record, as the store keeps it
}

// Layer is a layer whose original compressed form could not be made again.
type Layer struct {
	Original  digest.Digest `json:"original"` // as the original manifest has it
	Blob      digest.Digest `json:"blob"`     // what the archive has instead: the same tar, compressed anew
	MediaType string        `json:"mediaType"`
}

// ParseRecord reads mpull.json, which may come from anybody: it checks bounds,
// digests and names, and refuses fields that it does not know.
func ParseRecord(data []byte) (*Record, error) {
	if len(data) > maxDocument {
		return nil, fmt.Errorf("reading %s: it has %d bytes, more than %d", recordFile, len(data), maxDocument)
	}
	var v struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("reading %s: %w", recordFile, err)
	}
	if v.Version != Version {
		return nil, fmt.Errorf("reading %s: it has version %d; this mpull reads version %d", recordFile, v.Version, Version)
	}
	r := &Record{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(r)
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", recordFile, err)
	}
	return r, nil
}

func (r *Record) check() error {
	if len(r.Groups) > maxGroups {
		return fmt.Errorf("it has %d names, more than %d", len(r.Groups), maxGroups)
	}
	images := 0
	for _, g := range r.Groups {
		if g.Name != "" {
			ref, err := reference.ParseNormalizedNamed(g.Name)
			if err != nil {
				return fmt.Errorf("the name %q: %w", g.Name, err)
			}
			if reference.IsNameOnly(ref) || ref.String() != g.Name {
				return fmt.Errorf("the name %q is not a full name with a tag or digest", g.Name)
			}
		}
		if images += len(g.Images); images > maxImages {
			return fmt.Errorf("it has more than %d images", maxImages)
		}
		for i := range g.Images {
			if err := g.Images[i].check(); err != nil {
				return fmt.Errorf("image %d of %q: %w", i+1, g.Name, err)
			}
		}
	}
	return nil
}

func (i *Image) check() error {
	if err := checkDigest(digest.NewDigestFromEncoded(digest.SHA256, i.ID)); err != nil {
		return fmt.Errorf("the ID %q: %w", i.ID, err)
	}
	digests := append([]digest.Digest{i.Manifest}, i.Indexes...)
	if len(i.Layers) > maxLayers || len(i.Indexes) > maxLayers {
		return fmt.Errorf("it has more than %d layers or indexes", maxLayers)
	}
	for _, l := range i.Layers {
		digests = append(digests, l.Original, l.Blob)
		if l.MediaType == "" || strings.ContainsFunc(l.MediaType, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("layer %s: bad media type %q", l.Original, l.MediaType)
		}
	}
	for _, d := range digests {
		if err := checkDigest(d); err != nil {
			return err
		}
	}
	return nil
}

func checkDigest(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("the digest %q: %w", d, err)
	}
	if d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("the digest %q is not a SHA-256", d)
	}
	return nil
}
