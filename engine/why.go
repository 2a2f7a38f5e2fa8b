package engine

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// Story tells how images came by their names and lost them.
type Story struct {
	Name   string       `json:"name,omitempty"` // the name asked about; "" when an image was
	Images []ImageStory `json:"images"`
}

// ImageStory is one image's part of a story.
type ImageStory struct {
	ID       string       `json:"id"`
	Digest   string       `json:"digest,omitempty"`
	Platform string       `json:"platform,omitempty"`
	IsList   bool         `json:"isList"` // a local manifest list
	Names    []string     `json:"names"`  // it holds now
	Dangling bool         `json:"dangling"`
	Lost     []query.Lost `json:"lost"` // newest first
	Problem  string       `json:"problem,omitempty"`
}

// Why tells the story of an image, or of all images that hold or held a name.
func (e *Engine) Why(ctx context.Context, input string) (story *Story, err error) {
	err = e.read(ctx, func(_ *store.Store, snap *store.Snapshot) error {
		view := e.view(snap)
		name, images, err := view.Relatives(input)
		if err != nil {
			return err
		}
		kin := view.Kinship()
		story = &Story{Name: name}
		for _, img := range images {
			one := ImageStory{
				ID: img.ID, Digest: img.Digest.String(), Platform: img.Platform(), IsList: img.IsList,
				Names: img.Names, Dangling: kin.Dangling(kin.At(img)), Lost: append([]query.Lost{}, query.LostBy(img)...),
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

// Branch is a name with the images that belong to it.
type Branch struct {
	Name   string       `json:"name"`
	Images []BranchLeaf `json:"images"`
}

// BranchLeaf is one image of a Branch.
type BranchLeaf struct {
	ListedImage
	Holds bool     `json:"holds"` // it has the name now
	Kept  []string `json:"kept"`  // other names that keep it: the first few
}

// Tree lists the local images by the names that they hold or held: for each
// name the platforms that are here. An image without any name, now or before,
// is under "<none>".
func (e *Engine) Tree(ctx context.Context, o ListOptions) (tree []Branch, err error) {
	err = e.read(ctx, func(st *store.Store, snap *store.Snapshot) error {
		selected, err := e.selectImages(snap, o)
		if err != nil {
			return err
		}
		tree = branches(selected, e.rows(ctx, st, selected))
		return nil
	})
	return tree, err
}

// branches grow first from the tags, with all that belongs to each; the images that
// no tag leads to hang on their digest names.
func branches(s selection, rows []ListedImage) (tree []Branch) {
	byID, shown := map[string]ListedImage{}, map[string]bool{} // by image ID
	for _, r := range rows {
		byID[r.ID] = r
	}
	grow := func(names map[string]bool) {
		for _, name := range slices.Sorted(maps.Keys(names)) {
			tree = append(tree, branchOf(name, s.view, byID, shown))
		}
	}
	tags, others := map[string]bool{}, map[string]bool{}
	for _, img := range s.images {
		for _, n := range append(query.LostNames(img), img.Names...) {
			if _, tag := query.Split(n); tag != query.None {
				tags[n] = true
			}
		}
	}
	grow(tags)
	for _, img := range s.images {
		for _, n := range img.Names {
			if !shown[img.ID] {
				others[n] = true
			}
		}
	}
	grow(others)
	var unnamed []BranchLeaf
	for _, img := range s.images {
		if !shown[img.ID] {
			unnamed = append(unnamed, BranchLeaf{ListedImage: byID[img.ID]})
		}
	}
	if unnamed != nil {
		tree = append(tree, Branch{query.None, unnamed})
	}
	return tree
}

// branchOf is the branch of a name, and marks as shown what is on it.
func branchOf(name string, view *query.View, rows map[string]ListedImage, shown map[string]bool) Branch {
	b := Branch{Name: name}
	for _, img := range view.Family(name) {
		row, selected := rows[img.ID]
		if !selected {
			continue
		}
		shown[img.ID] = true
		leaf := BranchLeaf{ListedImage: row, Holds: slices.Contains(img.Names, name), Kept: firstOther(img.Names, name)}
		leaf.Names, leaf.RepoTags, leaf.RepoDigests, leaf.History = nil, nil, nil, nil
		b.Images = append(b.Images, leaf)
	}
	slices.SortStableFunc(b.Images, func(a, b BranchLeaf) int { return cmp.Compare(a.Platform, b.Platform) })
	return b
}

// mostKept bounds the other names on a leaf: an image of many names is on a
// branch for each of them.
const mostKept = 3

// firstOther lists the first names other than one.
func firstOther(names []string, but string) (others []string) {
	for _, n := range names {
		if n != but && len(others) < mostKept {
			others = append(others, n)
		}
	}
	return others
}
