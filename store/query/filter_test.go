package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpull/mpull/store"
)

// now is the time of every test here.
var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// kinds is a store with an image for each thing that a filter asks for.
func kinds() *store.Snapshot {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	a := image("a0000000", "docker.io/library/alpine:3.15")
	a.Created, a.TopLayer, a.Config.Labels = ago(100*time.Hour), "l1", map[string]string{"stage": "dev", "vendor/name": "x", "keep.me": "1"}
	b := of(image("b0000000", "quay.io/org/team/tool:1", "localhost/tool:dev"), "arm", d("b"))
	b.Created, b.TopLayer, b.Config.Variant = ago(50*time.Hour), "l1", "v7"
	c := of(image("c0000000"), "arm64")
	c.Created, c.TopLayer, c.NamesHistory = ago(900*time.Hour), "l2", []string{"docker.io/library/alpine:3.15"}
	c.Displaced = []store.Displacement{{Name: "docker.io/library/alpine:3.15", At: ago(2 * time.Hour)}}
	c.Config.History = []store.History{{CreatedBy: "one"}}
	e := of(image("e0000000"), "amd64") // built on c
	e.Created, e.TopLayer, e.Config.History = ago(time.Hour), "l2", []store.History{{CreatedBy: "one"}, {CreatedBy: "two"}}
	f := store.Image{ID: "f0000000", ConfigError: errors.New("damaged"), TopLayer: "gone", ReadOnly: true}
	return &store.Snapshot{TakenAt: now, Images: []store.Image{a, b, c, e, f}, Layers: []store.Layer{
		{ID: "l1", Created: ago(50 * time.Hour)}, {ID: "l2", Created: ago(4 * time.Hour)},
	}}
}

// selected are the letters of the images that pass.
func selected(t *testing.T, texts ...string) string {
	t.Helper()
	v := New(kinds(), nil)
	var filters []Filter
	for _, text := range texts {
		f, err := ParseFilter(text)
		if err != nil {
			return "refused: " + err.Error()
		}
		if f.String() != text {
			t.Errorf("%q becomes %q", text, f)
		}
		filters = append(filters, f)
	}
	match, err := v.Match(filters, v.Since, now)
	if err != nil {
		return "refused: " + err.Error()
	}
	got := ""
	for i := range v.snap.Images {
		if img := &v.snap.Images[i]; match(img) == nil {
			got += strings.ToUpper(img.ID[:1])
		}
	}
	return got
}

func TestFilters(t *testing.T) {
	for _, tt := range []struct{ filters, want string }{
		{"", "ABCEF"},
		{"reference=alpine", "A"}, {"reference=alpine:3.15", "A"}, {"reference=docker.io/library/alpine", "A"},
		{"reference=docker.io/alpine:3.15", "A"}, {"reference=library/alpine", "A"}, {"reference=alp*", "A"}, {"reference=alpine:3.1?", "A"},
		{"reference=*", "AB"}, {"reference=quay.io/*", ""}, {"reference=quay.io/*/*/*", "B"}, {"reference=org/team/tool:1", "B"},
		{"reference=localhost/*", "B"}, {"reference=tool@" + d("b").String(), "B"}, {"reference=tool@" + d("c").String(), ""},
		{"reference=a0000000", ""}, {"reference!=alpine", "BCEF"}, {"reference=alpine reference=tool", "AB"},
		{"reference!=alpine reference!=tool", "CEF"},
		{"was=alpine", "C"}, {"was=*", "C"}, {"was!=alpine", "ABEF"}, {"was=alpine reference=alpine", ""},
		{"label=stage", "A"}, {"label=stage=dev", "A"}, {"label=stage=prod", ""}, {"label=sta*", "A"}, {"label=keep.*", "A"},
		{"label=vendor/*=x", "A"}, {"label!=stage=dev", "BCEF"}, {"label=stage label=keep.me", "A"}, {"label=stage label=other", ""},
		{"platform=linux/amd64", "AE"}, {"platform=linux/arm", "B"}, {"platform=arm", "B"}, {"platform=linux", "ABCE"},
		{"platform=linux/arm/v7", "B"}, {"platform=armhf", "B"}, {"platform=linux/arm/v6", ""}, {"platform=linux/arm64/v8", "C"},
		{"platform=linux/arm*", "BC"}, {"platform=linux/arm*/v7", "B"}, {"platform=arm*", "BC"}, {"platform=linux/arm platform=linux/arm64", "BC"}, {"platform!=linux/arm", "ACEF"},
		{"until=1h", "ABCE"}, {"until=3h", "ABE"}, {"until=1d", "AB"}, {"until=1d12h", "AB"}, {"until=3d", ""}, {"until=2w", ""}, {"until!=3h", "C"},
		{"until=3h ago", "ABE"}, {"until=2026-06-29T10:00:01Z", "AB"}, {"until=2026-06-29T10:00:00Z", ""}, {"until=1782900000", "ABE"}, {"until=2026-06-30T12", "AB"},
		{"before=alpine:3.15", "CF"}, {"since=alpine:3.15", "BE"}, {"after=a0000000", "BE"}, {"since!=alpine:3.15", "ACF"},
		{"reference=" + strings.Repeat("x", maxFilter-len("reference=")), ""},
		{"dangling=true", "EF"}, {"dangling=false", "ABC"}, {"dangling!=true", "ABC"}, {"intermediate=true", "C"}, {"readonly=true", "F"},
		{"id=a0", "A"}, {"id=sha256:a0", "A"}, {"digest=" + d("b").String(), "B"}, {"digest=sha256:bbb", "B"}, {"digest=bbb", "B"},
	} {
		if got := selected(t, texts(tt.filters)...); got != tt.want {
			t.Errorf("%s selects %q, want %q", tt.filters, got, tt.want)
		}
	}
	for _, text := range []string{
		"x", "until", "until=", "=x", "!=x", "color=red", "until=x", "until=-1h", "until=0d", "until=99999999d", "until!=x", "label==x",
		"reference=[", "was=[", "platform=a/b/c/d", "platform=linux/", "platform=*/b/c/d", "dangling=perhaps", "since=nosuch", "before=", strings.Repeat("x", maxFilter+1),
	} {
		if got := selected(t, text); !strings.HasPrefix(got, "refused: ") {
			t.Errorf("%.40s is taken", text)
		}
	}
}

