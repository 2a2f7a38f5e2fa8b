package platform

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func notFound(t *testing.T, ask string, candidates []Candidate) *NotFoundError {
	t.Helper()
	requests, err := ParseList(ask, Platform{"linux", "amd64", "", ""})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Choose(requests, candidates)
	var e *NotFoundError
	if !errors.As(fmt.Errorf("choosing: %w", err), &e) {
		t.Fatalf("%s: got %v, want a NotFoundError", ask, err)
	}
	return e
}

func TestNotFoundError(t *testing.T) {
	for _, tt := range []struct{ ask, index, want, nearest string }{
		{"linux/arm/vfp", "linux/amd64 linux/arm/v6 linux/arm/v7 unknown/unknown linux/arm/v6",
			"no linux/arm/vfp in this image; it offers linux/amd64, linux/arm/v6, linux/arm/v7", "linux/arm/v6"},
		{"linux/arm", "linux/arm/v8 attest",
			"no linux/arm/v7 in this image; it offers linux/arm/v8", "linux/arm/v8"},
		{"native,linux/arm/v5", "linux/arm64 linux/arm/v6",
			"no linux/amd64 or linux/arm/v5 in this image; it offers linux/arm64, linux/arm/v6", ""},
		{"native", "linux/386 windows/amd64",
			"no linux/amd64 in this image; it offers linux/386, windows/amd64", "linux/386"},
		{"arm64", "linux/arm/v5 linux/arm/v8 linux/arm/v7",
			"no linux/arm64 in this image; it offers linux/arm/v5, linux/arm/v8, linux/arm/v7", "linux/arm/v8"},
		{"linux/amd64", "linux/amd64/v4 linux/amd64/v2 linux/386",
			"no linux/amd64 in this image; it offers linux/amd64/v4, linux/amd64/v2, linux/386", "linux/amd64/v2"},
		{"linux/amd64", "unknown/unknown",
			"no linux/amd64 in this image; it offers no platform", ""},
	} {
		e := notFound(t, tt.ask, index(t, tt.index))
		if e.Error() != tt.want {
			t.Errorf("got  %s\nwant %s", e, tt.want)
		}
		got := ""
		if e.Nearest != nil {
			got = e.Nearest.String()
		}
		if got != tt.nearest {
			t.Errorf("%s of %s: nearest %q, want %q", tt.ask, tt.index, got, tt.nearest)
		}
		if !e.Explicit() {
			t.Errorf("%s: not explicit", tt.ask)
		}
	}
}

func TestNotFoundErrorOfTheDefault(t *testing.T) {
	_, err := Choose([]Request{Native(Platform{"linux", "amd64", "v3", ""})}, index(t, "linux/s390x"))
	var e *NotFoundError
	if !errors.As(err, &e) || e.Explicit() {
		t.Errorf("got %+v, want a NotFoundError that is not explicit", err)
	}
}

func TestNotFoundErrorIsSafe(t *testing.T) {
	hostile := []Candidate{
		{Platform: &Platform{"linux", "\x1b]0;owned\x07", "", ""}},
		{Platform: &Platform{"a\nb", "\u202ecba", "\xff", ""}},
		{Platform: &Platform{strings.Repeat("x", 1<<20), "", "", ""}},
	}
	for i := range 1000 {
		hostile = append(hostile, Candidate{Platform: &Platform{"os", fmt.Sprint("a", i), "", ""}})
	}
	msg := notFound(t, "linux/amd64", hostile).Error()
	if len(msg) > 2000 {
		t.Errorf("message has %d bytes", len(msg))
	}
	for _, r := range msg {
		if r < ' ' || r > '~' {
			t.Errorf("message has %q", r)
		}
	}
	if !strings.HasSuffix(msg, "and 970 more") {
		t.Errorf("message does not say how many more: %s", msg[max(0, len(msg)-80):])
	}
}
