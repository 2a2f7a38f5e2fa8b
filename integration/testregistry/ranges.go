package testregistry

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"
)

// Ranges has a registry give several parts of a blob in one answer: the one in
// memory knows a single part only.
func Ranges(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet || !strings.Contains(req.URL.Path, "/blobs/") || !strings.Contains(req.Header.Get("Range"), ",") {
			inner.ServeHTTP(w, req)
			return
		}
		whole, ask := httptest.NewRecorder(), req.Clone(req.Context())
		ask.Header.Del("Range")
		inner.ServeHTTP(whole, ask)
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(whole.Body.Bytes()))
	})
}

// Counter counts the bytes of all answers.
type Counter struct{ n atomic.Int64 }

// Bytes returns how many came since the last call.
func (c *Counter) Bytes() int64 { return c.n.Swap(0) }

// Around counts what a registry answers.
func (c *Counter) Around(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { inner.ServeHTTP(&counting{w, c}, req) })
}

type counting struct {
	http.ResponseWriter
	to *Counter
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.to.n.Add(int64(n))
	return n, err
}
