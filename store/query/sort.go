package query

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Row is what a listing is sorted by.
type Row struct {
	Created         time.Time
	ID              string
	Repository, Tag string
	Size            int64
}

// SortKeys are what ParseSort takes.
func SortKeys() []string { return []string{"created", "id", "repository", "size", "tag"} }

// ParseSort returns the order of a key, "" for created: the newest first, all
// other keys the smallest first. A repository's rows are ordered by tag, as
// podman has it.
func ParseSort(key string) (func(a, b Row) int, error) {
	switch key {
	case "", "created":
		return func(a, b Row) int { return b.Created.Compare(a.Created) }, nil
	case "id":
		return func(a, b Row) int { return cmp.Compare(a.ID, b.ID) }, nil
	case "repository":
		return func(a, b Row) int { return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Tag, b.Tag)) }, nil
	case "size":
		return func(a, b Row) int { return cmp.Compare(a.Size, b.Size) }, nil
	case "tag":
		return func(a, b Row) int { return cmp.Compare(a.Tag, b.Tag) }, nil
	}
	return nil, fmt.Errorf("cannot sort by %q: use %s", key, strings.Join(SortKeys(), ", "))
}
