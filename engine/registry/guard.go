package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/types"
)

// RefusedError says that a registry wanted to lead a request to a place that
// the user did not name and that must not be trusted with it: the address of a
// token server, of a redirect, or of a layer kept elsewhere.
type RefusedError struct {
	Registry string // host[:port] that was asked
	URL      string // where it led, without user information
	Why      string
	Next     string // what the user can do
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the registry %s leads to %s, which is refused: %s", e.Registry, e.URL, e.Why)
}

// Guard watches every request that the image library makes for one reference.
// The library follows the realm of a WWW-Authenticate header, redirects and
// the URLs of foreign layers as they are; the guard refuses
//
//   - plain http where the registry itself was reached over https;
//   - loopback, private and link-local addresses, unless the registry has such
//     an address itself;
//   - user information in a URL;
//   - to send credentials to a token server of another domain, unless the user
//     has logged in there too.
//
// It costs no request: the library asks it which proxy a request takes. The
// challenge that names the token server comes with the first answer, the one
// to /v2/, so what is asked of another host between that and the first
// manifest or blob is a token.
type Guard struct {
	sys   *types.SystemContext // for credentials
	ref   reference.Named
	hosts map[string]bool // host[:port] of the registry and its mirrors, as the library asks them
	proxy func(*url.URL) (*url.URL, error)

	mu      sync.Mutex
	state   state
	last    spot          // where a manifest or a blob was asked for last
	givenUp map[spot]bool // mirrors that are not asked any more
}

// NewGuard puts a guard into sys, for requests about ref. References of other
// transports make no requests and need none: nil is returned for them.
func NewGuard(sys *types.SystemContext, ref types.ImageReference) *Guard {
	named := ref.DockerReference()
	if named == nil || ref.Transport().Name() != docker.Transport.Name() {
		return nil
	}
	own := *sys // what the caller changes later must not reach the guard
	g := &Guard{sys: &own, ref: named, hosts: map[string]bool{asked(reference.Domain(named)): true}, proxy: sys.DockerProxy, givenUp: map[spot]bool{}}
	if g.proxy == nil {
		g.proxy = func(u *url.URL) (*url.URL, error) { return http.ProxyFromEnvironment(&http.Request{URL: u}) }
	}
	if places, err := pullPlaces(sys, named); err == nil {
		for _, p := range places {
			g.hosts[asked(reference.Domain(p.named))] = true
		}
	}
	g.state = state{ctx: context.Background(), registry: asked(reference.Domain(named))}
	sys.DockerProxy = g.check
	return g
}

// asked is the host that the library asks for a registry.
func asked(domain string) string {
	if domain == "docker.io" {
		return "registry-1.docker.io"
	}
	return domain
}

// Observe makes f be called with each URL before it is asked; nil ends it. What
// the guard itself asks, of the name service, ends with ctx.
func (g *Guard) Observe(ctx context.Context, f func(*url.URL)) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state.ctx, g.state.observe = ctx, f
}

// check returns the proxy for a request, or refuses it.
func (g *Guard) check(u *url.URL) (*url.URL, error) {
	observe, err := g.judge(u)
	if err != nil {
		return nil, err
	}
	if err := g.visit(u); err != nil {
		return nil, err
	}
	if observe != nil {
		observe(u)
	}
	return g.proxy(u)
}

// state is what a guard knows at a moment.
type state struct {
	ctx      context.Context //nolint:containedctx // the library asks for a proxy without one
	observe  func(*url.URL)
	registry string   // the one asked last
	asked    bool     // it was asked
	plain    bool     // it answers over http
	beyond   bool     // manifests or blobs were asked for
	before   []string // registries that were asked and did not give it
}

// Skipped returns the mirrors that were asked first, in vain, and the host that
// gave the image.
func (g *Guard) Skipped() (mirrors []string, taken string) {
	if g == nil {
		return nil, ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Compact(slices.Clone(g.state.before)), g.state.registry
}

func (g *Guard) judge(u *url.URL) (func(*url.URL), error) {
	own := g.hosts[u.Host]
	now, first := g.look(u, own)
	if first {
		return now.observe, nil
	}
	// No lock is held here: names and credential helpers are asked.
	if u.User != nil {
		return nil, now.refuse(u, "it has a user name or password in it", "")
	}
	if u.Scheme != "https" && !now.plain {
		return nil, now.refuse(u, "the registry is reached over https, and this is not", "")
	}
	if !now.reachable(u.Hostname()) {
		return nil, now.refuse(u, "that address is one of this machine or of a private network, and the registry's is not", "")
	}
	if !now.beyond && u.Host != now.registry && !g.trusted(now, u.Hostname()) {
		return nil, now.refuse(u, "the credentials for the registry would be sent to another domain",
			fmt.Sprintf("if %s really is its token server, log in there too", u.Host))
	}
	if own && strings.HasPrefix(u.Path, "/v2/") {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.state.beyond = true
	}
	return now.observe, nil
}

// look returns what is known, and whether this is the first request to a
// registry: over http only when https failed and the user allows that.
func (g *Guard) look(u *url.URL, own bool) (now state, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	first = own && u.Path == "/v2/"
	if first && g.state.registry != u.Host && g.state.asked {
		g.state.before = append(g.state.before, g.state.registry)
	}
	if first {
		g.state.asked = true
		g.state.registry, g.state.plain, g.state.beyond = u.Host, u.Scheme == "http", false
	}
	return g.state, first
}

func (s state) refuse(u *url.URL, why, next string) error {
	shown := *u
	shown.User, shown.RawQuery = nil, ""
	return &RefusedError{Registry: s.registry, URL: shown.String(), Why: why, Next: next}
}

// reachable tells whether a host may be asked, by its address.
func (s state) reachable(host string) bool {
	c := classOf(host)
	if c == public || c == classOf(hostname(s.registry)) {
		return true
	}
	// A registry in a private network that has a name may use addresses there.
	return c != unusual && c == resolve(s.ctx, hostname(s.registry))
}

// trusted tells whether a token server may see the credentials: there are
// none, or it is of the registry's domain, or the user named it.
func (g *Guard) trusted(now state, host string) bool {
	if sameDomain(host, hostname(now.registry)) {
		return true
	}
	auth, err := config.GetCredentialsForRef(g.sys, g.ref)
	if err == nil && auth == (types.DockerAuthConfig{}) {
		return true
	}
	stored := *g.sys
	stored.DockerAuthConfig = nil // --creds is for the registry only
	auth, err = config.GetCredentials(&stored, host)
	return err == nil && auth != (types.DockerAuthConfig{})
}

func hostname(hostport string) string { return (&url.URL{Host: hostport}).Hostname() }
