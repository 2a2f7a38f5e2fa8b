package ask

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpull/mpull/engine/registry"
)

// slowBody gives a little at a time, as a connection that is the bottleneck.
type slowBody struct {
	io.Reader
	closed bool
}

func (s *slowBody) Read(p []byte) (int, error) {
	time.Sleep(100 * time.Millisecond) //nolint:forbidigo // the time of a synctest bubble
	return s.Reader.Read(p[:min(len(p), 300<<10)])
}

func (s *slowBody) Close() error {
	s.closed = true
	return nil
}

// partServer serves parts of a blob.
type partServer struct {
	blob   []byte
	answer func(n int, offset int64) (at int64, err error) // for the nth request

	mu        sync.Mutex
	asked     int
	now, peak int
}

func (s *partServer) open(_ context.Context, offset, length int64) (io.ReadCloser, int64, error) {
	s.mu.Lock()
	s.asked++
	n := s.asked
	s.now++
	s.peak = max(s.peak, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	time.Sleep(time.Second) //nolint:forbidigo // the time of a synctest bubble
	at, err := offset, error(nil)
	if s.answer != nil {
		at, err = s.answer(n, offset)
	}
	if err != nil {
		return nil, 0, err
	}
	rest := s.blob[at:]
	if length >= 0 && at == offset {
		rest = rest[:length]
	}
	return io.NopCloser(bytes.NewReader(rest)), at, nil
}

func TestWiden(t *testing.T) {
	tooMany := &registry.StatusError{Code: 429}
	for name, tt := range map[string]struct {
		size   int
		answer func(n int, offset int64) (int64, error)
		least  int // requests for parts
		most   int
		off    bool // no more in this pull
	}{
		"large":      {32 << 20, nil, 10, 20, false},
		"small":      {4 << 20, nil, 0, 0, false},
		"not even":   {32<<20 + 12345, nil, 10, 20, false},
		"no ranges":  {32 << 20, func(int, int64) (int64, error) { return 0, nil }, 1, partsAhead + 1, true},
		"asked much": {32 << 20, func(int, int64) (int64, error) { return 0, tooMany }, 1, partsAhead + 1, true},
		"much, later": {32 << 20, func(n int, offset int64) (int64, error) {
			if n == 6 {
				return 0, tooMany
			}
			return offset, nil
		}, 6, 6 + 2*partsAhead, true}, // others end while the answer is on its way
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &partServer{blob: bytes.Repeat([]byte("0123456789abcdef!"), tt.size/17+1)[:tt.size], answer: tt.answer}
				w := NewWidener(&Asker{})
				body := w.widen(t.Context(), &slowBody{Reader: bytes.NewReader(s.blob)}, 0, int64(tt.size), s.open, func(int64) {})
				got, err := io.ReadAll(body)
				if err != nil || !bytes.Equal(got, s.blob) {
					t.Errorf("%d of %d bytes, %v", len(got), tt.size, err)
				}
				if err := body.Close(); err != nil {
					t.Error(err)
				}
				if s.asked < tt.least || s.asked > tt.most || s.peak > partsAhead+1 || w.off.Load() != tt.off {
					t.Errorf("%d requests, %d at once, off %v", s.asked, s.peak, w.off.Load())
				}
			})
		})
	}
}

// TestWidenEnds leaves nothing running behind a blob that is given up.
func TestWidenEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &partServer{blob: make([]byte, 32<<20)}
		w := NewWidener(&Asker{})
		ctx, cancel := context.WithCancelCause(t.Context())
		body := w.widen(ctx, &slowBody{Reader: bytes.NewReader(s.blob)}, 0, int64(len(s.blob)), s.open, func(int64) {})
		if _, err := io.CopyN(io.Discard, body, 20<<20); err != nil {
			t.Fatal(err)
		}
		cancel(errors.New("given up"))
		if err := body.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		time.Sleep(time.Minute) //nolint:forbidigo // the time of a synctest bubble
		if s.now != 0 || len(w.parts) != 0 {
			t.Errorf("%d parts are still asked for, %d places taken", s.now, len(w.parts))
		}
	})
}
