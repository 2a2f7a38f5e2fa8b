package ask

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestAnswersEndless tells a blob from an answer that only goes on, also while
// blobs are read beside it.
func TestAnswersEndless(t *testing.T) {
	step := make(chan int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for n := range step {
			_, _ = w.Write(make([]byte, n))
			w.(http.Flusher).Flush()
		}
	}))
	defer server.Close()
	defer close(step)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var a answers
	req, err := http.NewRequestWithContext(a.trace(ctx), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { step <- 1 }()
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	comes := func(n int) {
		t.Helper()
		step <- n
		if _, err := io.CopyN(io.Discard, resp.Body, int64(n)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 1); err != nil {
		t.Fatal(err)
	}
	for n, look := range []struct {
		bytes int // before it
		blobs int // that begin before it
		want  bool
	}{
		{longestDocument, 1, false}, // a blob
		{1 << 20, 0, false},
		{1 << 20, -1, false}, // it ended after the last look
		{0, 0, false},
		{1 << 20, 0, true}, // no blob, and it goes on
		{0, 0, false},
		{1 << 20, 1, true},
		{1 << 20, 0, false},
	} {
		comes(look.bytes)
		a.blob(look.blobs)
		if got := a.endless(); got != look.want {
			t.Errorf("look %d: %v", n, got)
		}
	}
	resp.Body.Close()
	if a.endless() || len(a.conns) > 0 {
		t.Error("after it was closed: ", a.conns)
	}
}
