package integration

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// silentRegistry takes connections and never answers.
func silentRegistry(t *testing.T) string {
	t.Helper()
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(hold); server.Close() })
	return strings.TrimPrefix(server.URL, "http://")
}

// asking are the command lines that ask a registry for documents.
func asking(image string) [][]string {
	return [][]string{
		{"pull", image}, {"pull", "--dry-run", image}, {"platforms", image}, {"inspect", "docker://" + image}, {"inspect", "--raw", "docker://" + image},
		{"match", image}, {"tags", image}, {"lock", "-", image}, {"check", "--remote", image},
	}
}

// brief makes a registry's silence end a command soon.
func brief(args []string) []string {
	return append([]string{"mpull", args[0], "--tls-verify=false", "--retry=0", "--idle-timeout=300ms"}, args[1:]...)
}

func TestSilentRegistry(t *testing.T) {
	m, _ := newMachine(t, "vfs")
	for _, args := range asking(silentRegistry(t) + "/team/app:1") {
		if out := m.fails(125, brief(args)...); !strings.Contains(out, "next to nothing") {
			t.Errorf("%v: %s", args, out)
		}
	}
}

// TestOutdatedBesideASilentRegistry tells of all names that answered.
func TestOutdatedBesideASilentRegistry(t *testing.T) {
	m, _ := newMachine(t, "vfs")
	m.run("mine", "mpull", "-q", "team/try:1")
	host := silentRegistry(t)
	names := []string{}
	for i := range 12 {
		name := fmt.Sprintf("%s/team/app:%d", host, i)
		m.run("mine", "mpull", "tag", "team/try:1", name)
		names = append(names, name)
	}
	out := m.fails(125, brief(append([]string{"outdated"}, append(names, "team/try:1")...))...)
	if !strings.Contains(out, "current") || strings.Count(out, "unknown") != len(names) {
		t.Error(out)
	}
	for _, name := range names {
		if !strings.Contains(out, "asking for "+name) {
			t.Errorf("%s is not named: %s", name, out)
		}
	}
}

// TestHangingHelper names the credential helper, and ends it with all that it
// started, by the clock and by a signal.
func TestHangingHelper(t *testing.T) {
	m, _ := newMachine(t, "vfs")
	bin := filepath.Join(m.dir, "helpers")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	pids := filepath.Join(m.dir, "pids")
	script := fmt.Sprintf("#!/bin/sh\nsleep 1000 &\necho $! $$ >>%s\nwait\n", pids)
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-stuck"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	host := silentRegistry(t)
	auth := filepath.Join(m.dir, "stuck.json")
	if err := os.WriteFile(auth, fmt.Appendf(nil, `{"credHelpers":{%q:"stuck"}}`, host), 0o600); err != nil {
		t.Fatal(err)
	}
	m.env = append(m.env, "PATH="+bin+":"+os.Getenv("PATH"), "REGISTRY_AUTH_FILE="+auth)
	gone := func(what string) {
		t.Helper()
		data, err := os.ReadFile(pids)
		if err != nil {
			t.Fatalf("%s: no helper was started: %v", what, err)
		}
		for _, word := range strings.Fields(string(data)) {
			waitFor(t, func() bool { // what was killed may take a moment to die
				state, err := os.ReadFile("/proc/" + word + "/stat")
				return err != nil || strings.Contains(string(state), ") Z ")
			})
		}
		if err := os.Remove(pids); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range asking(host + "/team/app:1") {
		if out := m.fails(125, brief(args)...); !strings.Contains(out, "docker-credential-stuck did not answer") || strings.Contains(out, "next to nothing") {
			t.Errorf("%v: %s", args, out)
		}
		gone(args[0])
	}
	for _, args := range [][]string{{"pull", "--tls-verify=false", host + "/team/app:1"}, {"login", "--get-login", host}, {"logout", host}} {
		cmd := m.command("mine", append([]string{"mpull"}, args...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { _, err := os.Stat(pids); return err == nil })
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 143 {
			t.Errorf("%v ended with %d", args, code)
		}
		gone(args[0])
	}
}

// TestEchoedCredentials asks registries that send back what they were sent.
func TestEchoedCredentials(t *testing.T) {
	const password = "p/a+s=w&o:r d"
	echo := func(r *http.Request) string {
		got := r.Header.Get("Authorization")
		plain := ""
		if _, credentials, ok := strings.Cut(got, " "); ok {
			if data, err := base64.StdEncoding.DecodeString(credentials); err == nil {
				plain = string(data)
			}
		}
		return fmt.Sprintf("%s | %s | %s | %s", got, plain, url.QueryEscape(got), url.QueryEscape(plain))
	}
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"text": func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), http.StatusForbidden) },
		"error": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":%q,"detail":%q}]}`, echo(r), echo(r))
		},
		"challenge": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", echo(r)))
			w.WriteHeader(http.StatusUnauthorized)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/?"+url.QueryEscape(echo(r)))
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"warning": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Warning", fmt.Sprintf("299 - %q", echo(r)))
			http.Error(w, "no", http.StatusNotFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := newMachine(t, "vfs")
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "" {
					w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				answer(w, r)
			}))
			defer server.Close()
			image := strings.TrimPrefix(server.URL, "http://") + "/team/app:1"
			lines := asking(image)
			lines = append(lines, []string{"pull", "--format", "json", image}, []string{"pull", "--progress", "json", image})
			for _, args := range lines {
				for _, level := range []string{"warn", "debug"} {
					cmd := m.command("mine", append([]string{"mpull", "--log-level", level}, append([]string{args[0], "--creds", "alice:" + password}, brief(args)[2:]...)...)...)
					out, _ := cmd.CombinedOutput()
					pair := "alice:" + password
					for _, secret := range []string{password, url.QueryEscape(password), base64.StdEncoding.EncodeToString([]byte(pair)), url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(pair)))} {
						if strings.Contains(string(out), secret) {
							t.Errorf("%v at %s prints %q:\n%s", args, level, secret, out)
						}
					}
				}
			}
		})
	}
}

// waitFor looks until something is so.
func waitFor(t *testing.T, is func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !is() {
		select {
		case <-late:
			t.Fatal("it did not come to that")
		case <-tick.C:
		}
	}
}
