// Package testregistry serves images on a loopback port, in this process, and
// remembers what it was asked.
package testregistry

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Registry is a running registry. Close stops it.
type Registry struct {
	Host string // address of the listener, 127.0.0.1:PORT

	server *httptest.Server
	mu     sync.Mutex
	log    []string
	fault  http.HandlerFunc
	around http.Handler // what Wrap put around the registry
	inner  http.Handler
}

// New starts a registry in memory.
func New() *Registry {
	r := newRegistry()
	r.server = httptest.NewServer(r)
	r.Host = strings.TrimPrefix(r.server.URL, "http://")
	return r
}

// NewTLS starts a registry in memory that speaks HTTPS only, with a
// certificate for 127.0.0.1 that Certificate returns.
func NewTLS() *Registry {
	r := newRegistry()
	r.server = httptest.NewUnstartedServer(r)
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.server.StartTLS()
	r.Host = strings.TrimPrefix(r.server.URL, "https://")
	return r
}

func newRegistry() *Registry {
	inner := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	return &Registry{inner: inner, around: inner}
}

// ServeHTTP answers one request.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.log = append(r.log, req.Method+" "+req.URL.Path)
	fault, around := r.fault, r.around
	r.mu.Unlock()
	if fault != nil {
		answer := &answered{ResponseWriter: w}
		fault(answer, req)
		if answer.done {
			return
		}
	}
	around.ServeHTTP(w, req)
}

// Wrap puts f around the registry, in place of what was put there before: it
// can change requests and answers. nil ends it.
func (r *Registry) Wrap(f func(http.Handler) http.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.around = r.inner
	if f != nil {
		r.around = f(r.inner)
	}
}

// Certificate returns the registry's certificate in PEM, "" without TLS.
func (r *Registry) Certificate() string {
	if r.server.Certificate() == nil {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw}))
}

// answered notes whether a fault has answered the request.
type answered struct {
	http.ResponseWriter
	done bool
}

func (a *answered) WriteHeader(code int) {
	a.done = true
	a.ResponseWriter.WriteHeader(code)
}

func (a *answered) Write(p []byte) (int, error) {
	a.done = true
	return a.ResponseWriter.Write(p)
}

// Fault makes f look at each request first; a request that it answers goes no
// further. nil ends it.
func (r *Registry) Fault(f http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
}

// Requests returns what was asked since the last call, as "METHOD /path",
// pings of /v2/ left out.
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var asked []string
	for _, line := range r.log {
		if !strings.HasSuffix(line, " /v2/") {
			asked = append(asked, line)
		}
	}
	r.log = nil
	return asked
}

// PushIndex stores an index under repo:tag.
func (r *Registry) PushIndex(repoTag string, index v1.ImageIndex) error {
	ref, err := name.ParseReference(r.Host+"/"+repoTag, name.Insecure)
	if err != nil {
		return err
	}
	return remote.WriteIndex(ref, index, remote.WithTransport(r.server.Client().Transport))
}

// PushImage stores an image under repo:tag.
func (r *Registry) PushImage(repoTag string, img v1.Image) error {
	ref, err := name.ParseReference(r.Host+"/"+repoTag, name.Insecure)
	if err != nil {
		return err
	}
	return remote.Write(ref, img, remote.WithTransport(r.server.Client().Transport))
}

// Close stops the registry.
func (r *Registry) Close() { r.server.Close() }
