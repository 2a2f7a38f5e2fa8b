package registry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/image/v5/docker"
)

// TestReadRateLimit goes through a token server with the user's credentials,
// and refuses one that lies in another place.
func TestReadRateLimit(t *testing.T) {
	var realm string
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		asked = append(asked, r.Method+" "+r.URL.Path)
		switch {
		case r.URL.Path == "/v2/":
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="hub"`)
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/token" && user == "u" && password == "p" && r.URL.Query().Get("scope") == "repository:library/alpine:pull":
			fmt.Fprint(w, `{"token":"T"}`)
		case r.URL.Path == "/v2/library/alpine/manifests/3.15" && r.Method == http.MethodHead && r.Header.Get("Authorization") == "Bearer T":
			w.Header().Set("RateLimit-Limit", "200;w=3600")
			w.Header().Set("RateLimit-Remaining", "199;w=3600")
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer server.Close()
	conf := filepath.Join(t.TempDir(), "registries.conf")
	text := fmt.Appendf(nil, "[[registry]]\nprefix = \"docker.io\"\nlocation = %q\ninsecure = true\n", strings.TrimPrefix(server.URL, "http://"))
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		t.Fatal(err)
	}
	ref, err := docker.ParseReference("//alpine:3.15")
	if err != nil {
		t.Fatal(err)
	}
	options := Options{RegistriesConf: conf, Creds: "u:p"}
	realm = server.URL + "/token"
	limit, err := ReadRateLimit(t.Context(), options, ref)
	if want := (RateLimit{Limit: 200, Remaining: 199, Window: 3600}); err != nil || limit == nil || *limit != want {
		t.Fatalf("got %+v (%v) after %q", limit, err, asked)
	}
	realm = "http://elsewhere.example/token"
	asked = nil
	if limit, err := ReadRateLimit(t.Context(), options, ref); err == nil || len(asked) != 1 {
		t.Errorf("a token server elsewhere: %+v, %v, after %q", limit, err, asked)
	}
	other, err := docker.ParseReference("//registry.example/alpine:3.15")
	if err != nil {
		t.Fatal(err)
	}
	if limit, err := ReadRateLimit(t.Context(), options, other); limit != nil || err != nil {
		t.Errorf("another registry: %+v, %v", limit, err)
	}
}
