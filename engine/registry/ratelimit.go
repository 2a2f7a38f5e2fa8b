package registry

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/docker/distribution/registry/client/auth/challenge"
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
// keeps the headers of answers to itself, so this request has a client of its
// own, behind the same Guard.
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
	NewGuard(sys, physical).Observe(ctx, nil)
	auth, err := config.GetCredentialsForRef(sys, physical.DockerReference())
	if err != nil {
		return nil, fmt.Errorf("reading credentials: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	h := &headClient{named: physical.DockerReference(), auth: auth, agent: options.UserAgent}
	if h.client, err = newHTTPClient(sys); err != nil {
		return nil, err
	}
	return h.read(ctx, sys.DockerInsecureSkipTLSVerify == types.OptionalBoolTrue)
}

const (
	headTimeout = 20 * time.Second // for all requests: the limit is worth no long wait
	maxToken    = 1 << 20          // bytes of a token server's answer
)

// newHTTPClient speaks to registries as the library does: through the proxy
// and the guard of sys. It follows no redirect.
func newHTTPClient(sys *types.SystemContext) (*http.Client, error) {
	insecure := sys.DockerInsecureSkipTLSVerify == types.OptionalBoolTrue
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // as the user configured
	if sys.DockerCertPath != "" {
		if err := tlsclientconfig.SetupCertificates(sys.DockerCertPath, conf); err != nil {
			return nil, err
		}
	}
	transport := tlsclientconfig.NewTransport()
	transport.TLSClientConfig, transport.DisableKeepAlives = conf, true
	transport.Proxy = func(req *http.Request) (*url.URL, error) { return sys.DockerProxy(req.URL) }
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// headClient makes the few requests that one HEAD takes.
type headClient struct {
	client *http.Client
	named  reference.Named
	auth   types.DockerAuthConfig
	agent  string
}

func (h *headClient) read(ctx context.Context, insecure bool) (*RateLimit, error) {
	host := asked(reference.Domain(h.named))
	base := "https://" + host
	ping, err := h.do(ctx, http.MethodGet, base+"/v2/", nil)
	if err != nil && insecure && ctx.Err() == nil {
		base = "http://" + host
		ping, err = h.do(ctx, http.MethodGet, base+"/v2/", nil)
	}
	if err != nil {
		return nil, err
	}
	authorize, err := h.authorize(ctx, ping)
	if err != nil {
		return nil, err
	}
	resp, err := h.do(ctx, http.MethodHead, base+"/v2/"+reference.Path(h.named)+"/manifests/"+tagOrDigest(h.named), authorize)
	if err != nil {
		return nil, err
	}
	return parseRateLimit(resp.header), nil // also an answer that refuses tells what is left
}

// answer is what is read of a response.
type answer struct {
	header     http.Header
	challenges []challenge.Challenge
	body       []byte
}

func (h *headClient) do(ctx context.Context, method, address string, authorize func(*http.Request)) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", h.agent)
	if authorize != nil {
		authorize(req)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxToken))
	return &answer{resp.Header, challenge.ResponseChallenges(resp), body}, errors.Join(err, resp.Body.Close())
}

// authorize answers the challenge of a registry's /v2/: nil when there is none.
func (h *headClient) authorize(ctx context.Context, ping *answer) (func(*http.Request), error) {
	for _, c := range ping.challenges {
		switch strings.ToLower(c.Scheme) {
		case "basic":
			return h.basic, nil
		case "bearer":
			return h.bearer(ctx, c.Parameters)
		}
	}
	return nil, nil
}

func (h *headClient) basic(req *http.Request) {
	if h.auth.Username != "" {
		req.SetBasicAuth(h.auth.Username, h.auth.Password)
	}
}

// bearer gets a token to pull (distribution, "Token Authentication").
func (h *headClient) bearer(ctx context.Context, parameters map[string]string) (func(*http.Request), error) {
	realm, err := url.Parse(parameters["realm"])
	if err != nil {
		return nil, fmt.Errorf("reading the address of the token server: %w", err)
	}
	query := realm.Query()
	query.Set("scope", "repository:"+reference.Path(h.named)+":pull")
	if service := parameters["service"]; service != "" {
		query.Set("service", service)
	}
	realm.RawQuery = query.Encode()
	got, err := h.do(ctx, http.MethodGet, realm.String(), h.basic)
	if err != nil {
		return nil, err
	}
	var token struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(got.body, &token); err != nil {
		return nil, fmt.Errorf("reading the token: %w", err)
	}
	if token.Token == "" {
		token.Token = token.AccessToken
	}
	return func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+token.Token) }, nil
}

func tagOrDigest(named reference.Named) string {
	switch n := named.(type) {
	case reference.Digested:
		return n.Digest().String()
	case reference.Tagged:
		return n.Tag()
	}
	return "latest"
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
