package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/pkg/tlsclientconfig"
	"go.podman.io/image/v5/types"
)

// RateLimit is what Docker Hub says about pulls still allowed. JSON names are
// stable.
type RateLimit struct {
	Limit     int   `json:"limit"`     // manifests in a window
	Remaining int   `json:"remaining"` // still left in it
	Window    int64 `json:"window"`    // seconds; 0 when not said
}

// hub is the registry that counts manifests and tells what is left
// (docs.docker.com, "Docker Hub usage and limits").
const hub = "docker.io"

// ReadRateLimit asks Docker Hub with one HEAD request, which it does not
// count, what is left of the rate limit. It returns nil without a request for
// other registries, and nil when the answer has no limit. The library's client
// keeps answers' headers to itself, so this request has a client of its own.
func ReadRateLimit(ctx context.Context, options Options, ref types.ImageReference) (*RateLimit, error) {
	named := ref.DockerReference()
	if named == nil || reference.Domain(named) != hub {
		return nil, nil
	}
	sys, err := options.SystemContext()
	if err != nil {
		return nil, err
	}
	physical, sys, err := primary(sys, ref)
	if err != nil {
		return nil, err
	}
	insecure := sys.DockerInsecureSkipTLSVerify == types.OptionalBoolTrue
	var nameOptions []name.Option
	if insecure {
		nameOptions = append(nameOptions, name.Insecure)
	}
	target, err := name.ParseReference(physical.DockerReference().String(), nameOptions...)
	if err != nil {
		return nil, err
	}
	auth, err := authenticator(sys, physical.DockerReference())
	if err != nil {
		return nil, err
	}
	headers, err := newHeaderReader(sys, target.Context().RegistryStr(), insecure)
	if err != nil {
		return nil, err
	}
	_, err = remote.Head(target, remote.WithContext(ctx), remote.WithAuth(auth), remote.WithTransport(headers), remote.WithUserAgent(options.UserAgent))
	if limit := headers.limit(); limit != nil {
		return limit, nil // also an answer that refuses tells what is left
	}
	return nil, err
}

// authenticator gives the credentials that the library would use.
func authenticator(sys *types.SystemContext, named reference.Named) (authn.Authenticator, error) {
	c, err := config.GetCredentialsForRef(sys, named)
	if err != nil {
		return nil, fmt.Errorf("reading credentials: %w", err)
	}
	if sys.DockerAuthConfig != nil {
		c = *sys.DockerAuthConfig
	}
	if c == (types.DockerAuthConfig{}) {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(authn.AuthConfig{Username: c.Username, Password: c.Password, IdentityToken: c.IdentityToken}), nil
}

// headerReader passes requests on and keeps the headers that tell the limit.
// It lets nothing leave unencrypted but to a registry that is configured as
// insecure: a registry names the address that gets the password.
type headerReader struct {
	next  http.RoundTripper
	plain string // host that may be spoken to without TLS, "" for none

	mu    sync.Mutex
	found *RateLimit
}

// headTimeout bounds the whole exchange: the limit is worth no long wait.
const headTimeout = 20 * time.Second

func newHeaderReader(sys *types.SystemContext, host string, insecure bool) (*headerReader, error) {
	client := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // as the user configured
	if sys.DockerCertPath != "" {
		if err := tlsclientconfig.SetupCertificates(sys.DockerCertPath, client); err != nil {
			return nil, err
		}
	}
	transport := tlsclientconfig.NewTransport()
	transport.TLSClientConfig = client
	transport.ResponseHeaderTimeout = headTimeout
	transport.DisableKeepAlives = true
	r := &headerReader{next: transport}
	if insecure {
		r.plain = host
	}
	return r, nil
}

// errPlain is returned for a request that would leave without TLS.
var errPlain = errors.New("refused to speak without TLS to another host than the registry")

// RoundTrip implements http.RoundTripper.
func (r *headerReader) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && req.URL.Host != r.plain {
		return nil, errPlain
	}
	resp, err := r.next.RoundTrip(req)
	if err == nil {
		if limit := parseRateLimit(resp.Header); limit != nil {
			r.mu.Lock()
			r.found = limit
			r.mu.Unlock()
		}
	}
	return resp, err
}

func (r *headerReader) limit() *RateLimit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.found
}

// parseRateLimit reads "RateLimit-Limit: 100;w=21600" and
// "RateLimit-Remaining: 76;w=21600"; nil when the remainder is not there.
func parseRateLimit(h http.Header) *RateLimit {
	remaining, window, ok := quota(h.Get("RateLimit-Remaining"))
	if !ok {
		return nil
	}
	limit, _, _ := quota(h.Get("RateLimit-Limit"))
	return &RateLimit{Limit: limit, Remaining: remaining, Window: window}
}

func quota(s string) (n int, window int64, ok bool) {
	number, rest, _ := strings.Cut(s, ";")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 0 {
		return 0, 0, false
	}
	if w, found := strings.CutPrefix(strings.TrimSpace(rest), "w="); found {
		if window, err = strconv.ParseInt(w, 10, 64); err != nil || window < 0 {
			window = 0
		}
	}
	return n, window, true
}
