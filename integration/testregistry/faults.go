package testregistry

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"
)

// Fault is a way in which a registry answers wrongly. Answer gets what the
// registry would have said.
type Fault struct {
	Name   string
	Answer func(w http.ResponseWriter, req *http.Request, right *httptest.ResponseRecorder)
}

// Poison makes the registry answer the requests that match with a fault, until
// Wrap or Poison is called again.
func (r *Registry) Poison(f Fault, match func(*http.Request) bool) {
	r.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if !match(req) {
				next.ServeHTTP(w, req)
				return
			}
			ask := req.Clone(req.Context())
			ask.Header.Del("Range")
			right := httptest.NewRecorder()
			next.ServeHTTP(right, ask)
			f.Answer(w, req, right)
		})
	})
}

// Faults lists what can go wrong with one answer. other is the address of a
// server that serves what this one does, plain one that does so over http.
func Faults(other, plain string) []Fault {
	faults := []Fault{
		{"401 again and again", func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}},
		status(http.StatusForbidden, nil), status(http.StatusNotFound, nil), status(http.StatusMethodNotAllowed, nil),
		status(http.StatusInternalServerError, nil), status(http.StatusBadGateway, nil),
		status(http.StatusServiceUnavailable, nil), status(http.StatusGatewayTimeout, nil),
	}
	for _, after := range []string{"0", "1", "3600", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), "soon"} {
		faults = append(faults, status(http.StatusTooManyRequests, map[string]string{"Retry-After": after}))
	}
	faults = append(faults, connectionFaults()...)
	faults = append(faults, bodyFaults()...)
	return append(faults,
		redirect("redirect loop", func(req *http.Request) string { return req.URL.Path }),
		redirect("redirect to another host", func(req *http.Request) string { return other + req.URL.Path }),
		redirect("redirect from https to http", func(req *http.Request) string { return plain + req.URL.Path }))
}

func status(code int, header map[string]string) Fault {
	name := strconv.Itoa(code)
	for k, v := range header {
		name += " " + k + " " + v
	}
	return Fault{name, func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) {
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"errors":[{"code":"UNKNOWN","message":"fault %d"}]}`, code)
	}}
}

func redirect(name string, to func(*http.Request) string) Fault {
	return Fault{name, func(w http.ResponseWriter, req *http.Request, _ *httptest.ResponseRecorder) {
		http.Redirect(w, req, to(req), http.StatusTemporaryRedirect)
	}}
}

// wire sends raw bytes in place of an answer; abrupt ends with a reset.
func wire(w http.ResponseWriter, data []byte, abrupt bool) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write(data)
	if tcp, ok := conn.(*net.TCPConn); ok && abrupt {
		_ = tcp.SetLinger(0)
	}
}

// head is the start of an answer that claims so many bytes.
func head(right *httptest.ResponseRecorder, length int) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", right.Header().Get("Content-Type"), length)
}

func connectionFaults() []Fault {
	type answer = *httptest.ResponseRecorder
	half := func(right answer) []byte {
		return append(head(right, right.Body.Len()), right.Body.Bytes()[:right.Body.Len()/2]...)
	}
	return []Fault{
		{"reset before the headers", func(w http.ResponseWriter, _ *http.Request, _ answer) { wire(w, nil, true) }},
		{"reset in the body", func(w http.ResponseWriter, _ *http.Request, right answer) { wire(w, half(right), true) }},
		{"end in the body", func(w http.ResponseWriter, _ *http.Request, right answer) { wire(w, half(right), false) }},
		{"no HTTP", func(w http.ResponseWriter, _ *http.Request, _ answer) {
			wire(w, []byte("\x00\x01garbage\r\n\r\n"), false)
		}},
		{"stall before the headers", func(_ http.ResponseWriter, req *http.Request, _ answer) { <-req.Context().Done() }},
		{"stall after one byte", func(w http.ResponseWriter, req *http.Request, right answer) {
			send(w, right, right.Body.Len(), right.Body.Bytes()[:1])
			<-req.Context().Done()
		}},
		{"ten bytes a second", func(w http.ResponseWriter, req *http.Request, right answer) {
			copyHeader(w, right, right.Body.Len())
			for _, c := range right.Body.Bytes() {
				if _, err := w.Write([]byte{c}); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				select {
				case <-req.Context().Done():
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}},
		{"206 with the wrong range", func(w http.ResponseWriter, req *http.Request, right answer) {
			if req.Header.Get("Range") == "" {
				wire(w, half(right), false)
				return
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 1-2/%d", right.Body.Len()))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(right.Body.Bytes()[1:3])
		}},
		{"200 to a Range", func(w http.ResponseWriter, req *http.Request, right answer) {
			if req.Header.Get("Range") == "" {
				wire(w, half(right), false)
				return
			}
			send(w, right, right.Body.Len(), right.Body.Bytes())
		}},
	}
}

func copyHeader(w http.ResponseWriter, right *httptest.ResponseRecorder, length int) {
	w.Header().Set("Content-Type", right.Header().Get("Content-Type"))
	if length >= 0 {
		w.Header().Set("Content-Length", strconv.Itoa(length))
	}
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
}

func send(w http.ResponseWriter, right *httptest.ResponseRecorder, length int, body []byte) {
	copyHeader(w, right, length)
	_, _ = w.Write(body)
	w.(http.Flusher).Flush()
}

func bodyFaults() []Fault {
	type answer = *httptest.ResponseRecorder
	return []Fault{
		{"Content-Length too short", func(w http.ResponseWriter, _ *http.Request, right answer) {
			wire(w, append(head(right, right.Body.Len()-1), right.Body.Bytes()...), false)
		}},
		{"Content-Length too long", func(w http.ResponseWriter, _ *http.Request, right answer) {
			wire(w, append(head(right, right.Body.Len()+1), right.Body.Bytes()...), false)
		}},
		{"no Content-Length", func(w http.ResponseWriter, _ *http.Request, right answer) {
			send(w, right, -1, right.Body.Bytes())
		}},
		{"other content", func(w http.ResponseWriter, _ *http.Request, right answer) {
			w.Header().Set("Docker-Content-Digest", right.Header().Get("Docker-Content-Digest"))
			send(w, right, right.Body.Len(), bytes.Repeat([]byte{'7'}, right.Body.Len()))
		}},
		{"a byte more", func(w http.ResponseWriter, _ *http.Request, right answer) {
			send(w, right, right.Body.Len()+1, append(right.Body.Bytes(), '\n'))
		}},
		{"empty", func(w http.ResponseWriter, _ *http.Request, right answer) { send(w, right, 0, nil) }},
		{"wrong Content-Type", func(w http.ResponseWriter, _ *http.Request, right answer) {
			right.Header().Set("Content-Type", "text/html")
			send(w, right, right.Body.Len(), right.Body.Bytes())
		}},
		{"Content-Encoding gzip", func(w http.ResponseWriter, _ *http.Request, right answer) {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			_, _ = z.Write(right.Body.Bytes())
			_ = z.Close()
			w.Header().Set("Content-Encoding", "gzip")
			send(w, right, packed.Len(), packed.Bytes())
		}},
		{"endless", func(w http.ResponseWriter, req *http.Request, right answer) {
			copyHeader(w, right, -1)
			data := []byte(strings.Repeat(" ", 64<<10))
			for req.Context().Err() == nil {
				if _, err := w.Write(data); err != nil {
					return
				}
			}
		}},
	}
}
