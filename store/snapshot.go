package store

import (
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"

	"github.com/mpull/mpull/engine/platform"
)

// Snapshot is all that a store holds, read at one moment. It is made of plain
// values: nothing in it reads the store again, and changing it changes nothing.
type Snapshot struct {
	TakenAt    time.Time
	Images     []Image
	Layers     []Layer
	Containers []Container
}

// Image is one image of a snapshot.
type Image struct {
	ID              string
	Digest          digest.Digest    // of the manifest; "" in damaged images
	Digests         []digest.Digest  // of every manifest kept with the image: its own and the index it came from
	Names           []string         // references it holds now, in the store's order
	NamesHistory    []string         // references it held, newest first
	TopLayer        string           // "" for manifest lists and images without layers
	MappedTopLayers []string         // copies of TopLayer for other ID mappings
	Created         time.Time        // build time, as the config claims
	ReadOnly        bool             // held by an additional, read-only image store
	BigData         map[string]int64 // key of each big data item, with its size in bytes

	Config      *Config         // nil for manifest lists and when ConfigError is set
	ConfigError error           // why the config could not be read: the image is damaged
	Members     []digest.Digest // manifests named by a local manifest list; nil for images
	IsList      bool            // a local manifest list or index (podman manifest create)
	Schema1     bool            // in Docker's schema 1 format, which has no config: Config is made of its manifest
	Displaced   []Displacement  // names it lost and does not hold, oldest first
	RecordError error           // why its displacement record could not be read
}

// HasManifest reports whether the image has the manifest under the key by
// which everything reads it. It is written last but for signatures: an image
// without it was left by a writer that died.
func (i *Image) HasManifest() bool {
	_, ok := i.BigData[storage.ImageDigestBigDataKey]
	return ok
}

// Config is what listings and decisions need of an image's config.
type Config struct {
	OS           string // with those below in the canonical spelling; of the index where the config says nothing
	Architecture string
	Variant      string // the index's, where the config names none
	OSVersion    string // of Windows
	Created      time.Time
	Labels       map[string]string
	DiffIDs      []digest.Digest
	History      []History
	Start        Start
	StartError   error // a field of Start has another type; the rest of Start, and of the config, is read all the same
}

// Start is what a config starts.
type Start struct {
	Entrypoint, Cmd, Env []string
	WorkingDir, User     string
}

// History is one entry of a config's history. Two entries are the same step
// of a build when they are equal (podman's rule for parent images).
type History struct {
	Created    string // RFC 3339 in UTC, "" when not given
	CreatedBy  string
	Author     string
	Comment    string
	EmptyLayer bool
}

// Platform returns os/arch[/variant], "" when the config is not readable.
func (i *Image) Platform() string {
	if i.Config == nil {
		return ""
	}
	return i.Config.Platform()
}

// Platform returns os/arch[/variant] as the config and its index claim it, ""
// when they claim nothing.
func (c *Config) Platform() string { return c.Claim().String() }

// Claim returns the platform that the config and its index claim; zero when they
// claim nothing.
func (c *Config) Claim() platform.Platform {
	return platform.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant, OSVersion: c.OSVersion}
}

// Layer is one layer of a snapshot.
type Layer struct {
	ID                 string
	Parent             string // "" for a base layer
	Created            time.Time
	CompressedDigest   digest.Digest // of the blob it came from, "" when not known
	UncompressedDigest digest.Digest // the DiffID, "" when not known
	TOCDigest          digest.Digest // of the list of its files by which it was fetched, "" when it came whole
	CompressedSize     int64         // bytes; 0 when not known
	UncompressedSize   int64         // bytes of the tar stream; -1 when not known
	ReadOnly           bool          // held by an additional, read-only image store
	Listed             bool          // the list of its files is kept with it
	Incomplete         bool          // being written, or left by a writer that died
	Mounts             int           // how often it is mounted, by whichever tool; 0 when not
}

// Container is one container of a snapshot, of whichever tool made it.
type Container struct {
	ID      string
	Names   []string
	ImageID string
	LayerID string // its writable layer
	Created time.Time
	Pod     string // ID of its pod, of those that CRI-O made; a sandbox is one too
}

// Contradictions returns the images that name layers which are nowhere.
func (s *Snapshot) Contradictions() (found []Damage) {
	parents := make(map[string]string, len(s.Layers))
	for i := range s.Layers {
		parents[s.Layers[i].ID] = s.Layers[i].Parent
	}
	for i := range s.Images {
		img := &s.Images[i]
		for _, id := range append([]string{img.TopLayer}, img.MappedTopLayers...) {
			for n := 0; id != "" && n <= len(parents) && !img.ReadOnly; n++ {
				above, ok := parents[id]
				if !ok {
					found = append(found, Damage{Kind: DamagedImage, ID: img.ID, Names: img.Names, Problems: []string{"its layer " + id + " is missing"}})
					break
				}
				id = above
			}
		}
	}
	return found
}

// Displacement is one entry of a displacement record: how an image lost a
// name. The JSON form is the one kept in the store.
type Displacement struct {
	Name    string    `json:"name"`
	At      time.Time `json:"at"`
	By      Party     `json:"by,omitzero"` // the image that took the name; zero when the name was removed
	Was     Party     `json:"was"`         // the image that lost it
	Command string    `json:"command"`     // the mpull command that did it, e.g. "pull --platform linux/arm/v7"
}

// Party is one side of a displacement.
type Party struct {
	ID       string        `json:"id,omitempty"`
	Digest   digest.Digest `json:"digest,omitempty"`
	Platform string        `json:"platform,omitempty"` // os/arch[/variant]
}
