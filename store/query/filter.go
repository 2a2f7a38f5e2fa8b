package query

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
)

// Filter is one condition on images. Make it with ParseFilter.
type Filter struct {
	key    string
	negate bool
	value  string
	is     bool                         // of keys that are true or false
	until  Moment                       // of until
	fits   func(platform.Platform) bool // of platform
}

// maxFilter bounds a filter's text, which may come from a unit file or an API.
const maxFilter = 4096

// FilterKeys are what ParseFilter takes.
func FilterKeys() []string {
	return []string{"after", "before", "dangling", "digest", "id", "intermediate", "label", "platform", "readonly", "reference", "since", "until", "was"}
}

// ParseFilter reads KEY=VALUE or KEY!=VALUE:
//
//	until         a moment (ParseMoment), before which it was built or, for a
//	              prune, displaced or pulled: see Clock
//	before, since an image that is here: built before it, or after it; after is
//	              the same as since
//	label         NAME or NAME=VALUE, * in NAME as in podman
//	reference     a pattern on the names that the image has, in podman's forms:
//	              with or without domain, path, tag; * ? [] match within a
//	              component; or a name that Find takes
//	was           the same pattern on names that the image lost
//	platform      OS/ARCH[/VARIANT], OS or ARCH, patterns allowed; without a
//	              variant any is matched
//	digest, id    the beginning of a digest or of the ID, with or without sha256:
//	dangling, intermediate, readonly
//	              true or false
func ParseFilter(text string) (Filter, error) {
	if len(text) > maxFilter {
		return Filter{}, fmt.Errorf("filter of %d characters: more than %d", len(text), maxFilter)
	}
	key, value, ok := strings.Cut(text, "=")
	f := Filter{key: strings.TrimSuffix(key, "!"), negate: strings.HasSuffix(key, "!"), value: value}
	if !ok || !slices.Contains(FilterKeys(), f.key) {
		return Filter{}, fmt.Errorf("unknown filter %q: use one of %s, as KEY=VALUE or KEY!=VALUE, such as until=30d", text, strings.Join(FilterKeys(), ", "))
	}
	if value == "" {
		return Filter{}, fmt.Errorf("filter %q has no value: write KEY=VALUE or KEY!=VALUE", text)
	}
	if err := f.parse(); err != nil {
		return Filter{}, fmt.Errorf("filter %q: %w", text, err)
	}
	return f, nil
}

func (f *Filter) parse() (err error) {
	switch f.key {
	case "until":
		f.until, err = ParseMoment(f.value)
	case "label":
		if strings.HasPrefix(f.value, "=") {
			err = errors.New("the label has no name")
		}
	case "reference", "was":
		_, err = path.Match(f.value, "")
	case "platform":
		f.fits, err = parsePlatform(f.value)
	case "dangling", "intermediate", "readonly":
		if f.is, err = strconv.ParseBool(f.value); err != nil {
			err = errors.New("use true or false")
		}
	}
	return err
}

// String returns the text that ParseFilter reads.
func (f Filter) String() string {
	if f.negate {
		return f.key + "!=" + f.value
	}
	return f.key + "=" + f.value
}

// Steps tells whether a filter asks for intermediate images, which listings
// leave out else.
func (f Filter) Steps() bool { return f.key == "intermediate" && f.is != f.negate }

// alternatives tells whether one matching filter of the key is enough.
func (f *Filter) alternatives() bool {
	return !f.negate && (f.key == "reference" || f.key == "was" || f.key == "platform")
}

// Matcher tells which filter an image fails, nil when it passes all. Several of
// reference, of was and of platform are alternatives, as several references
// are in podman; all else must hold together.
type Matcher func(img *store.Image) *Filter

// Clock tells how long an image has been what until asks for, zero when that is
// not known. Listings count from an image's build (Built), as podman does; what
// removes images counts from when it was displaced or pulled (View.Since).
type Clock func(img *store.Image) time.Time

// Built is the Clock of listings: what the image's config claims.
func Built(img *store.Image) time.Time { return img.Created }

// Match prepares filters for the images of the view, as of now. It fails when a
// filter speaks of an image that is not here.
func (v *View) Match(filters []Filter, clock Clock, now time.Time) (Matcher, error) {
	tests := make([]func(*store.Image) bool, len(filters))
	for i := range filters {
		test, err := v.test(&filters[i], clock, now)
		if err != nil {
			return nil, fmt.Errorf("filter %q: %w", filters[i], err)
		}
		tests[i] = test
	}
	return func(img *store.Image) *Filter {
		var missed []*Filter
		hit := make(map[string]bool, 3)
		for i := range filters {
			f := &filters[i]
			ok := tests[i](img)
			switch {
			case f.alternatives() && ok:
				hit[f.key] = true
			case f.alternatives():
				missed = append(missed, f)
			case !ok:
				return f
			}
		}
		for _, f := range missed {
			if !hit[f.key] {
				return f
			}
		}
		return nil
	}, nil
}

