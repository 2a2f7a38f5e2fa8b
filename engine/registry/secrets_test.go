package registry

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestSecretsAreStruckInEveryForm(t *testing.T) {
	const password = `p/ä+s "w&<ord\`
	var s Secrets
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	req, err := http.NewRequestWithContext(s.Trace(t.Context()), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("alice", password)
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(password)
	if err != nil {
		t.Fatal(err)
	}
	pair := "alice:" + password
	for _, form := range []string{
		password, pair, strconv.Quote(password), string(document), url.QueryEscape(password), url.PathEscape(pair),
		base64.StdEncoding.EncodeToString([]byte(pair)), base64.RawURLEncoding.EncodeToString([]byte(password)),
		"Basic " + base64.StdEncoding.EncodeToString([]byte(pair)), url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(pair))),
	} {
		got := s.Strike("denied (" + form + ") by reg")
		if strings.Contains(got, form) || !strings.Contains(got, struck) || !strings.HasPrefix(got, "denied (") || !strings.HasSuffix(got, ") by reg") {
			t.Errorf("%s: %s", form, got)
		}
	}
	if got := s.Strike("alice, denied"); got != "alice, denied" {
		t.Error(got)
	}
	if got := (*Secrets)(nil).Strike("x"); got != "x" {
		t.Error(got)
	}
}

func TestSecretsOfFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(path, []byte(`{"auths":{"a":{"auth":"dTpzZWNyZXQ="},"b":{"identitytoken":"refresh-me"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var s Secrets
	s.LearnFrom(Options{AuthFile: path, Creds: "u:other-one"})
	if got := s.Strike("secret refresh-me other-one dTpzZWNyZXQ= u"); got != strings.Repeat(struck+" ", 4)+"u" {
		t.Error(got)
	}
}
