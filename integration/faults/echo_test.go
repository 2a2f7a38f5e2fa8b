package faults

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// Secrets that no output may have.
const (
	bearer  = "bearer-4711-token"
	refresh = "refresh-0815-token"
	typed   = "typed+pass/word 7"
)

// echo answers with an error that has all that was sent.
func echo(status int) http.HandlerFunc {
	return func(rw http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		form, _ := url.QueryUnescape(string(body))
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(status)
		fmt.Fprintf(rw, `{"errors":[{"code":"DENIED","message":"you sent %s and %s and %s in %s"}]}`, req.Header.Get("Authorization"), body, form, req.URL)
	}
}

// tokens is a server that gives the bearer token, or echoes when it is not to.
func tokens(t *testing.T, gives bool) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if !gives {
			echo(http.StatusBadRequest)(rw, req)
			return
		}
		fmt.Fprintf(rw, `{"token":%q,"access_token":%q}`, bearer, bearer)
	}))
	t.Cleanup(s.Close)
	return s
}

// demanding makes a registry ask for a token of realm, and answer whoever brings
// something by refused.
func demanding(reg *testregistry.Registry, realm string, refused http.HandlerFunc) {
	reg.Wrap(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Authorization") == "" || req.URL.Path == "/v2/" && realm != "" {
				rw.Header().Set("WWW-Authenticate", demandOf(realm))
				rw.WriteHeader(http.StatusUnauthorized)
				return
			}
			refused(rw, req)
		})
	})
}

func demandOf(realm string) string {
	if realm == "" {
		return `Basic realm="x"`
	}
	return fmt.Sprintf(`Bearer realm=%q,service="x"`, realm)
}

// TestEchoedSecrets has registries and token servers that send back what they
// were sent: passwords, the token for a repository, the refresh token of an auth
// file. Nothing that is printed has any of them, with the debug log too.
func TestEchoedSecrets(t *testing.T) {
	identity := fmt.Sprintf(`{"auth":%q,"identitytoken":%q}`, base64.StdEncoding.EncodeToString([]byte("alice:")), refresh)
	stored := fmt.Sprintf(`{"auth":%q}`, strings.TrimPrefix(basic(), "Basic "))
	for _, c := range []struct {
		name, auth string
		tokens     bool // a token server stands between, which gives one
		token      bool // a token server stands between
		status     int
		secrets    []string
	}{
		{name: "bearer token", auth: stored, token: true, tokens: true, status: http.StatusForbidden, secrets: []string{bearer, password}},
		{name: "bearer token, broken", auth: stored, token: true, tokens: true, status: http.StatusInternalServerError, secrets: []string{bearer, password}},
		{name: "password at the token server", auth: stored, token: true, status: http.StatusForbidden, secrets: []string{password}},
		{name: "refresh token", auth: identity, token: true, status: http.StatusForbidden, secrets: []string{refresh}},
		{name: "refresh token, given", auth: identity, token: true, tokens: true, status: http.StatusForbidden, secrets: []string{refresh, bearer}},
		{name: "password", auth: stored, status: http.StatusForbidden, secrets: []string{password}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, reg := newBed(t), newRegistry(t)
			push(t, reg, "app:1", testimage.Spec{})
			realm := ""
			if c.token {
				realm = tokens(t, c.tokens).URL + "/token"
			}
			demanding(reg, realm, echo(c.status))
			b.Write("auth.json", fmt.Sprintf(`{"auths":{%q:%s}}`, reg.Host, c.auth))
			for _, args := range [][]string{
				{"pull", "--retry", "0", "--tls-verify=false", reg.Host + "/app:1"}, {"--log-level", "debug", "pull", "--retry", "0", "--tls-verify=false", reg.Host + "/app:1"},
				{"pull", "--retry", "0", "--tls-verify=false", "--format", "json", reg.Host + "/app:1"}, {"platforms", "--retry", "0", "--tls-verify=false", reg.Host + "/app:1"},
				{"inspect", "--retry", "0", "--tls-verify=false", "docker://" + reg.Host + "/app:1"}, {"check", "--remote", "--retry", "0", "--tls-verify=false", reg.Host + "/app:1"},
			} {
				silentAbout(t, b.Mpull(args...), c.secrets)
			}
		})
	}
}

// silentAbout holds a command that failed to its silence.
func silentAbout(t *testing.T, r testbed.Result, secrets []string) {
	t.Helper()
	if r.Code == 0 || strings.Contains(r.Stderr, "goroutine ") {
		t.Error(r)
	}
	for _, s := range secrets {
		for _, form := range []string{s, url.QueryEscape(s), base64.StdEncoding.EncodeToString([]byte(s)), base64.StdEncoding.EncodeToString([]byte(user + ":" + s))} {
			if strings.Contains(r.Stdout+r.Stderr, form) {
				t.Errorf("%q is shown: %s", form, r)
			}
		}
	}
}

// TestLoginAtAnEcho logs in where the answer has the password.
func TestLoginAtAnEcho(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest, http.StatusInternalServerError} {
		for _, token := range []bool{false, true} {
			b, reg := newBed(t), newRegistry(t)
			realm := ""
			if token {
				realm = tokens(t, false).URL + "/token"
			}
			demanding(reg, realm, echo(status))
			for _, level := range []string{"warn", "debug"} {
				cmd := b.Command("--log-level", level, "login", "--tls-verify=false", "--username", user, "--password-stdin", reg.Host)
				cmd.Stdin = strings.NewReader(typed)
				silentAbout(t, b.StartCommand(cmd).Wait(), []string{typed})
			}
		}
	}
}

// TestLoginAtASilentRegistry ends a login by a signal, while the registry says
// nothing.
func TestLoginAtASilentRegistry(t *testing.T) {
	b, reg := newBed(t), newRegistry(t)
	asked, over := make(chan struct{}, 16), make(chan struct{})
	reg.Wrap(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			asked <- struct{}{}
			<-over
		})
	})
	defer close(over)
	cmd := b.Command("login", "--tls-verify=false", "--username", user, "--password-stdin", reg.Host)
	cmd.Stdin = strings.NewReader(typed)
	p := b.StartCommand(cmd)
	p.Until(asked)
	p.Signal(syscall.SIGTERM)
	r := p.Wait()
	if r.Code != 128+int(syscall.SIGTERM) || strings.Contains(r.Stderr+r.Stdout, typed) {
		t.Error(r)
	}
	stored, err := os.ReadFile(filepath.Join(b.Dir, "auth.json"))
	if err == nil && strings.Contains(string(stored), reg.Host) {
		t.Error("credentials were stored")
	}
}
