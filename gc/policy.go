package gc

import (
	"cmp"
	"fmt"
	"time"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// Defaults of Policy.
const (
	// DefaultMinAge spares an image that never had a name while it may belong
	// to a pull by another tool: that tool creates the image first and names it
	// afterwards, and takes no lock of mpull's.
	DefaultMinAge = 10 * time.Minute
	// DefaultLeftoverAge is the age after which containers/storage too takes
	// an unreferenced layer for garbage (LayerUnreferencedMaximumAge).
	DefaultLeftoverAge = 24 * time.Hour
)

// Policy says what a prune may remove. The zero value removes dangling images
// and old leftovers, as podman's "image prune" does.
type Policy struct {
	// All also removes images that have names, parents and members of
	// manifest lists, unless a container uses them ("image prune --all").
	All bool
	// Filters that an image must match to go. Filters of one key: label and
	// until must all match; of reference, platform and was one must match, and
	// of their negations all. Leftovers match no filter.
	Filters []query.Filter
	// Names says what short names in Filters stand for.
	Names query.Resolver
	// Keep spares, for each former name and platform, the images displaced (or
	// pulled) last. With All the holders of a name are counted too. Images
	// that never had a name are not counted. 0 spares none.
	Keep int
	// Free stops when this many bytes come free: leftovers first, then images
	// in the order of their displacement, oldest first. 0 means no target.
	Free int64
	// Enough says that the target is reached already: nothing goes.
	Enough bool
	// Spares tells why an image stays whatever else is said, and by which rule
	// of the user's; "" for all others. nil spares none.
	Spares func(img *store.Image) (reason Reason, by string)
	// Grace spares, with All, what came less than this ago, counted from its
	// top layer, or was Touched since: another tool may have pulled it to make a
	// container of it, and pulls under way rely on its layers. 0 spares none.
	Grace time.Duration
	// Touched tells when an image was last written, as by a pull of one that was
	// here already, zero when nobody knows. It is asked only for Grace; nil means
	// never.
	Touched func(img *store.Image) time.Time
	// MinAge spares younger images that never had a name; their age counts
	// from their top layer. 0 means DefaultMinAge, less than 0 no age.
	MinAge time.Duration
	// LeftoverAge spares younger leftovers and incomplete images. 0 means
	// DefaultLeftoverAge, less than 0 no age.
	LeftoverAge time.Duration
	// Downloads are directories of downloads, and partial blobs, whose owner is
	// dead.
	Downloads []store.Download
	// AllDownloads removes those whatever their age and the Filters.
	AllDownloads bool
	// Measure gives the bytes on disk; nil means estimates: the sizes in the
	// layers' records. It is asked only about what may come free.
	Measure Measure
}

// Measure tells how many bytes of disk something takes. *store.Usage is one.
type Measure interface {
	Layer(id string) int64 // a layer's directory and what belongs to it
	Image(id string) int64 // an image's big data, without its layers
}

func (p *Policy) resolve() error {
	if p.Keep < 0 {
		return fmt.Errorf("keeping %d images of each name: the number must not be negative", p.Keep)
	}
	if p.Free < 0 {
		return fmt.Errorf("freeing %d bytes: the number must not be negative", p.Free)
	}
	if p.Grace < 0 {
		return fmt.Errorf("a grace of %s: it must not be negative", p.Grace)
	}
	p.MinAge = max(0, cmp.Or(p.MinAge, DefaultMinAge))
	p.LeftoverAge = max(0, cmp.Or(p.LeftoverAge, DefaultLeftoverAge))
	return nil
}

// older tells whether something that exists since at is at least age old. An
// unknown or a future time is not old.
func older(at, now time.Time, age time.Duration) bool {
	return age == 0 || !at.IsZero() && now.Sub(at) >= age
}
