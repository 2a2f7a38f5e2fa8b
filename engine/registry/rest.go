package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
)

// StatusError says that a registry answered a request for a part of a blob with
// another status than it should.
type StatusError struct {
	Registry string
	Code     int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s answers with %d %s", e.Registry, e.Code, http.StatusText(e.Code))
}

// rests are the clients by which parts of blobs are asked for, made when the
// first part is.
type rests struct {
	mu      sync.Mutex
	clients []*client // in the order in which the library asks mirrors and the registry
}

// InRegistry tells whether the image lies in a registry, where parts of blobs
// can be asked for.
func (i *Image) InRegistry() bool { return i.Ref.Transport().Name() == docker.Transport.Name() }

// Rest asks for a blob from an offset on, and for no more than length bytes of
// it unless that is negative. at is where the answer begins: 0 from a registry
// that has no ranges. A blob is named by its digest, which the caller checks,
// so nothing is asked about whether it changed.
func (i *Image) Rest(ctx context.Context, d digest.Digest, offset, length int64) (body io.ReadCloser, at int64, err error) {
	if err := d.Validate(); err != nil { // it becomes part of a URL
		return nil, 0, err
	}
	err = i.eachPlace(ctx, func(c *client) (err error) {
		body, at, err = c.part(ctx, d, offset, length)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading %s from byte %d: %w", d, offset, err)
	}
	return body, at, nil
}

// eachPlace asks the places where the image lies, in their order, until one
// gives what was wanted.
func (i *Image) eachPlace(ctx context.Context, want func(c *client) error) error {
	clients, err := i.rests.of(ctx, i)
	if err != nil {
		return err
	}
	return FirstOf(ctx, clients, func(c *client) error { return i.rests.ask(ctx, c, want) })
}

// of makes the clients.
func (r *rests) of(ctx context.Context, i *Image) ([]*client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients != nil {
		return r.clients, nil
	}
	places, err := pullPlaces(i.sys, i.Ref.DockerReference())
	if err != nil {
		return nil, err
	}
	for _, p := range places {
		physical, sys, err := p.reached(i.sys)
		if err != nil {
			return nil, err
		}
		sys.DockerProxy = i.guard.proxy // each client has a guard of its own
		c, err := newClient(ctx, sys, physical)
		if err != nil {
			return nil, err
		}
		r.clients = append(r.clients, c)
	}
	return r.clients, nil
}

// ask asks one registry, with a fresh token where the one that it gave does not
// do any more.
func (r *rests) ask(ctx context.Context, c *client, want func(c *client) error) error {
	fresh, err := r.connected(ctx, c, false)
	if err != nil {
		return err
	}
	err = want(c)
	if status, ok := errors.AsType[*StatusError](err); fresh || !ok || status.Code != http.StatusUnauthorized {
		return err
	}
	if _, err := r.connected(ctx, c, true); err != nil {
		return err
	}
	return want(c)
}

// connected makes sure that a client is connected, and reports whether it was
// not.
func (r *rests) connected(ctx context.Context, c *client, anew bool) (fresh bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.base != "" && !anew {
		return false, nil
	}
	if err := c.connect(ctx); err != nil {
		c.base = ""
		return true, err
	}
	return true, nil
}

func (r *rests) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		c.close()
	}
}

// part makes the request for a part of a blob.
func (c *client) part(ctx context.Context, d digest.Digest, offset, length int64) (body io.ReadCloser, at int64, err error) {
	want := fmt.Sprintf("bytes=%d-", offset)
	if length >= 0 {
		want += fmt.Sprint(offset + length - 1)
	}
	resp, err := c.ranges(ctx, d, want)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		return resp.Body, 0, nil
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset)):
		return resp.Body, offset, nil
	}
	return nil, 0, c.refused(resp)
}

// ranges asks for parts of a blob, as a Range header names them.
func (c *client) ranges(ctx context.Context, d digest.Digest, parts string) (*http.Response, error) {
	return c.send(ctx, http.MethodGet, c.url("blobs", d.String()), c.authorize, map[string]string{"Range": parts, "Accept-Encoding": "identity"})
}

// refused is the error of an answer that is not what was asked for.
func (c *client) refused(resp *http.Response) error {
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // so that the connection can be used again
	return errors.Join(&StatusError{c.base, resp.StatusCode}, resp.Body.Close())
}
