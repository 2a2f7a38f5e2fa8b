package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// ListOptions says which images to list and in which order. The zero value
// lists what podman lists: all but intermediate images, newest build first.
type ListOptions struct {
	All     bool     // intermediate images too: without a name, but with images built on them
	Filters []Filter // an image must match all
	Names   []string // only images that the user means by one of these; nil means all
	Sort    string   // created, id, repository, size or tag; "" means created
}

// ListedImage is one image of a listing. Field names are stable: templates
// and scripts use them.
type ListedImage struct {
	ID         string               `json:"ID"`
	Repository string               `json:"Repository"` // "<none>" without a name
	Tag        string               `json:"Tag"`        // "<none>" without a tag
	Digest     digest.Digest        `json:"Digest"`
	Platform   string               `json:"Platform"` // os/arch[/variant], "" when not known
	Native     bool                 `json:"Native"`   // the host runs that platform without emulation
	Created    time.Time            `json:"Created"`
	Size       int64                `json:"Size"` // bytes, as podman counts them
	Names      []string             `json:"Names"`
	Dangling   bool                 `json:"Dangling"`
	ReadOnly   bool                 `json:"ReadOnly"`
	Labels     map[string]string    `json:"Labels"`
	Digests    []digest.Digest      `json:"Digests"`
	History    []string             `json:"History"` // names it had, newest first
	Displaced  []store.Displacement `json:"Displaced"`
	Problem    string               `json:"Problem,omitempty"` // why the image cannot be read

	image *store.Image
}

const none = "<none>"

// Images lists local images, one entry for each name of an image as podman
// has it, or one with <none> for an image without names.
func (e *Engine) Images(ctx context.Context, o ListOptions) ([]ListedImage, error) {
	go e.Host() // to be known when the images are
	var rows []ListedImage
	err := e.read(ctx, func(_ *store.Store, snap *store.Snapshot) error {
		selected, err := e.selectImages(snap, o)
		if err != nil {
			return err
		}
		rows = e.rows(snap, selected)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rows, sortRows(rows, o.Sort)
}

// selection is the context in which images are selected and shown.
type selection struct {
	images []*store.Image
	kin    map[string]gc.Kin
}

func (e *Engine) selectImages(snap *store.Snapshot, o ListOptions) (selection, error) {
	s := selection{kin: gc.Kinship(snap)}
	wanted, err := e.wanted(snap, o.Names)
	if err != nil {
		return s, err
	}
	match, err := e.matcher(snap, s.kin, o.Filters)
	if err != nil {
		return s, err
	}
	for i := range snap.Images {
		img := &snap.Images[i]
		intermediate := len(img.Names) == 0 && s.kin[img.ID].Child != ""
		if intermediate && !o.All && len(o.Names) == 0 || wanted != nil && !wanted[img.ID] || !match(img) {
			continue
		}
		s.images = append(s.images, img)
	}
	return s, nil
}

// wanted is the set of images that the user named; nil means all.
func (e *Engine) wanted(snap *store.Snapshot, names []string) (map[string]bool, error) {
	if len(names) == 0 {
		return nil, nil
	}
	wanted := make(map[string]bool)
	for _, n := range names {
		found := false
		for i := range snap.Images {
			if matchReference(n, snap.Images[i].Names) {
				wanted[snap.Images[i].ID] = true
				found = true
			}
		}
		if found {
			continue
		}
		img, _, err := e.lookup(snap, n)
		if err != nil && !isUnknown(err) {
			return nil, err
		}
		if img != nil {
			wanted[img.ID] = true
		}
	}
	return wanted, nil
}

func (e *Engine) rows(snap *store.Snapshot, s selection) []ListedImage {
	bytes := newSizes(snap)
	host := e.Host()
	native := make(map[platform.Platform]bool)
	rows := []ListedImage{}
	for _, img := range s.images {
		row := ListedImage{
			ID: img.ID, Digest: img.Digest, Platform: img.Platform(), Created: img.Created.UTC(), Size: bytes.of(img),
			Names: img.Names, Dangling: s.kin[img.ID].Dangling, ReadOnly: img.ReadOnly, Digests: img.Digests,
			History: img.NamesHistory, Displaced: img.Displaced, image: img,
		}
		if img.Config != nil {
			row.Labels = img.Config.Labels
			p := platformOf(img)
			runs, known := native[p]
			if !known {
				runs = host.Native(p)
				native[p] = runs
			}
			row.Native = runs
		}
		if img.ConfigError != nil {
			row.Problem = img.ConfigError.Error()
		}
		rows = appendNames(rows, row)
	}
	return rows
}

// appendNames adds a row for each name of an image.
func appendNames(rows []ListedImage, row ListedImage) []ListedImage {
	if len(row.Names) == 0 {
		row.Repository, row.Tag = none, none
		return append(rows, row)
	}
	for _, name := range row.Names {
		row.Repository, row.Tag = splitName(name)
		rows = append(rows, row)
	}
	return rows
}

// splitName parts a name into repository and tag; one with a digest has none.
func splitName(name string) (repository, tag string) {
	repository = repoOf(name)
	rest := strings.TrimPrefix(name[len(repository):], ":")
	if rest == "" || strings.HasPrefix(rest, "@") {
		return repository, none
	}
	tag, _, _ = strings.Cut(rest, "@")
	return repository, tag
}

func sortRows(rows []ListedImage, by string) error {
	orders := map[string]func(a, b ListedImage) int{
		"created":    func(a, b ListedImage) int { return b.Created.Compare(a.Created) },
		"id":         func(a, b ListedImage) int { return cmp.Compare(a.ID, b.ID) },
		"repository": func(a, b ListedImage) int { return cmp.Compare(a.Repository, b.Repository) },
		"size":       func(a, b ListedImage) int { return cmp.Compare(a.Size, b.Size) },
		"tag":        func(a, b ListedImage) int { return cmp.Compare(a.Tag, b.Tag) },
	}
	if by == "" {
		by = "created"
	}
	order := orders[by]
	if order == nil {
		return fmt.Errorf("cannot sort by %q: use created, id, repository, size or tag", by)
	}
	slices.SortStableFunc(rows, order)
	return nil
}
