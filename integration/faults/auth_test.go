package faults

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

const user, password = "alice", "s3cret"

// witness notes each Authorization header that reaches a server.
type witness struct {
	mu    sync.Mutex
	saw   []string
	asked int
}

func (w *witness) note(req *http.Request) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	auth := req.Header.Get("Authorization")
	if auth != "" {
		w.saw = append(w.saw, auth)
	}
	return auth
}

func (w *witness) blameless(t *testing.T, who string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.saw) > 0 {
		t.Errorf("%s saw credentials: %q", who, w.saw)
	}
}

func basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func logIn(b *testbed.Bed, host string) {
	b.Write("auth.json", fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, strings.TrimPrefix(basic(), "Basic ")))
}

// tokenServer gives a token to whoever asks, over https when tls is set.
func tokenServer(t *testing.T, tls bool) (*httptest.Server, *witness) {
	w := &witness{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		w.note(req)
		fmt.Fprint(rw, `{"token":"letmein"}`)
	}))
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, w
}

// challenge makes a registry demand a token of realm, or the password.
func challenge(reg *testregistry.Registry, demand string) *witness {
	w := &witness{}
	reg.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			if auth := w.note(req); auth == "Bearer letmein" || auth == basic() {
				next.ServeHTTP(rw, req)
				return
			}
			rw.Header().Set("WWW-Authenticate", demand)
			rw.WriteHeader(http.StatusUnauthorized)
		})
	})
	return w
}

// TestTokenServer checks where a TLS registry may send the credentials.
func TestTokenServer(t *testing.T) {
	for _, c := range []struct {
		name, realm string // %s is the address of a token server on this machine
		plain       bool   // that server speaks http
		anonymous   bool
		refused     string // "" when the pull succeeds
	}{
		{name: "other port, https", realm: "https://%s/token"},
		{name: "other port, anonymous", realm: "https://%s/token", anonymous: true},
		{name: "http", realm: "http://%s/token", plain: true, refused: "reached over https"},
		{name: "http, anonymous", realm: "http://%s/token", plain: true, anonymous: true, refused: "reached over https"},
		{name: "metadata service, http", realm: "http://169.254.169.254/latest", refused: "refused"},
		{name: "metadata service", realm: "https://169.254.169.254/latest", anonymous: true, refused: "private network"},
		{name: "metadata service, mapped", realm: "https://[::ffff:169.254.169.254]/latest", refused: "private network"},
		{name: "metadata service, shared space", realm: "https://100.100.100.200/latest", refused: "private network"},
		{name: "private", realm: "https://10.0.0.1/token", refused: "private network"},
		{name: "number", realm: "https://2852039166/token", refused: "private network"},
		{name: "user information", realm: "https://eve:x@%s/token", refused: "user name or password"},
		{name: "other domain", realm: "https://auth.example.net/token", refused: "another domain"},
		{name: "own name as a prefix", realm: "https://127.0.0.1.example.net/token", refused: "another domain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, reg := newBed(t), testregistry.NewTLS()
			t.Cleanup(reg.Close)
			certs(t, b, reg)
			push(t, reg, "app:1", testimage.Spec{})
			server, w := tokenServer(t, !c.plain)
			realm := strings.Replace(c.realm, "%s", strings.SplitAfter(server.URL, "//")[1], 1)
			challenge(reg, fmt.Sprintf(`Bearer realm=%q,service="x"`, realm))
			if !c.anonymous {
				logIn(b, reg.Host)
			}
			r := b.Mpull("pull", "--retry", "0", reg.Host+"/app:1")
			if c.refused == "" {
				if r.Code != 0 {
					t.Fatal(r)
				}
				return
			}
			if r.Code != 125 || !strings.Contains(r.Stderr, c.refused) {
				t.Error(r)
			}
			if w.asked > 0 {
				t.Errorf("the token server was asked %d times", w.asked)
			}
			if strings.Contains(r.Stderr, password) || strings.Contains(r.Stderr, "eve:x") {
				t.Errorf("a password is shown: %s", r.Stderr)
			}
		})
	}
}

