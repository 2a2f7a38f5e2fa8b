package platform

import (
	"strings"
	"testing"
)

func TestFilterByOS(t *testing.T) {
	all := []string{"linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64", "windows/amd64"}
	for _, tt := range []struct{ expr, want string }{
		{"linux/arm", "linux/arm/v6 linux/arm/v7 linux/arm64"},
		{"^linux/arm/v7$", "linux/arm/v7"},
		{"amd64", "linux/amd64 windows/amd64"},
		{".*", strings.Join(all, " ")},
		{"", strings.Join(all, " ")},
		{"s390x", ""},
	} {
		match, err := FilterByOS(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(selected(t, all, match), " "); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.expr, got, tt.want)
		}
	}
	for _, expr := range []string{"linux/(", strings.Repeat("a", 1025)} {
		if _, err := FilterByOS(expr); err == nil {
			t.Errorf("%.20q: want an error", expr)
		}
	}
}

func TestPattern(t *testing.T) {
	all := []string{"linux/amd64", "linux/amd64/v1", "linux/amd64/v3", "linux/arm", "linux/arm/v6", "linux/arm/v7", "linux/arm64", "linux/arm64/v8", "windows/amd64"}
	for _, tt := range []struct{ pattern, want, printed string }{
		{"linux/arm", "linux/arm linux/arm/v6 linux/arm/v7", "linux/arm"},
		{"arm", "linux/arm linux/arm/v6 linux/arm/v7", "arm"},
		{"linux/arm/v7", "linux/arm linux/arm/v7", "linux/arm/v7"},
		{"armhf", "linux/arm linux/arm/v7", "arm/v7"},
		{"linux/arm/v6", "linux/arm/v6", "linux/arm/v6"},
		{"linux/amd64", "linux/amd64 linux/amd64/v1 linux/amd64/v3", "linux/amd64"},
		{"linux/amd64/v1", "linux/amd64 linux/amd64/v1", "linux/amd64/v1"},
		{"linux/x86_64/v3", "linux/amd64/v3", "linux/amd64/v3"},
		{"linux/arm64/v8", "linux/arm64 linux/arm64/v8", "linux/arm64/v8"},
		{"windows", "windows/amd64", "windows"},
		{"linux/s390x", "", "linux/s390x"},
	} {
		p, err := ParsePattern(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(selected(t, all, p.Match), " "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.pattern, got, tt.want)
		}
		if p.String() != tt.printed {
			t.Errorf("%s: prints as %q, want %q", tt.pattern, p, tt.printed)
		}
	}
	for _, s := range []string{"", "vax", "linux/", "/arm", "linux/arm/v7/x", "native"} {
		if p, err := ParsePattern(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, p)
		}
	}
}

func selected(t *testing.T, all []string, match func(Platform) bool) []string {
	t.Helper()
	var got []string
	for _, s := range all {
		if match(mustParse(t, s)) {
			got = append(got, s)
		}
	}
	return got
}
