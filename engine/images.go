package engine

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

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
	Pinned     bool                 `json:"Pinned"`             // by CRI-O's configuration
	PinnedBy   string               `json:"PinnedBy,omitempty"` // the pattern in it
	Problem    string               `json:"Problem,omitempty"`  // why the image cannot be read
	Schema1    bool                 `json:"Schema1,omitempty"`  // in Docker's old schema 1 format

	image *store.Image
}

// Images lists local images, one entry for each name of an image as podman
// has it, or one with <none> for an image without names.
func (e *Engine) Images(ctx context.Context, o ListOptions) ([]ListedImage, error) {
	go e.Host() // to be known when the images are
	var rows []ListedImage
	err := e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
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
	images []*store.Image
	view   *query.View
	brief  bool
}

func (e *Engine) selectImages(snap *store.Snapshot, o ListOptions) (selection, error) {
	s := selection{view: e.view(snap), brief: o.Brief}
	wanted, err := s.view.Select(o.Names)
	if err != nil {
		return s, err
	}
	match, err := s.view.Match(o.Filters, query.Built, snap.TakenAt)
	if err != nil {
		return s, err
	}
	all := o.All || len(o.Names) > 0
	for i := range snap.Images {
		img := &snap.Images[i]
		if (all || !s.view.Kinship().Intermediate(i)) && (wanted == nil || wanted[img.ID]) && match(img) == nil {
			s.images = append(s.images, img)
		}
	}
	return s, nil
}

func (e *Engine) rows(ctx context.Context, st *store.Store, s selection) []ListedImage {
	bytes, kin, native := s.view.Sizes(), s.view.Kinship(), e.runs(ctx, st, s)
	rows := []ListedImage{}
	for i, img := range s.images {
		row := ListedImage{
			ID: img.ID, Digest: img.Digest, Platform: img.Platform(), Created: img.Created.UTC(), Size: bytes.Of(img),
			Names: img.Names, Dangling: kin.Dangling(kin.At(img)), ReadOnly: img.ReadOnly, Digests: img.Digests,
			History: img.NamesHistory, Displaced: img.Displaced, Schema1: img.Schema1, image: img, Native: native[i],
		}
		if img.Config != nil {
			row.Labels = img.Config.Labels
		}
		if img.ConfigError != nil {
			row.Problem = img.ConfigError.Error()
		}
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

// runs tells of each image whether the host runs it without emulation. That
// is asked of its program, which may be for another platform than its config
// says; so the listing says what check does.
func (e *Engine) runs(ctx context.Context, st *store.Store, s selection) []bool {
	host, native := e.Host(), make([]bool, len(s.images))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, img := range s.images {
		if img.Config == nil {
			continue
		}
		if native[i] = host.Native(query.PlatformOf(img)); s.brief {
			continue
		}
		g.Go(func() error {
			actual := ""
			err := onFiles(st, img, CheckOptions{}, func(root preflight.RootFS, command preflight.Command) {
				actual = preflight.Actual(ctx, root, command, host)
			})
			if p, wrong := platform.Parse(actual); err == nil && wrong == nil {
				native[i] = host.Native(p)
			}
			return nil
		})
	}
	_ = g.Wait() // none fails
	return native
}

// appendNames adds a row for each name of an image.
func appendNames(rows []ListedImage, row ListedImage) []ListedImage {
	if len(row.Names) == 0 {
		row.Repository, row.Tag = query.None, query.None
		return append(rows, row)
	}
	for _, name := range row.Names {
		row.Repository, row.Tag = query.Split(name)
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
		return query.Row{Created: l.Created, ID: l.ID, Repository: l.Repository, Tag: l.Tag, Size: l.Size}
	}
	slices.SortStableFunc(rows, func(a, b ListedImage) int { return order(row(a), row(b)) })
	return nil
}
