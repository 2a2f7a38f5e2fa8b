package gc

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/mpull/mpull/store"
)

// Filter is one condition on the images that may go. Make it with ParseFilter.
type Filter struct {
	key    string
	negate bool
	value  string
	age    time.Duration // until, when a duration was given
	at     time.Time     // until, when a time was given
}

// maxFilter bounds a filter's text, which may come from a unit file or an API.
const maxFilter = 4096

// ParseFilter reads KEY=VALUE or KEY!=VALUE.
//
//	until      a duration (10m, 12h, 30d), an RFC 3339 time, a date or Unix
//	           seconds: since the displacement, else the pull, of the image
//	label      NAME or NAME=VALUE, * in NAME as in podman
//	reference  a pattern on names the image has or had, in podman's forms: with
//	           or without domain, path, tag; * ? [] match within a component
//	was        the same on names that the image lost
//	platform   OS/ARCH[/VARIANT], patterns allowed; without a variant any is
//	           matched
//
// Times without a zone are local ones, as in podman.
func ParseFilter(text string) (Filter, error) {
	if len(text) > maxFilter {
		return Filter{}, fmt.Errorf("filter of %d characters: more than %d", len(text), maxFilter)
	}
	key, value, ok := strings.Cut(text, "=")
	if !ok || value == "" {
		return Filter{}, fmt.Errorf("filter %q: want KEY=VALUE or KEY!=VALUE, e.g. until=30d", text)
	}
	f := Filter{key: strings.TrimSuffix(key, "!"), negate: strings.HasSuffix(key, "!"), value: value}
	var err error
	switch f.key {
	case "until":
		f.age, f.at, err = parseUntil(value)
	case "label":
		if strings.HasPrefix(value, "=") {
			err = errors.New("the label has no name")
		}
	case "reference", "was":
		_, err = path.Match(value, "")
	case "platform":
		if n := strings.Count(value, "/"); n < 1 || n > 2 {
			err = errors.New("want OS/ARCH or OS/ARCH/VARIANT, e.g. linux/arm/v7")
		} else {
			_, err = path.Match(value, "")
		}
	default:
		err = errors.New("unknown key; known are until, label, reference, was, platform")
	}
	if err != nil {
		return Filter{}, fmt.Errorf("filter %q: %w", text, err)
	}
	return f, nil
}

// String returns the text that ParseFilter reads.
func (f Filter) String() string {
	if f.negate {
		return f.key + "!=" + f.value
	}
	return f.key + "=" + f.value
}

// maxDays is some centuries less than what a time.Duration can hold.
const maxDays = 36500

func parseUntil(value string) (time.Duration, time.Time, error) {
	if days, ok := strings.CutSuffix(value, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 32); err == nil && n > 0 && n <= maxDays {
			return time.Duration(n) * 24 * time.Hour, time.Time{}, nil
		}
	}
	if d, err := time.ParseDuration(value); err == nil && value != "0" {
		if d <= 0 {
			return 0, time.Time{}, errors.New("the duration must be positive")
		}
		return d, time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02Z07:00", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, value, time.Local); err == nil {
			return 0, t, nil
		}
	}
	if n, err := strconv.ParseFloat(value, 64); err == nil && n >= 0 && n < 1e11 {
		return 0, time.UnixMilli(int64(n * 1000)), nil
	}
	return 0, time.Time{}, errors.New("want a duration (10m, 12h, 30d), a date, an RFC 3339 time or Unix seconds")
}

// matches tells whether an image fulfils the filter, since being its time.
func (f *Filter) matches(img *store.Image, since, now time.Time) bool {
	return f.holds(img, since, now) != f.negate
}

func (f *Filter) holds(img *store.Image, since, now time.Time) bool {
	switch f.key {
	case "until":
		before := f.at
		if f.age > 0 {
			before = now.Add(-f.age)
		}
		// An unknown time is never before: neither until nor its negation may
		// remove by it.
		if since.IsZero() {
			return f.negate
		}
		return since.Before(before)
	case "label":
		return img.Config != nil && matchLabel(f.value, img.Config.Labels)
	case "reference":
		return matchAny(f.value, img.Names) || matchAny(f.value, formerNames(img))
	case "was":
		return matchAny(f.value, formerNames(img))
	case "platform":
		return img.Config != nil && matchPlatform(f.value, img.Config)
	}
	return false
}

// alternatives tells whether one matching filter of the key is enough.
func (f *Filter) alternatives() bool {
	return !f.negate && (f.key == "reference" || f.key == "was" || f.key == "platform")
}

// failing returns the filter that keeps an image, nil when none does.
func failing(filters []Filter, img *store.Image, since, now time.Time) *Filter {
	missed := make(map[string]*Filter, len(filters))
	hit := make(map[string]bool, len(filters))
	for i := range filters {
		f := &filters[i]
		ok := f.matches(img, since, now)
		switch {
		case f.alternatives() && ok:
			hit[f.key] = true
		case f.alternatives() && missed[f.key] == nil:
			missed[f.key] = f
		case !f.alternatives() && !ok:
			return f
		}
	}
	for i := range filters {
		if f := missed[filters[i].key]; f != nil && !hit[f.key] {
			return f
		}
	}
	return nil
}

// matchLabel follows podman: NAME or NAME=VALUE, where a * in NAME finds it
// anywhere in a label's name.
func matchLabel(want string, labels map[string]string) bool {
	name, value, _ := strings.Cut(want, "=")
	noSlash := strings.NewReplacer("/", "|").Replace
	for key, have := range labels {
		if value != "" && have != value {
			continue
		}
		if key == name {
			return true
		}
		if strings.Contains(name, "*") {
			if ok, err := path.Match(noSlash("*"+name+"*"), noSlash(key)); ok && err == nil {
				return true
			}
		}
	}
	return false
}

func matchPlatform(pattern string, c *store.Config) bool {
	want := strings.Split(pattern, "/")
	have := []string{c.OS, c.Architecture, variant(c.Architecture, c.Variant)}
	if len(want) == 3 {
		want[2] = variant(want[1], want[2])
	}
	for i, w := range want {
		if ok, err := path.Match(w, have[i]); !ok || err != nil {
			return false
		}
	}
	return true
}

// variant fills in the variant that an architecture means without one, as
// containerd's platforms and with it podman read it.
func variant(arch, v string) string {
	switch {
	case v != "":
		return v
	case arch == "arm":
		return "v7"
	case arch == "arm64":
		return "v8"
	}
	return ""
}

// matchAny tells whether a pattern matches one of the names in one of the
// forms in which podman's reference filter takes a name: whole, without the
// domain, the last component; each with and without tag and digest.
func matchAny(pattern string, names []string) bool {
	for _, name := range names {
		for _, form := range nameForms(name) {
			if ok, err := path.Match(pattern, form); ok && err == nil {
				return true
			}
		}
	}
	return false
}

func nameForms(name string) []string {
	bare := repository(name)
	rest := name[len(bare):]
	_, dir, ok := strings.Cut(bare, "/")
	if !ok {
		dir = bare
	}
	base := bare[strings.LastIndexByte(bare, '/')+1:]
	forms := []string{name, bare, dir, dir + rest, base, base + rest}
	// What people type for the names of the default registry.
	if short, ok := strings.CutPrefix(bare, "docker.io/library/"); ok {
		return append(forms, "docker.io/"+short, "docker.io/"+short+rest)
	}
	return forms
}

// repository returns a name without its tag and digest.
func repository(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		return name[:colon]
	}
	return name
}
