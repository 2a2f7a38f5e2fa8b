package gc

import (
	"slices"

	"github.com/mpull/mpull/store"
)

// lastDisplaced returns the newest entry of the image's displacement record.
func lastDisplaced(img *store.Image) *store.Displacement {
	var last *store.Displacement
	for i := range img.Displaced {
		if last == nil || !img.Displaced[i].At.Before(last.At) {
			last = &img.Displaced[i]
		}
	}
	return last
}

// former returns the name that an image lost last: by its record, else by the
// library's history of names, which other tools write too, without a time.
func former(img *store.Image) (name string, byOtherTool bool) {
	if last := lastDisplaced(img); last != nil {
		return last.Name, false
	}
	for _, name := range img.NamesHistory {
		if !slices.Contains(img.Names, name) {
			return name, true
		}
	}
	return "", false
}

// formerNames returns every name that an image is known to have lost.
func formerNames(img *store.Image) []string {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) && !slices.Contains(img.Names, name) {
			names = append(names, name)
		}
	}
	for i := range img.Displaced {
		add(img.Displaced[i].Name)
	}
	for _, name := range img.NamesHistory {
		add(name)
	}
	return names
}
