package engine

import (
	"context"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// ListOptions says which images to list and in which order. The zero value
// lists what podman lists: all but intermediate images, newest build first.
type ListOptions struct {
	All     bool // intermediate images too: without a name, but with images built on them
	Filters []query.Filter
	Names   []string // only images that the user means by one of these; nil means all
	Sort    string   // created, id, repository, size or tag; "" means created
	Brief   bool     // Native is what configs say: no program is looked at
	Table   bool     // ParentId, RepoDigests, Containers and Dangling, which no table has, are left empty
}

// ListedImage is one image of a listing. Field names are stable: templates
// and scripts use them. The JSON has podman's keys with podman's values, in
// podman's order, and mpull's own behind them.
type ListedImage struct {
	Id             string            `json:"Id"`
	ParentId       string            `json:"ParentId"` // the image that it was built on, "" when that is not here
	RepoTags       []string          `json:"RepoTags"` // Names, as podman has it: digest names too
	RepoDigests    []string          `json:"RepoDigests"`
	Size           int64             `json:"Size"`       // bytes, as podman counts them
	SharedSize     int64             `json:"SharedSize"` // 0, as podman has it; see mpull df
	VirtualSize    int64             `json:"VirtualSize"`
	Labels         map[string]string `json:"Labels"`
	Containers     int               `json:"Containers"` // of any tool, made from it
	Names          []string          `json:"Names"`
	Digest         digest.Digest     `json:"Digest"`
	History        []string          `json:"History"` // names it had, newest first
	IsManifestList bool              `json:"IsManifestList"`
	Arch           string            `json:"Arch"`
	Os             string            `json:"Os"`
	Created        int64             `json:"Created"`   // when it was built, in seconds since 1970
	CreatedAt      time.Time         `json:"CreatedAt"` // the same, as a time
	Dangling       bool              `json:"Dangling"`
	ReadOnly       bool              `json:"ReadOnly"`

	ID         string               `json:"ID"`
	Repository string               `json:"Repository"` // "<none>" without a name
	Tag        string               `json:"Tag"`        // "<none>" without a tag
	Platform   string               `json:"Platform"`   // os/arch[/variant], "" when not known
	Native     bool                 `json:"Native"`     // the host runs that platform without emulation
	Digests    []digest.Digest      `json:"Digests"`
	Displaced  []store.Displacement `json:"Displaced"`
	Pinned     bool                 `json:"Pinned"`             // by CRI-O's configuration
	PinnedBy   string               `json:"PinnedBy,omitempty"` // the pattern in it
	Problem    string               `json:"Problem,omitempty"`  // why the image cannot be read
	Schema1    bool                 `json:"Schema1,omitempty"`  // in Docker's old schema 1 format
}

// Images lists local images by podman's rule: one entry for each tag of an
// image, else one for its digest names, or one with <none> without any name.
func (e *Engine) Images(ctx context.Context, o ListOptions) (rows []ListedImage, err error) {
	go e.host() // to be known when the images are
	err = e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
		selected, err := e.selectImages(snap, o)
		if err != nil {
			return err
		}
		rows = e.rows(ctx, s, selected)
		return e.markPinned(rows)
	})
	if err != nil {
		return nil, err
	}
	return rows, sortRows(rows, o.Sort)
}

// selection is the context in which images are selected and shown.
type selection struct {
	images       []*store.Image
	view         *query.View
	brief, table bool
}

func (e *Engine) selectImages(snap *store.Snapshot, o ListOptions) (selection, error) {
	s := selection{view: e.view(snap), brief: o.Brief, table: o.Table}
	wanted, err := s.view.Select(o.Names)
	if err != nil {
		return s, err
	}
	match, err := s.view.Match(o.Filters, query.Built, snap.TakenAt)
	if err != nil {
		return s, err
	}
	all := o.All || len(o.Names) > 0 || slices.ContainsFunc(o.Filters, query.Filter.Steps)
	for i := range snap.Images {
		img := &snap.Images[i]
		if (all || !s.view.Kinship().Intermediate(i)) && (wanted == nil || wanted[img.ID]) && match(img) == nil {
			s.images = append(s.images, img)
		}
	}
	return s, nil
}

