package gc

import (
	"testing"
	"time"
)

func TestParseFilterRefuses(t *testing.T) {
	for _, text := range []string{"", "x", "until", "until=", "=x", "color=red", "until=x", "until=-1h", "until=0d", "until=99999999d", "label==x", "reference=[", "platform=linux", "platform=a/b/c/d", "until!=x"} {
		if f, err := ParseFilter(text); err == nil {
			t.Errorf("%q: got %v", text, f)
		}
	}
}

func TestFilters(t *testing.T) {
	snap := letters(t, `
		layer a 1 age 50h
		image A a docker.io/library/alpine:3.15 label stage=dev label vendor/name=x
		image B a quay.io/org/team/tool:1 arch arm/v7
		image C a was docker.io/library/alpine:3.15 2h arch arm64
		image D a damaged`)
	tests := []struct{ filter, want string }{
		{"reference=alpine", "AC"},
		{"reference=alpine:3.15", "AC"},
		{"reference=docker.io/library/alpine", "AC"},
		{"reference=docker.io/alpine:3.15", "AC"},
		{"reference=library/alpine", "AC"},
		{"reference=alp*", "AC"},
		{"reference=alpine:3.1?", "AC"},
		{"reference=*", "ABC"},
		{"reference=quay.io/*", ""},
		{"reference=quay.io/*/*/*", "B"},
		{"reference=org/team/tool:1", "B"},
		{"reference=team/tool", ""},
		{"reference!=alpine", "BD"},
		{"was=alpine", "C"},
		{"label=stage", "A"},
		{"label=stage=dev", "A"},
		{"label=stage=prod", ""},
		{"label=sta*", "A"},
		{"label=vendor/*=x", "A"},
		{"label!=stage=dev", "BCD"},
		{"platform=linux/amd64", "A"},
		{"platform=linux/arm", "B"},
		{"platform=linux/arm/v7", "B"},
		{"platform=linux/arm/v6", ""},
		{"platform=linux/arm64/v8", "C"},
		{"platform=linux/arm*", "BC"},
		{"until=1h", "ABCD"},
		{"until=3h", "ABD"},
		{"until=3d", ""},
		{"until!=3h", "C"},
		{"until=2026-07-01T09:00:00Z", "ABD"},
		{"until=2026-06-29T10:00:01Z", "ABD"},
		{"until=2026-06-29T10:00:00Z", ""},
		{"until=1782900000", "ABD"},
	}
	for _, tt := range tests {
		f, err := ParseFilter(tt.filter)
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		if f.String() != tt.filter {
			t.Errorf("%s becomes %s", tt.filter, f)
		}
		got := ""
		g := newGraph(snap)
		for i := range snap.Images {
			if f.matches(&snap.Images[i], g.since(&snap.Images[i]), now) {
				got += letter(snap.Images[i].ID)
			}
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.filter, got, tt.want)
		}
	}
}

func TestFiltersCombine(t *testing.T) {
	snap := letters(t, `
		layer a 1 age 50h
		image A a alpine:1 label x=1 label y=1
		image B a busybox:1 label x=1
		image C a centos:1`)
	for _, tt := range []struct {
		filters []string
		want    string
	}{
		{nil, "ABC"},
		{[]string{"reference=alpine", "reference=busybox"}, "AB"},
		{[]string{"label=x", "label=y"}, "A"},
		{[]string{"reference!=alpine", "reference!=busybox"}, "C"},
		{[]string{"reference=alpine", "label=y", "platform=linux/amd64", "platform=linux/arm"}, "A"},
	} {
		filters := mustFilters(t, tt.filters...)
		got := ""
		for i := range snap.Images {
			if failing(filters, &snap.Images[i], now.Add(-time.Hour), now) == nil {
				got += letter(snap.Images[i].ID)
			}
		}
		if got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.filters, got, tt.want)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{"until=1h", "until=30d", "label!=a=b", "reference=docker.io/*/x:[0-9]", "platform=linux/arm/v7", "was=x"} {
		f.Add(seed)
	}
	img := &letters(f, "layer a 1\nimage A a alpine:1 was b:1 2h label x=1").Images[0]
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
		if filter.matches(img, now, now) == opposite.matches(img, now, now) {
			t.Errorf("%q and its negation agree", text)
		}
		if filter.key == "until" && (filter.matches(img, time.Time{}, now) || opposite.matches(img, time.Time{}, now)) {
			t.Errorf("%q matches an image of unknown age", text)
		}
	})
}
