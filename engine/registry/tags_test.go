package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/types"
)

// TestTagsThatDoNotEnd asks a registry that always names a next page.
func TestTagsThatDoNotEnd(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return
		}
		asked++
		w.Header().Set("Link", "<"+r.URL.Path+">; rel=\"next\"")
		fmt.Fprint(w, `{"name":"a","tags":["x"]}`)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	conf := filepath.Join(t.TempDir(), "registries.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "[[registry]]\nlocation = %q\ninsecure = true\n", host), 0o600); err != nil {
		t.Fatal(err)
	}
	ref, err := docker.ParseReference("//" + host + "/a:x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tags(t.Context(), &types.SystemContext{SystemRegistriesConfPath: conf}, ref, nil, 3); !errors.Is(err, ErrTooManyPages) || asked != 3 {
		t.Errorf("after %d pages of 3: %v", asked, err)
	}
}

// TestTagsOfAnotherTransport have no registry to be asked.
func TestTagsOfAnotherTransport(t *testing.T) {
	sources, err := Resolve(nil, "dir:/tmp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Tags(t.Context(), &types.SystemContext{}, sources[0].Ref, nil); err == nil || !strings.Contains(err.Error(), "no registry") {
		t.Errorf("got %v", err)
	}
}

func TestParseRateLimit(t *testing.T) {
	for _, c := range []struct {
		limit, remaining string
		want             *RateLimit
	}{
		{"100;w=21600", "76;w=21600", &RateLimit{Limit: 100, Remaining: 76, Window: 21600}},
		{"", "0", &RateLimit{}},
		{"x", "5;w=-1", &RateLimit{Remaining: 5}},
		{"100;w=21600", "", nil},
		{"100", "-1", nil},
		{"100", "99999999999999999999", nil},
	} {
		got := parseRateLimit(http.Header{"Ratelimit-Limit": {c.limit}, "Ratelimit-Remaining": {c.remaining}})
		if got == nil != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("limit %q, remaining %q: got %+v, want %+v", c.limit, c.remaining, got, c.want)
		}
	}
}

// FuzzParseRateLimit feeds what a registry may send: no number is below zero.
func FuzzParseRateLimit(f *testing.F) {
	f.Add("100;w=21600", "76;w=21600")
	f.Add(";;w=", "9;w=9;w=9")
	f.Fuzz(func(t *testing.T, limit, remaining string) {
		got := parseRateLimit(http.Header{"Ratelimit-Limit": {limit}, "Ratelimit-Remaining": {remaining}})
		if got != nil && (got.Limit < 0 || got.Remaining < 0 || got.Window < 0) {
			t.Errorf("%q, %q: %+v", limit, remaining, got)
		}
	})
}
