package query

import (
	"testing"
	"time"

	"github.com/mpull/mpull/store"
)

func TestParseAge(t *testing.T) {
	const day, hour = 24 * time.Hour, time.Hour
	for text, want := range map[string]time.Duration{
		"12h": 12 * hour, "30d": 30 * day, "2w": 14 * day, "1w2d": 9 * day, "1d12h": 36 * hour, "1.5d": 36 * hour, "1w2d3h4m5s": 9*day + 3*hour + 245*time.Second,
		"1d0s": day, "0d": 0, "-5h": -5 * hour, "0d5h": 5 * hour,
		"36500d": maxAge, "73000d": 2 * maxAge, "1752000h": 2 * maxAge, "999999w": 2 * maxAge,
	} {
		if got, ok := ParseAge(text); !ok || got != want {
			t.Errorf("ParseAge(%q) = %s, %t, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "0", "d", "5", "1d-5h", "1h1d", "1d1w", "x", "1752001h", "1d1752001h", "1 d", "d1"} {
		if got, ok := ParseAge(text); ok {
			t.Errorf("ParseAge(%q) = %s", text, got)
		}
	}
}

// TestParseMoment takes ages up to a century, dates in local time, and Unix
// seconds up to the year 5138.
func TestParseMoment(t *testing.T) {
	day := time.Date(2026, 6, 30, 0, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"1h": now.Add(-time.Hour), "1h ago": now.Add(-time.Hour), "1ns": now.Add(-1), "36500d": now.Add(-maxAge),
		"2026-06-30": day, "2026-06-30T12": day.Add(12 * time.Hour), "2026-06-30 12:01": day.Add(12*time.Hour + time.Minute), "2026-06-30T12:00:01": day.Add(12*time.Hour + time.Second),
		"2026-06-30Z": time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC), "2026-06-30T02:00:00+02:00": time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC),
		"0": time.Unix(0, 0), "1.5": time.UnixMilli(1500), "99999999999": time.Unix(99999999999, 0),
	} {
		got, err := ParseMoment(text)
		if err != nil || !got.Before(now).Equal(want) {
			t.Errorf("%q is %s, not %s: %v", text, got.Before(now), want, err)
		}
	}
	for _, text := range []string{"", "0d", "-1h", "36501d", "36500d1s", "999999w", "-1", "100000000000", "1e11", "NaN", "ago", "2026-13-01", "1d-5h"} {
		if got, err := ParseMoment(text); err == nil {
			t.Errorf("%q is taken as %s", text, got.Before(now))
		}
	}
}

// TestSince counts from the loss of the last name, else from the pull, and says
// when neither is known.
func TestSince(t *testing.T) {
	at := func(h int) time.Time { return now.Add(time.Duration(h) * time.Hour) }
	lost := []store.Displacement{{Name: "a:1", At: at(-2)}, {Name: "b:1", At: at(-1)}}
	v := New(&store.Snapshot{Layers: []store.Layer{{ID: "l", Created: at(-9)}}}, nil)
	for _, tt := range []struct {
		name string
		img  store.Image
		want time.Time
	}{
		{"it lost its names", store.Image{TopLayer: "l", Displaced: lost}, at(-1)},
		{"it has another", store.Image{TopLayer: "l", Displaced: lost, Names: []string{"c:1"}}, at(-9)},
		{"another tool took it", store.Image{TopLayer: "l", NamesHistory: []string{"a:1"}}, at(-9)},
		{"it never had one", store.Image{TopLayer: "l"}, at(-9)},
		{"it has no layers", store.Image{Created: at(-7)}, at(-7)},
		{"its layer is gone", store.Image{Created: at(-7), TopLayer: "gone"}, time.Time{}},
	} {
		if got := v.Since(&tt.img); !got.Equal(tt.want) {
			t.Errorf("%s: %s, not %s", tt.name, got, tt.want)
		}
	}
}
