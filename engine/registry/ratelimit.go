package registry

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.podman.io/image/v5/docker/reference"
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
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	c, err := newClient(ctx, sys, physical)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	resp, err := c.do(ctx, http.MethodHead, c.url("manifests", tagOrDigest(c.named)), c.authorize)
	if err != nil {
		return nil, err
	}
	return parseRateLimit(resp.header), nil // also an answer that refuses tells what is left
}

// headTimeout is for all requests: the limit is worth no long wait.
const headTimeout = 20 * time.Second

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
