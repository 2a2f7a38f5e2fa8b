package engine

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// Filter is one --filter of a listing: key=value or key!=value.
type Filter struct {
	Key    string
	Value  string
	Negate bool
}

// filterKeys are the keys of a listing's filters, podman's and platform.
func filterKeys() []string {
	return []string{"after", "before", "dangling", "digest", "id", "intermediate", "label", "platform", "readonly", "reference", "since", "until"}
}

// ParseFilter reads one filter.
func ParseFilter(s string) (Filter, error) {
	key, value, ok := strings.Cut(s, "=")
	f := Filter{Key: key, Value: value}
	if trimmed, negated := strings.CutSuffix(key, "!"); negated {
		f.Key, f.Negate = trimmed, true
	}
	if !ok || !slices.Contains(filterKeys(), f.Key) {
		return f, fmt.Errorf("unknown filter %q: use one of %s, as key=value or key!=value", s, strings.Join(filterKeys(), ", "))
	}
	return f, nil
}

// matcher compiles filters to one function. As in podman, several references
// are alternatives and everything else must hold together.
func (e *Engine) matcher(snap *store.Snapshot, kin map[string]gc.Kin, filters []Filter) (func(*store.Image) bool, error) {
	var all, references []func(*store.Image) bool
	for _, f := range filters {
		match, err := e.compile(snap, kin, f)
		if err != nil {
			return nil, err
		}
		switch {
		case f.Negate:
			all = append(all, func(img *store.Image) bool { return !match(img) })
		case f.Key == "reference":
			references = append(references, match)
		default:
			all = append(all, match)
		}
	}
	return func(img *store.Image) bool {
		for _, match := range all {
			if !match(img) {
				return false
			}
		}
		return len(references) == 0 || slices.ContainsFunc(references, func(m func(*store.Image) bool) bool { return m(img) })
	}, nil
}

func (e *Engine) compile(snap *store.Snapshot, kin map[string]gc.Kin, f Filter) (func(*store.Image) bool, error) {
	switch f.Key {
	case "dangling", "intermediate", "readonly":
		want, err := strconv.ParseBool(f.Value)
		if err != nil {
			return nil, fmt.Errorf("filter %s=%q: use true or false", f.Key, f.Value)
		}
		return func(img *store.Image) bool { return state(img, kin, f.Key) == want }, nil
	case "after", "since", "before":
		pivot, _, err := e.lookup(snap, f.Value)
		if err != nil {
			return nil, fmt.Errorf("filter %s=%q: %w", f.Key, f.Value, err)
		}
		if f.Key == "before" {
			return func(img *store.Image) bool { return img.Created.Before(pivot.Created) }, nil
		}
		return func(img *store.Image) bool { return img.Created.After(pivot.Created) }, nil
	case "until":
		until, err := ParseTime(f.Value, snap.TakenAt)
		if err != nil {
			return nil, fmt.Errorf("filter until=%q: %w", f.Value, err)
		}
		return func(img *store.Image) bool { return img.Created.Before(until) }, nil
	case "platform":
		pattern, err := platform.ParsePattern(f.Value)
		if err != nil {
			return nil, fmt.Errorf("filter platform=%q: %w", f.Value, err)
		}
		return func(img *store.Image) bool { return img.Config != nil && pattern.Match(platformOf(img)) }, nil
	case "label":
		return func(img *store.Image) bool { return hasLabel(img, f.Value) }, nil
	case "reference":
		return func(img *store.Image) bool { return matchReference(f.Value, img.Names) }, nil
	case "digest":
		return func(img *store.Image) bool {
			return slices.ContainsFunc(img.Digests, func(d digest.Digest) bool { return strings.HasPrefix(d.String(), f.Value) })
		}, nil
	}
	return func(img *store.Image) bool { return strings.HasPrefix(img.ID, strings.TrimPrefix(f.Value, "sha256:")) }, nil // id
}

func state(img *store.Image, kin map[string]gc.Kin, key string) bool {
	switch key {
	case "dangling":
		return kin[img.ID].Dangling
	case "intermediate":
		return len(img.Names) == 0 && kin[img.ID].Child != ""
	}
	return img.ReadOnly
}

// hasLabel matches key or key=value.
func hasLabel(img *store.Image, filter string) bool {
	if img.Config == nil {
		return false
	}
	key, value, exact := strings.Cut(filter, "=")
	have, ok := img.Config.Labels[key]
	return ok && (!exact || have == value)
}

// matchReference tells whether one of the names fits a pattern as podman has
// it: a glob over the whole name, or over the end of it that begins after a
// slash, with or without the tag.
func matchReference(pattern string, names []string) bool {
	for _, name := range names {
		for _, form := range [...]string{name, repoOf(name)} {
			for {
				if ok, err := path.Match(pattern, form); err == nil && ok {
					return true
				}
				_, rest, found := strings.Cut(form, "/")
				if !found {
					break
				}
				form = rest
			}
		}
	}
	return false
}

// ParseTime reads a moment: a duration before now ("24h", "10m"), a number of
// seconds since 1970, or a time in one of the forms that podman takes.
func ParseTime(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(n, 0), nil
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("use a duration such as 24h or a time such as 2026-01-02T15:04:05")
}

// ParseSize reads a number of bytes: 10GB, 512MiB, 1000.
func ParseSize(s string) (int64, error) {
	n, err := units.FromHumanSize(s)
	if err != nil {
		n, err = units.RAMInBytes(s)
	}
	if err != nil || n < 0 {
		return 0, fmt.Errorf("cannot read %q as a size: use a number of bytes or a form such as 500MB or 2GiB", s)
	}
	return n, nil
}
