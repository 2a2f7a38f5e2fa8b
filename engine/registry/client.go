package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/distribution/registry/client/auth/challenge"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/pkg/tlsclientconfig"
	"go.podman.io/image/v5/types"
)

// maxAnswer bounds what is read of an answer that is not a blob: a token, the
// text of an error.
const maxAnswer = 1 << 20

// client asks one registry what the image library has no public way to ask for:
// the headers of an answer, the rest of a blob. It speaks as the library does,
// behind a Guard of its own.
type client struct {
	http      *http.Client
	named     reference.Named
	auth      types.DockerAuthConfig
	agent     string
	insecure  bool                // it may be reached over http
	base      string              // scheme and host, once connected
	authorize func(*http.Request) // nil where nothing is wanted
}

// newClient returns a client for the place of a reference, which is where the
// registry or a mirror is. It puts a Guard into sys.
func newClient(ctx context.Context, sys *types.SystemContext, physical types.ImageReference) (*client, error) {
	NewGuard(sys, physical).Observe(ctx, nil)
	named := physical.DockerReference()
	auth, err := config.GetCredentialsForRef(sys, named)
	if err != nil {
		return nil, fmt.Errorf("reading credentials: %w", err)
	}
	c := &client{named: named, auth: auth, agent: sys.DockerRegistryUserAgent, insecure: sys.DockerInsecureSkipTLSVerify == types.OptionalBoolTrue}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.insecure} //nolint:gosec // as the user configured
	if dir := certDir(sys, reference.Domain(named)); dir != "" {
		if err := tlsclientconfig.SetupCertificates(dir, conf); err != nil {
			return nil, err
		}
	}
	transport := tlsclientconfig.NewTransport()
	transport.TLSClientConfig = conf
	transport.Proxy = func(req *http.Request) (*url.URL, error) { return sys.DockerProxy(req.URL) }
	c.http = &http.Client{Transport: transport}
	return c, nil
}

// certDir is where the library looks for a registry's certificates
// (containers-certs.d(5)).
func certDir(sys *types.SystemContext, host string) string {
	if sys.DockerCertPath != "" {
		return sys.DockerCertPath
	}
	dirs := []string{"/etc/containers/certs.d", "/etc/docker/certs.d"}
	if home, err := os.UserConfigDir(); err == nil && os.Geteuid() != 0 {
		dirs = append([]string{filepath.Join(home, "containers/certs.d")}, dirs...)
	}
	for _, dir := range dirs {
		dir = filepath.Join(dir, host)
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	return ""
}

// url is the address of something in the repository.
func (c *client) url(kind, name string) string {
	return c.base + "/v2/" + reference.Path(c.named) + "/" + kind + "/" + name
}

func (c *client) close() { c.http.CloseIdleConnections() }

// connect finds out how the registry is reached, and gets what it wants to see.
func (c *client) connect(ctx context.Context) error {
	host := asked(reference.Domain(c.named))
	c.base = "https://" + host
	ping, err := c.do(ctx, http.MethodGet, c.base+"/v2/", nil)
	if err != nil && c.insecure && ctx.Err() == nil {
		c.base = "http://" + host
		ping, err = c.do(ctx, http.MethodGet, c.base+"/v2/", nil)
	}
	if err != nil {
		return err
	}
	c.authorize, err = c.prove(ctx, ping)
	return err
}

// answer is what is read of a response.
type answer struct {
	header     http.Header
	challenges []challenge.Challenge
	body       []byte
}

func (c *client) do(ctx context.Context, method, address string, authorize func(*http.Request)) (*answer, error) {
	resp, err := c.send(ctx, method, address, authorize, nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return &answer{resp.Header, challenge.ResponseChallenges(resp), body}, errors.Join(err, resp.Body.Close())
}

// send makes one request. The caller closes the body of its answer.
func (c *client) send(ctx context.Context, method, address string, authorize func(*http.Request), header map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.agent)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	if authorize != nil {
		authorize(req)
	}
	return c.http.Do(req)
}

// prove answers the challenge of a registry's /v2/: nil when there is none.
func (c *client) prove(ctx context.Context, ping *answer) (func(*http.Request), error) {
	for _, ch := range ping.challenges {
		switch strings.ToLower(ch.Scheme) {
		case "basic":
			return c.basic, nil
		case "bearer":
			return c.bearer(ctx, ch.Parameters)
		}
	}
	return nil, nil
}

func (c *client) basic(req *http.Request) {
	if c.auth.Username != "" {
		req.SetBasicAuth(c.auth.Username, c.auth.Password)
	}
}

// bearer gets a token to pull (distribution, "Token Authentication").
func (c *client) bearer(ctx context.Context, parameters map[string]string) (func(*http.Request), error) {
	realm, err := url.Parse(parameters["realm"])
	if err != nil {
		return nil, fmt.Errorf("reading the address of the token server: %w", err)
	}
	query := realm.Query()
	query.Set("scope", "repository:"+reference.Path(c.named)+":pull")
	if service := parameters["service"]; service != "" {
		query.Set("service", service)
	}
	realm.RawQuery = query.Encode()
	got, err := c.do(ctx, http.MethodGet, realm.String(), c.basic)
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
	value := "Bearer " + cmp.Or(token.Token, token.AccessToken)
	return func(req *http.Request) { req.Header.Set("Authorization", value) }, nil
}