// texts parts filters at blanks, but for the one before "ago".
func texts(s string) []string {
	all := strings.Fields(strings.ReplaceAll(s, " ago", "_ago"))
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], "_", " ")
	}
	return all
}

// TestEachKeyIsKnown holds the list that help and completions show to what is
// taken.
func TestEachKeyIsKnown(t *testing.T) {
	values := map[string]string{"until": "1h", "platform": "linux", "dangling": "true", "intermediate": "true", "readonly": "true"}
	for _, key := range FilterKeys() {
		value := values[key]
		if value == "" {
			value = "alpine:3.15"
		}
		if got := selected(t, key+"="+value); strings.HasPrefix(got, "refused") {
			t.Errorf("%s: %s", key, got)
		}
	}
	for _, key := range SortKeys() {
		order, err := ParseSort(key)
		if err != nil || order(Row{ID: "a"}, Row{ID: "a"}) != 0 {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := ParseSort("color"); err == nil {
		t.Error("an unknown key is taken")
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "1000": 1000, "10GB": 10_000_000_000, "10g": 10_000_000_000, "500MB": 500_000_000, "1.5kB": 1500,
		"1600KiB": 1_638_400, "1KiB": 1024, "512MiB": 512 << 20, "2GiB": 2 << 30, "2gib": 2 << 30, "1 MiB": 1 << 20,
	} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "x", "-1", "-1GB", "1XB", "GB", "9999999999999EB", "NaN", "Inf", "1e400", "1 2"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %d", in, got)
		}
	}
}

func TestLostBy(t *testing.T) {
	at := func(h int) time.Time { return now.Add(time.Duration(h) * time.Hour) }
	img := store.Image{Names: []string{"back:1"}, NamesHistory: []string{"other:1", "a:1", "back:1"}, Displaced: []store.Displacement{
		{Name: "a:1", At: at(1)}, {Name: "b:1", At: at(3)}, {Name: "c:1", At: at(3)}, {Name: "back:1", At: at(9)},
	}}
	if got := strings.Join(LostNames(&img), " "); got != "c:1 b:1 a:1 other:1" {
		t.Errorf("lost %s", got)
	}
	if got := LostNames(&store.Image{Displaced: img.Displaced[:1]}); !slices.Equal(got, []string{"a:1"}) {
		t.Errorf("of a record without a history: %s", got)
	}
	if last := LostBy(&img)[3]; !last.OtherTool || !last.At.IsZero() {
		t.Errorf("%+v", last)
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{"until=1h", "until=30d", "until=1w2d3h", "label!=a=b", "reference=docker.io/*/x:[0-9]", "platform=linux/arm/v7", "was=x", "dangling=1"} {
		f.Add(seed)
	}
	v := New(kinds(), nil)
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := ParseFilter(text)
		if err != nil {
			return
		}
		if filter.String() != text {
			t.Errorf("%q becomes %q", text, filter)
		}
		opposite := filter
		opposite.negate = !filter.negate
		match, err := v.Match([]Filter{filter}, v.Since, now)
		if err != nil {
			return // it speaks of an image that is not here
		}
		not, err := v.Match([]Filter{opposite}, v.Since, now)
		if err != nil {
			t.Fatal(err)
		}
		for i := range v.snap.Images {
			img := &v.snap.Images[i]
			yes, no := match(img) == nil, not(img) == nil
			unknown := filter.key == "until" && v.Since(img).IsZero()
			if yes && no || !yes && !no && !unknown {
				t.Errorf("%q and its negation agree about %s", text, fmt.Sprint(img.ID))
			}
		}
	})
}
