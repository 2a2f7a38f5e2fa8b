package query

import (
	"slices"
	"time"

	"github.com/mpull/mpull/store"
)

// Lost is how an image lost one name.
type Lost struct {
	Name      string      `json:"name"`
	At        time.Time   `json:"at,omitzero"`       // zero when another tool moved it
	By        store.Party `json:"by,omitzero"`       // who has taken it; zero when it was removed
	Command   string      `json:"command,omitempty"` // of mpull
	OtherTool bool        `json:"otherTool"`         // only the store's history of names knows of it
}

// LostBy lists the names that an image had and does not have, the last that it
// lost first: those of its record, then those that only the store's history
// knows of, which has no times.
func LostBy(img *store.Image) []Lost {
	if len(img.Displaced) == 0 && len(img.NamesHistory) == 0 {
		return nil
	}
	var lost []Lost
	seen := make(map[string]bool, len(img.Names))
	for _, n := range img.Names {
		seen[n] = true
	}
	for i := range img.Displaced {
		if d := &img.Displaced[i]; !seen[d.Name] {
			lost = append(lost, Lost{Name: d.Name, At: d.At, By: d.By, Command: d.Command})
		}
	}
	slices.Reverse(lost) // of one moment, the entry written last comes first
	slices.SortStableFunc(lost, func(a, b Lost) int { return b.At.Compare(a.At) })
	for _, l := range lost {
		seen[l.Name] = true
	}
	for _, n := range img.NamesHistory {
		if !seen[n] {
			seen[n] = true
			lost = append(lost, Lost{Name: n, OtherTool: true})
		}
	}
	return lost
}

// LostNames are the names of LostBy.
func LostNames(img *store.Image) []string {
	var names []string
	for _, l := range LostBy(img) {
		names = append(names, l.Name)
	}
	return names
}
