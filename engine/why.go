package engine

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// Story tells how images came by their names and lost them.
type Story struct {
	Name   string       `json:"name,omitempty"` // the name asked about; "" when an image was
	Images []ImageStory `json:"images"`
}

// ImageStory is one image's part of a story.
type ImageStory struct {
	ID       string   `json:"id"`
	Digest   string   `json:"digest,omitempty"`
	Platform string   `json:"platform,omitempty"`
	Names    []string `json:"names"` // it holds now
	Dangling bool     `json:"dangling"`
	Lost     []Loss   `json:"lost"` // newest first
	Problem  string   `json:"problem,omitempty"`
}

// Loss is how an image lost one name.
type Loss struct {
	Name      string      `json:"name"`
	At        time.Time   `json:"at,omitzero"`       // zero when another tool moved it
	By        store.Party `json:"by,omitzero"`       // who has taken it; zero when it was removed
	Command   string      `json:"command,omitempty"` // of mpull
	OtherTool bool        `json:"otherTool"`         // only the store's history knows of it
}

// Why tells the story of an image, or of all images that hold or held a name.
func (e *Engine) Why(ctx context.Context, input string) (story *Story, err error) {
	err = e.read(ctx, func(_ *store.Store, snap *store.Snapshot) error {
		images, name, err := e.storyImages(snap, input)
		if err != nil {
			return err
		}
		kin := gc.Kinship(snap)
		story = &Story{Name: name}
		for _, img := range images {
			one := ImageStory{
				ID: img.ID, Digest: img.Digest.String(), Platform: img.Platform(),
				Names: img.Names, Dangling: kin[img.ID].Dangling, Lost: losses(img),
			}
			if img.RecordError != nil {
				one.Problem = img.RecordError.Error()
			}
			story.Images = append(story.Images, one)
		}
		return nil
	})
	return story, err
}

// storyImages finds the images that an input speaks of.
func (e *Engine) storyImages(snap *store.Snapshot, input string) ([]*store.Image, string, error) {
	img, name, err := e.lookup(snap, input)
	switch {
	case err == nil && name == "":
		return []*store.Image{img}, "", nil
	case err != nil && !isUnknown(err):
		return nil, "", err
	}
	names := []string{name}
	if name == "" {
		if names, err = e.localNames(input); err != nil {
			return nil, "", err
		}
	}
	index := newNameIndex(snap)
	for _, n := range names {
		if family := index.family(n); len(family) > 0 {
			return family, n, nil
		}
	}
	return nil, "", &UnknownImageError{Input: input}
}

// losses lists the names that an image lost, newest first: those recorded,
// then those that only the store's own history knows of.
func losses(img *store.Image) []Loss {
	lost := make([]Loss, 0, len(img.Displaced))
	recorded := map[string]bool{}
	for _, d := range img.Displaced {
		recorded[d.Name] = true
		lost = append(lost, Loss{Name: d.Name, At: d.At, By: d.By, Command: d.Command})
	}
	slices.SortStableFunc(lost, func(a, b Loss) int { return b.At.Compare(a.At) })
	for _, n := range img.NamesHistory {
		if !recorded[n] && !slices.Contains(img.Names, n) {
			lost = append(lost, Loss{Name: n, OtherTool: true})
		}
	}
	return lost
}

// Branch is a name with the images that belong to it.
type Branch struct {
	Name   string       `json:"name"`
	Images []BranchLeaf `json:"images"`
}

// BranchLeaf is one image of a Branch.
type BranchLeaf struct {
	ListedImage
	Holds bool     `json:"holds"` // it has the name now
	Kept  []string `json:"kept"`  // other names that keep it
}

// Tree lists the local images by the names that they hold or held: for each
// name the platforms that are here. An image without any name, now or before,
// is under "<none>".
func (e *Engine) Tree(ctx context.Context, o ListOptions) ([]Branch, error) {
	var tree []Branch
	err := e.read(ctx, func(_ *store.Store, snap *store.Snapshot) error {
		selected, err := e.selectImages(snap, o)
		if err != nil {
			return err
		}
		tree = e.branches(snap, selected)
		return nil
	})
	return tree, err
}

func (e *Engine) branches(snap *store.Snapshot, s selection) []Branch {
	t := &treeMaker{index: newNameIndex(snap), rows: map[string]ListedImage{}, shown: map[string]bool{}}
	for _, r := range e.rows(snap, s) {
		t.rows[r.ID] = r
	}
	tags, others := map[string]bool{}, map[string]bool{}
	var unnamed Branch
	for _, img := range s.images {
		for _, n := range append(slices.Clone(img.Names), img.NamesHistory...) {
			if _, tag := splitName(n); tag != none {
				tags[n] = true
			}
		}
	}
	t.grow(tags)
	for _, img := range s.images {
		for _, n := range img.Names {
			others[n] = !t.shown[img.ID]
		}
	}
	maps.DeleteFunc(others, func(_ string, wanted bool) bool { return !wanted })
	t.grow(others)
	for _, img := range s.images {
		if !t.shown[img.ID] {
			unnamed.Images = append(unnamed.Images, BranchLeaf{ListedImage: t.rows[img.ID]})
		}
	}
	if len(unnamed.Images) > 0 {
		unnamed.Name = none
		t.tree = append(t.tree, unnamed)
	}
	return t.tree
}

// treeMaker grows the branches of a tree. A tag's branch has all that belongs
// to the tag; images that no tag leads to hang on their digest names.
type treeMaker struct {
	index *nameIndex
	rows  map[string]ListedImage
	shown map[string]bool // by image ID
	tree  []Branch
}

func (t *treeMaker) grow(names map[string]bool) {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		b := Branch{Name: name}
		for _, img := range t.index.family(name) {
			row, selected := t.rows[img.ID]
			if !selected {
				continue
			}
			t.shown[img.ID] = true
			leaf := BranchLeaf{ListedImage: row, Holds: slices.Contains(img.Names, name)}
			leaf.Kept = slices.DeleteFunc(slices.Clone(img.Names), func(n string) bool { return n == name })
			b.Images = append(b.Images, leaf)
		}
		slices.SortStableFunc(b.Images, func(a, b BranchLeaf) int { return cmp.Compare(a.Platform, b.Platform) })
		t.tree = append(t.tree, b)
	}
}
