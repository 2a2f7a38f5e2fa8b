package query

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mpull/mpull/store"
)

// Moment is a point in time as a user writes it: an age, which counts back from
// now, or a fixed time.
type Moment struct {
	age time.Duration // 0 for a fixed time
	at  time.Time
}

// Before returns the point in time, seen from now.
func (m Moment) Before(now time.Time) time.Time {
	if m.age > 0 {
		return now.Add(-m.age)
	}
	return m.at
}

// maxAge is some centuries less than what a time.Duration can hold.
const maxAge = 36500 * 24 * time.Hour

// longUnits are what time.ParseDuration does not know: a number of days or
// weeks, which may stand before the rest, as in 1d12h.
var longUnits = regexp.MustCompile(`^(?:(\d{1,6}(?:\.\d{1,6})?)w)?(?:(\d{1,6}(?:\.\d{1,6})?)d)?(.*)$`)

// ParseMoment reads an age (10m, 12h, 30d, 2w, 1d12h, with or without "ago"), an
// RFC 3339 time, a date, a date with a time of day, or Unix seconds. What has no
// zone is local time, as in podman.
func ParseMoment(text string) (Moment, error) {
	if age, ok := ParseAge(strings.TrimSpace(strings.TrimSuffix(text, "ago"))); ok {
		if age <= 0 || age > maxAge {
			return Moment{}, errors.New("the age must be more than nothing, and less than a century")
		}
		return Moment{age: age}, nil
	}
	for _, layout := range [...]string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04",
		"2006-01-02T15", "2006-01-02Z07:00", time.DateOnly,
	} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return Moment{at: t}, nil
		}
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && n >= 0 && n < 1e11 {
		return Moment{at: time.UnixMilli(int64(n * 1000))}, nil
	}
	return Moment{}, errors.New("use an age such as 12h or 30d, a date, an RFC 3339 time or Unix seconds")
}

// ParseAge reads an age such as 12h, 30d or 2w, in the units of
// time.ParseDuration and longer ones.
func ParseAge(text string) (time.Duration, bool) {
	m := longUnits.FindStringSubmatch(text)
	if m == nil || text == "" || text == "0" {
		return 0, false
	}
	var hours float64
	for i, unit := range [...]float64{7 * 24, 24} {
		if n, err := strconv.ParseFloat(m[i+1], 64); err == nil {
			hours += n * unit
		}
	}
	if hours > (2 * maxAge).Hours() {
		return 2 * maxAge, true
	}
	age := time.Duration(hours * float64(time.Hour))
	if m[3] == "" {
		return age, true
	}
	rest, err := time.ParseDuration(m[3])
	if err != nil || age > 0 && rest < 0 || rest > 2*maxAge {
		return 0, false
	}
	return age + rest, true
}

// Since returns when an image lost its last name; of one that has a name, or
// lost it to another tool, when it was pulled: when its top layer was made. It
// is zero when that is not known. An image without layers has only the time
// that its config claims.
func (v *View) Since(img *store.Image) time.Time {
	if lost := LostBy(img); len(img.Names) == 0 && len(lost) > 0 && !lost[0].At.IsZero() {
		return lost[0].At
	}
	return v.Pulled(img)
}

// Pulled returns when an image came, zero when that is not known.
func (v *View) Pulled(img *store.Image) time.Time {
	if img.TopLayer == "" {
		return img.Created
	}
	if l := v.Sizes().layers[img.TopLayer]; l != nil {
		return l.Created
	}
	return time.Time{}
}