// test returns whether an image fulfils a filter, or does not with !=.
func (v *View) test(f *Filter, clock Clock, now time.Time) (func(*store.Image) bool, error) {
	if f.key == "until" {
		before := f.until.Before(now)
		return func(img *store.Image) bool {
			at := clock(img)
			// An unknown time is neither before nor after.
			return !at.IsZero() && at.Before(before) != f.negate
		}, nil
	}
	holds, err := v.holds(f)
	if err != nil {
		return nil, err
	}
	return func(img *store.Image) bool { return holds(img) != f.negate }, nil
}

func (v *View) holds(f *Filter) (func(*store.Image) bool, error) {
	switch f.key {
	case "after", "since", "before":
		pivot, err := v.Find(f.value)
		if err != nil {
			return nil, err
		}
		if f.key == "before" {
			return func(img *store.Image) bool { return img.Created.Before(pivot.Image.Created) }, nil
		}
		return func(img *store.Image) bool { return img.Created.After(pivot.Image.Created) }, nil
	case "reference":
		meant := v.meant(f.value)
		return func(img *store.Image) bool { return img == meant || matchReference(f.value, img.Names) }, nil
	case "was":
		return func(img *store.Image) bool { return matchReference(f.value, LostNames(img)) }, nil
	case "label":
		return func(img *store.Image) bool { return img.Config != nil && matchLabel(f.value, img.Config.Labels) }, nil
	case "platform":
		return func(img *store.Image) bool { return img.Config != nil && f.fits(PlatformOf(img)) }, nil
	case "digest":
		return func(img *store.Image) bool { return HasDigest(img, f.value) || HasDigest(img, "sha256:"+f.value) }, nil
	case "id":
		return func(img *store.Image) bool { return strings.HasPrefix(img.ID, strings.TrimPrefix(f.value, "sha256:")) }, nil
	}
	return func(img *store.Image) bool { return v.state(img, f.key) == f.is }, nil
}

// Select returns the images that a user lists by words, each a pattern on names
// as in the filter reference, else whatever Find takes. One that means nothing
// selects nothing. Without words it returns nil: all are meant.
func (v *View) Select(words []string) (map[string]bool, error) {
	if len(words) == 0 {
		return nil, nil
	}
	selected := make(map[string]bool)
	for _, word := range words {
		found := v.where(func(img *store.Image) bool { return matchReference(word, img.Names) })
		if len(found) == 0 {
			one, err := v.Find(word)
			if err != nil && !IsUnknown(err) {
				return nil, err
			}
			if err == nil {
				found = append(found, one.Image)
			}
		}
		for _, img := range found {
			selected[img.ID] = true
		}
	}
	return selected, nil
}

// meant returns the image that a reference names, nil when it is a pattern or
// names none that has a name. An ID is no reference.
func (v *View) meant(value string) *store.Image {
	if parse(value).id != "" {
		return nil
	}
	found, err := v.Find(value)
	if err != nil || len(found.Image.Names) == 0 {
		return nil
	}
	return found.Image
}

func (v *View) state(img *store.Image, key string) bool {
	switch key {
	case "dangling":
		return v.Kinship().Dangling(v.Kinship().At(img))
	case "intermediate":
		return v.Kinship().Intermediate(v.Kinship().At(img))
	}
	return img.ReadOnly
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
		if strings.Contains(name, "*") && fits(noSlash("*"+name+"*"), noSlash(key)) {
			return true
		}
	}
	return false
}

// fits tells whether a text is as a pattern says. What is no pattern fits nothing.
func fits(pattern, text string) bool {
	ok, _ := path.Match(pattern, text) // false with an error
	return ok
}

// parsePlatform reads a platform, a word of one, or a pattern.
func parsePlatform(value string) (func(platform.Platform) bool, error) {
	if !strings.ContainsAny(value, `*?[\`) {
		pattern, err := platform.ParsePattern(value)
		return pattern.Match, err
	}
	want := strings.Split(value, "/")
	if len(want) > 3 {
		return nil, errors.New("use OS/ARCH or OS/ARCH/VARIANT, such as linux/arm/v7")
	}
	if _, err := path.Match(value, ""); err != nil {
		return nil, err
	}
	return func(p platform.Platform) bool { return matchFields(want, p.Normalize()) }, nil
}

// matchFields holds patterns against the fields of a platform, one alone
// against each of the first two.
func matchFields(want []string, p platform.Platform) bool {
	have := []string{p.OS, p.Architecture, p.Variant}
	if len(want) == 1 {
		return fits(want[0], p.OS) || fits(want[0], p.Architecture)
	}
	for i, w := range want {
		if !fits(w, have[i]) {
			return false
		}
	}
	return true
}

// matchReference tells whether a pattern matches one of the names in one of the
// forms in which podman's reference filter takes a name: whole, without the
// domain, the last component; each with and without tag and digest.
func matchReference(pattern string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return slices.ContainsFunc(nameForms(name), func(form string) bool { return fits(pattern, form) })
	})
}

func nameForms(name string) []string {
	bare := Repository(name)
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