// TestCredentialsStay checks that no other server sees a credential.
func TestCredentialsStay(t *testing.T) {
	t.Run("https is demanded", func(t *testing.T) {
		b, reg := newBed(t), newRegistry(t)
		w := challenge(reg, `Basic realm="x"`)
		logIn(b, reg.Host)
		if r := b.Mpull("pull", "--retry", "0", reg.Host+"/app:1"); r.Code != 125 {
			t.Error(r)
		}
		w.blameless(t, "an http server")
	})
	t.Run("unknown certificate", func(t *testing.T) {
		b, reg := newBed(t), testregistry.NewTLS()
		t.Cleanup(reg.Close)
		w := challenge(reg, `Basic realm="x"`)
		if r := b.Mpull("pull", "--retry", "0", "--creds", user+":"+password, reg.Host+"/app:1"); r.Code != 125 || !strings.Contains(r.Stderr, "certificate") {
			t.Error(r)
		}
		w.blameless(t, "a server with an unknown certificate")
	})
	t.Run("another registry on the same host", func(t *testing.T) {
		b, reg, other := newBed(t), newRegistry(t), newRegistry(t)
		w := challenge(reg, `Basic realm="x"`)
		logIn(b, other.Host)
		if r := b.Mpull("pull", "--retry", "0", "--tls-verify=false", reg.Host+"/app:1"); r.Code != 125 {
			t.Error(r)
		}
		for _, auth := range w.saw {
			if auth == basic() {
				t.Error("the password for another port was sent")
			}
		}
	})
	t.Run("redirect of a blob", func(t *testing.T) {
		b, reg := newBed(t), newRegistry(t)
		push(t, reg, "app:1", testimage.Spec{})
		w := challenge(reg, `Basic realm="x"`)
		logIn(b, reg.Host)
		other := &witness{}
		store := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			other.note(req)
			req.Header.Set("Authorization", basic())
			reg.ServeHTTP(rw, req)
		}))
		listener, err := net.Listen("tcp", "127.0.0.2:0") // another host, without a name that had to be found
		if err != nil {
			t.Fatal(err)
		}
		_ = store.Listener.Close() // the one that comes with it
		store.Listener = listener
		store.Start()
		t.Cleanup(store.Close)
		reg.Fault(func(rw http.ResponseWriter, req *http.Request) {
			if strings.Contains(req.URL.Path, "/blobs/") && strings.HasPrefix(req.Host, "127.0.0.1") {
				http.Redirect(rw, req, store.URL+req.URL.Path, http.StatusTemporaryRedirect)
			}
		})
		b.Must("pull", "--retry", "0", "--tls-verify=false", reg.Host+"/app:1")
		other.blameless(t, "the blob store")
		if other.asked == 0 || len(w.saw) == 0 {
			t.Errorf("the blob store was asked %d times, the registry saw %d credentials", other.asked, len(w.saw))
		}
	})
	t.Run("mirror", func(t *testing.T) {
		b, reg, mirror := newBed(t), newRegistry(t), newRegistry(t)
		push(t, reg, "app:1", testimage.Spec{})
		push(t, mirror, "app:1", testimage.Spec{})
		challenge(reg, `Basic realm="x"`)
		w := challenge(mirror, `Basic realm="x"`)
		logIn(b, reg.Host)
		b.Write("registries.conf", fmt.Sprintf("[[registry]]\nlocation=%q\ninsecure=true\n[[registry.mirror]]\nlocation=%q\ninsecure=true\n", reg.Host, mirror.Host))
		b.Must("pull", "--retry", "0", reg.Host+"/app:1")
		for _, auth := range w.saw {
			if auth == basic() {
				t.Error("the mirror saw the password of the registry")
			}
		}
	})
}

// TestCredentialHelper checks that a helper that is missing or fails means no
// pull, not an anonymous one.
func TestCredentialHelper(t *testing.T) {
	for name, script := range map[string]string{"missing": "", "failing": "#!/bin/sh\necho sorry >&2\nexit 1\n"} {
		t.Run(name, func(t *testing.T) {
			b, reg := newBed(t), newRegistry(t)
			push(t, reg, "app:1", testimage.Spec{})
			w := challenge(reg, `Basic realm="x"`)
			b.Write("auth.json", fmt.Sprintf(`{"credHelpers":{%q:"faulty"}}`, reg.Host))
			b.Env = append(b.Env, "PATH="+b.Dir+":"+os.Getenv("PATH"))
			if script != "" {
				if err := os.Chmod(b.Write("docker-credential-faulty", script), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if r := b.Mpull("pull", "--retry", "0", "--tls-verify=false", reg.Host+"/app:1"); r.Code != 125 || !strings.Contains(r.Stderr, "credentials") {
				t.Error(r)
			}
			w.blameless(t, "the registry")
		})
	}
}

// TestSignaturePolicy checks that a policy that is missing, broken or says no
// keeps every blob out.
func TestSignaturePolicy(t *testing.T) {
	for name, policy := range map[string]string{
		"reject":       `{"default":[{"type":"reject"}]}`,
		"missing":      "",
		"no JSON":      `{"default":`,
		"no default":   `{"transports":{}}`,
		"unknown rule": `{"default":[{"type":"maybe"}]}`,
		"key missing":  `{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/nonexistent"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			b, reg := newBed(t), newRegistry(t)
			push(t, reg, "app:1", testimage.Spec{})
			if path := b.Write("policy.json", policy); policy == "" {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			reg.Requests()
			if r := b.Mpull("pull", "--retry", "0", "--tls-verify=false", reg.Host+"/app:1"); r.Code != 125 {
				t.Error(r)
			}
			blobs := 0
			for _, line := range reg.Requests() {
				if strings.Contains(line, "/blobs/") {
					blobs++
				}
			}
			if blobs > 1 {
				t.Errorf("%d blobs were fetched; the config alone may be", blobs)
			}
			if v := sound(t, b, false); len(v.Names) > 0 || v.Unreferenced > 0 {
				t.Errorf("something was stored: %+v", v)
			}
			if left, _ := filepath.Glob(filepath.Join(b.Root, "mpull-downloads", "*")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}
