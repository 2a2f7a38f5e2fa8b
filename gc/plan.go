package gc

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
)

// PlanVersion is the version of the plan's JSON form.
const PlanVersion = 1

// Reason says why an image goes or stays.
type Reason string

// Why an image goes.
const (
	Dangling      Reason = "dangling"          // no name, no child image, in no manifest list
	ParentRemoved Reason = "parent-of-removed" // dangling once the image By, its child or its list, is removed
	Unused        Reason = "unused"            // no container uses it (Policy.All)
	Incomplete    Reason = "incomplete"        // its manifest or config was never written, and it is old enough
)

// Why an image stays.
const (
	UsedByContainer Reason = "used-by-container" // container By was made from it
	Mounted         Reason = "mounted"           // one of its layers is mounted, by whichever tool
	Parent          Reason = "parent"            // image By, which stays, was built on it
	ListMember      Reason = "list-member"       // manifest list By, which stays, names it
	Named           Reason = "named"             // it has a name
	Pinned          Reason = "pinned"            // it has a name by digest only: kept on purpose
	PinnedByCRIO    Reason = "pinned-by-cri-o"   // CRI-O's configuration pins it by the pattern By
	Protected       Reason = "protected"         // who made the plan said so, by the reference By
	TooYoung        Reason = "too-young"         // younger than Policy.MinAge, Policy.Grace or Policy.LeftoverAge allows
	ReadOnly        Reason = "read-only"         // it lies in an additional image store
	KeptByCount     Reason = "kept-by-count"     // among the newest Policy.Keep of its name and platform
	FilteredOut     Reason = "filtered-out"      // filter By does not match it
	TargetReached   Reason = "target-reached"    // Policy.Free is reached without it
	Damaged         Reason = "damaged"           // its config cannot be read: nobody knows what it is
)

// Vanished is why something of a plan cannot go: it is gone.
const Vanished Reason = "gone"

// goes tells for each known reason whether it removes the image.
func (r Reason) goes() (goes, known bool) {
	switch r {
	case Dangling, ParentRemoved, Unused, Incomplete:
		return true, true
	case UsedByContainer, Mounted, Parent, ListMember, Named, Pinned, PinnedByCRIO, Protected, TooYoung, ReadOnly, KeptByCount, FilteredOut, TargetReached, Damaged:
		return false, true
	}
	return false, false
}

// Plan is what a prune would remove, and why all else stays. It is data: two
// plans over the same snapshot, policy and time are deeply equal. A plan can
// be executed once.
type Plan struct {
	Version   int          `json:"version"`
	CreatedAt time.Time    `json:"createdAt"`
	Images    []Decision   `json:"images"`            // every image once: first those that go, in the order of removal, then those that stay
	Layers    []LayerBytes `json:"layers"`            // layers that come free because every image on them goes
	Leftovers []Leftover   `json:"leftovers"`         // what interrupted work left; those that go in the order of removal
	Bytes     int64        `json:"bytes"`             // what the disk gets back: sum of Images[].Bytes that go and Leftovers[].Bytes that go
	Free      int64        `json:"free,omitempty"`    // bytes that Policy.Free asked for
	WithAll   int64        `json:"withAll,omitempty"` // where Free is not reached: the bytes that Policy.All would give

	used atomic.Bool
}

// Decision is about one image.
type Decision struct {
	ID          string        `json:"id"`
	Digest      digest.Digest `json:"digest,omitempty"`
	Goes        bool          `json:"goes"`
	Reason      Reason        `json:"reason"`
	By          string        `json:"by,omitempty"`     // ID of the container, image or list that Reason speaks of; the text of a filter, pattern or reference
	ByName      string        `json:"byName,omitempty"` // first name of By
	Names       []string      `json:"names,omitempty"`  // names it holds
	Was         string        `json:"was,omitempty"`    // the name it lost last
	ByOtherTool bool          `json:"byOtherTool,omitempty"`
	Since       time.Time     `json:"since,omitzero"` // of its displacement, else of its pull
	Platform    string        `json:"platform,omitempty"`
	Alone       int64         `json:"bytesAlone"` // bytes that come free when only this image goes
	Data        int64         `json:"bytesData"`  // bytes of its own big data: manifest, config, record
	Bytes       int64         `json:"bytes"`      // bytes that the plan frees with this image: shared layers count with the last image on them; 0 when it stays
}

// LayerBytes is a layer that comes free.
type LayerBytes struct {
	ID    string `json:"id"`
	Bytes int64  `json:"bytes"`
}

// LeftoverKind tells what a leftover is.
type LeftoverKind string

// Kinds of leftovers. Image records without a manifest are not here: they are
// images, decided with the reason Incomplete.
const (
	LeftoverLayer    LeftoverKind = "layer"    // a layer that no image and no container uses
	LeftoverDownload LeftoverKind = "download" // the directory of a download, or a partial blob, whose owner is dead
)

// Leftover is something that interrupted work left.
type Leftover struct {
	Kind  LeftoverKind `json:"kind"`
	ID    string       `json:"id"` // layer ID, or the directory's path
	Goes  bool         `json:"goes"`
	Since time.Time    `json:"since,omitzero"`
	Bytes int64        `json:"bytes"` // 0 when it stays
}

// Removals returns the decisions about images that go.
func (p *Plan) Removals() []Decision {
	for i := range p.Images {
		if !p.Images[i].Goes {
			return p.Images[:i]
		}
	}
	return p.Images
}

// LostNames returns every name that goes with an image.
func (p *Plan) LostNames() []string {
	var names []string
	for _, d := range p.Removals() {
		names = append(names, d.Names...)
	}
	return names
}

// Empty tells whether the plan removes nothing.
func (p *Plan) Empty() bool {
	return len(p.Removals()) == 0 && !slices.ContainsFunc(p.Leftovers, func(l Leftover) bool { return l.Goes })
}

// String returns one line for each image and leftover. Names come from images
// and are quoted; nothing in it can steer a terminal.
func (p *Plan) String() string {
	var b strings.Builder
	for i := range p.Images {
		d := &p.Images[i]
		fmt.Fprintf(&b, "%s %.12s %s", verb(d.Goes), d.ID, d.Reason)
		if d.By != "" {
			fmt.Fprintf(&b, " %q", d.By)
		}
		for _, name := range d.Names {
			fmt.Fprintf(&b, " %q", name)
		}
		if d.Was != "" {
			fmt.Fprintf(&b, " was %q", d.Was)
		}
		fmt.Fprintf(&b, " %d bytes\n", d.Bytes)
	}
	for i := range p.Leftovers {
		l := &p.Leftovers[i]
		fmt.Fprintf(&b, "%s %s %q %d bytes\n", verb(l.Goes), l.Kind, l.ID, l.Bytes)
	}
	fmt.Fprintf(&b, "%d bytes come free\n", p.Bytes)
	return b.String()
}

func verb(goes bool) string {
	if goes {
		return "remove"
	}
	return "keep"
}
