package gc

import (
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// selected are the letters of the images that a prune under filters takes; what
// is damaged it never takes.
func selected(t *testing.T, snap *store.Snapshot, filters []query.Filter) string {
	t.Helper()
	plan, err := MakePlan(snap, Policy{All: true, Filters: filters, MinAge: -1}, now)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range plan.Images {
		if d.Goes {
			all = append(all, letter(d.ID))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

func TestFilters(t *testing.T) {
	snap := letters(t, `
		layer a 1 age 50h
		image A a docker.io/library/alpine:3.15 label stage=dev label vendor/name=x
		image B a quay.io/org/team/tool:1 arch arm/v7
		image C a was docker.io/library/alpine:3.15 2h arch arm64
		image D a damaged`)
	tests := []struct{ filter, want string }{
		{"reference=alpine", "A"},
		{"reference=alpine:3.15", "A"},
		{"reference=docker.io/library/alpine", "A"},
		{"reference=docker.io/alpine:3.15", "A"},
		{"reference=library/alpine", "A"},
		{"reference=alp*", "A"},
		{"reference=alpine:3.1?", "A"},
		{"reference=*", "AB"},
		{"reference=quay.io/*", ""},
		{"reference=quay.io/*/*/*", "B"},
		{"reference=org/team/tool:1", "B"},
		{"reference=team/tool", ""},
		{"reference!=alpine", "BC"},
		{"was=alpine", "C"},
		{"label=stage", "A"},
		{"label=stage=dev", "A"},
		{"label=stage=prod", ""},
		{"label=sta*", "A"},
		{"label=vendor/*=x", "A"},
		{"label!=stage=dev", "BC"},
		{"platform=linux/amd64", "A"},
		{"platform=linux/arm", "B"},
		{"platform=linux/arm/v7", "B"},
		{"platform=linux/arm/v6", ""},
		{"platform=linux/arm64/v8", "C"},
		{"platform=linux/arm*", "BC"},
		{"until=1h", "ABC"},
		{"until=3h", "AB"},
		{"until=3d", ""},
		{"until!=3h", "C"},
		{"until=2026-07-01T09:00:00Z", "AB"},
		{"until=2026-06-29T10:00:01Z", "AB"},
		{"until=2026-06-29T10:00:00Z", ""},
		{"until=1782900000", "AB"},
	}
	for _, tt := range tests {
		if got := selected(t, snap, mustFilters(t, tt.filter)); got != tt.want {
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
		if got := selected(t, snap, mustFilters(t, tt.filters...)); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.filters, got, tt.want)
		}
	}
}
