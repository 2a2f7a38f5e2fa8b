// Package realregistry runs the distribution project's registry in this
// process, behind TLS with a certificate that no authority of the machine
// vouches for, and with users: by basic authentication or by tokens.
package realregistry

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/distribution/distribution/v3/registry/handlers"
	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/bcrypt"

	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"           // the kinds of accounts
	_ "github.com/distribution/distribution/v3/registry/auth/token"              // and of storage that
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory" // New asks for
)

// Auth is how a registry knows its users.
type Auth string

// Kinds of authentication.
const (
	Basic Auth = "basic" // user and password with each request
	Token Auth = "token" // a token server at /token of the same address
)

// Registry is a running registry with one user. Close stops it.
type Registry struct {
	Host     string // 127.0.0.1:PORT
	User     string
	Password string

	server *httptest.Server
}

const issuer, service = "mpull test", "mpull test registry"

// New starts a registry whose files lie in dir.
func New(dir string, auth Auth, user, password string) (*Registry, error) {
	r := &Registry{User: user, Password: password}
	mux := http.NewServeMux()
	r.server = httptest.NewUnstartedServer(mux)
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.server.StartTLS()
	r.Host = r.server.Listener.Addr().String()
	config := &configuration.Configuration{
		Storage: configuration.Storage{"inmemory": configuration.Parameters{}},
	}
	config.HTTP.Secret = "test"
	config.Catalog.MaxEntries = 100
	var err error
	if auth == Basic {
		config.Auth, err = r.basic(dir)
	} else {
		config.Auth, err = r.token(dir)
		mux.HandleFunc("/token", r.serveToken)
	}
	if err != nil {
		r.server.Close()
		return nil, err
	}
	logrus.SetOutput(io.Discard)
	mux.Handle("/v2/", handlers.NewApp(context.Background(), config))
	return r, nil
}

func (r *Registry) basic(dir string) (configuration.Auth, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(r.Password), bcrypt.MinCost)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "htpasswd")
	err = os.WriteFile(path, []byte(r.User+":"+string(hash)+"\n"), 0o600)
	return configuration.Auth{"htpasswd": configuration.Parameters{"realm": "test", "path": path}}, err
}

func (r *Registry) token(dir string) (configuration.Auth, error) {
	path := filepath.Join(dir, "token.crt")
	err := os.WriteFile(path, []byte(r.Certificate()), 0o600)
	return configuration.Auth{"token": configuration.Parameters{
		"realm": "https://" + r.Host + "/token", "issuer": issuer, "service": service, "rootcertbundle": path,
	}}, err
}

// serveToken gives the user a token for what is asked.
func (r *Registry) serveToken(w http.ResponseWriter, req *http.Request) {
	user, password, ok := req.BasicAuth()
	if !ok || user != r.User || password != r.Password {
		w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}`, http.StatusUnauthorized)
		return
	}
	text, err := r.sign(user, req.URL.Query()["scope"])
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"token": text, "access_token": text, "expires_in": 300})
}

func (r *Registry) sign(user string, scopes []string) (string, error) {
	cert := r.certificate()
	options := (&jose.SignerOptions{}).WithType("JWT").
		WithHeader("x5c", []string{base64.StdEncoding.EncodeToString(cert.Certificate[0])})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: cert.PrivateKey}, options)
	if err != nil {
		return "", err
	}
	claims := token.ClaimSet{
		Issuer: issuer, Subject: user, Audience: token.AudienceList{service}, JWTID: rand.Text(),
		IssuedAt: time.Now().Unix(), NotBefore: time.Now().Add(-time.Minute).Unix(), Expiration: time.Now().Add(time.Hour).Unix(),
	}
	for _, s := range strings.Fields(strings.Join(scopes, " ")) {
		parts := strings.SplitN(s, ":", 3)
		if len(parts) != 3 {
			return "", fmt.Errorf("scope %q has not three parts", s)
		}
		claims.Access = append(claims.Access, &token.ResourceActions{Type: parts[0], Name: parts[1], Actions: strings.Split(parts[2], ",")})
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

func (r *Registry) certificate() tls.Certificate { return r.server.TLS.Certificates[0] }

// Certificate returns the certificate that vouches for the registry, as PEM:
// what belongs into certs.d/HOST/ca.crt.
func (r *Registry) Certificate() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw}))
}

// Transport returns a transport that trusts the registry.
func (r *Registry) Transport() http.RoundTripper {
	pool := x509.NewCertPool()
	pool.AddCert(r.server.Certificate())
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
}

// Close stops the registry.
func (r *Registry) Close() { r.server.Close() }