func (e *Engine) rows(ctx context.Context, st *store.Store, s selection) []ListedImage {
	bytes := s.view.Sizes()
	kinOf := func(*ListedImage, *store.Image) {}
	if !s.table {
		kin, parents, containers := s.view.Kinship(), s.view.Parents(), s.view.Containers()
		kinOf = func(row *ListedImage, img *store.Image) {
			row.ParentId, row.RepoDigests, row.Containers = parents(img), repoDigests(img), containers[img.ID]
			row.Dangling = kin.Dangling(kin.At(img))
		}
	}
	shelf := &preflight.Shelf{Room: shelfRoom}
	defer shelf.Close() //nolint:errcheck // nothing was written
	each := make([]ListedImage, len(s.images))
	store.Each(context.WithoutCancel(ctx), len(each), func(i int) { // ctx ends what looks at files
		img, row := s.images[i], &each[i]
		*row = ListedImage{
			ID: img.ID, Id: img.ID, RepoTags: img.Names,
			Digest: img.Digest, Platform: img.Platform(), Created: img.Created.Unix(), CreatedAt: time.Unix(img.Created.Unix(), 0).UTC(),
			Size: bytes.Of(img), VirtualSize: bytes.Of(img), IsManifestList: img.IsList,
			Names: img.Names, ReadOnly: img.ReadOnly, Digests: img.Digests,
			History: img.NamesHistory, Displaced: img.Displaced, Schema1: img.Schema1, Native: e.runs(ctx, st, s, img, shelf),
		}
		kinOf(row, img)
		if img.Config != nil {
			row.Labels, row.Arch, row.Os = img.Config.Labels, img.Config.Architecture, img.Config.OS
		}
		if img.ConfigError != nil {
			row.Problem = img.ConfigError.Error()
		}
	})
	rows := make([]ListedImage, 0, len(each))
	for _, row := range each {
		rows = appendNames(rows, row)
	}
	return rows
}

// markPinned marks what CRI-O's configuration pins: an image, so each of its names.
func (e *Engine) markPinned(rows []ListedImage) error {
	config, err := e.config.Store.CRIO.Config()
	if err != nil || !config.Present() {
		return err
	}
	for i := range rows {
		rows[i].PinnedBy = config.Pins(rows[i].Names...)
		rows[i].Pinned = rows[i].PinnedBy != ""
	}
	return nil
}

// shelfRoom is how many of the layers that images share stay open during a listing.
const shelfRoom = 128

// runs tells whether the host runs an image without emulation. That is asked of
// its program, which may be for another platform than its config says; so the
// listing says what check does.
func (e *Engine) runs(ctx context.Context, st *store.Store, s selection, img *store.Image, shelf *preflight.Shelf) bool {
	if img.Config == nil {
		return false
	}
	on, actual := e.host(), ""
	facts := on.Facts()
	if !s.brief {
		err := e.onFiles(st, img, s.view.Sizes().Layers(img), CheckOptions{shelf: shelf}, func(root preflight.RootFS, command preflight.Command) {
			actual = preflight.Actual(ctx, root, command, on)
		})
		if p, wrong := platform.Parse(actual); err == nil && wrong == nil {
			return facts.Native(p)
		}
	}
	return facts.Native(query.PlatformOf(img))
}

// appendNames adds the rows of an image. A digest name has a row only where no
// tag has one, and all of them share it.
func appendNames(rows []ListedImage, row ListedImage) []ListedImage {
	row.Repository, row.Tag = query.None, query.None
	tagged := false
	for _, name := range row.Names {
		repository, tag := query.Split(name)
		if tag == query.None {
			if !tagged && row.Repository == query.None {
				row.Repository = repository
			}
			continue
		}
		tagged = true
		one := row
		one.Repository, one.Tag = repository, tag
		rows = append(rows, one)
	}
	if !tagged {
		rows = append(rows, row)
	}
	return rows
}

func sortRows(rows []ListedImage, key string) error {
	order, err := query.ParseSort(key)
	if err != nil {
		return err
	}
	row := func(l ListedImage) query.Row {
		return query.Row{Created: l.CreatedAt, ID: l.ID, Repository: l.Repository, Tag: l.Tag, Size: l.Size}
	}
	slices.SortStableFunc(rows, func(a, b ListedImage) int { return order(row(a), row(b)) })
	return nil
}

// Exists tells whether an input means a local image.
func (e *Engine) Exists(ctx context.Context, input string) (here bool, err error) {
	err = e.read(ctx, func(_ *store.Store, snap *store.Snapshot) error {
		_, err := e.view(snap).Find(input)
		if query.IsUnknown(err) {
			return nil
		}
		here = err == nil
		return err
	})
	return here, err
}
