package faults

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// bigBlob is a registry that serves one large layer, and stops in the middle of
// it as long as stopAt is set.
type bigBlob struct {
	reg     *testregistry.Registry
	size    int64
	stopAt  atomic.Int64  // of the blob; 0 means never
	ranges  atomic.Bool   // it gives parts
	ended   atomic.Bool   // of these only such as have an end
	other   atomic.Bool   // the blob has other contents
	sent    atomic.Int64  // bytes of the layer
	waiting chan struct{} // gets a value when an answer has stopped
}

func newBigBlob(t *testing.T, name string, seed uint64) *bigBlob {
	t.Helper()
	s := &bigBlob{reg: newRegistry(t), waiting: make(chan struct{}, 16)}
	s.ranges.Store(true)
	s.size = pushSizedAs(t, s.reg, name, testimage.Spec{Files: 6, FileSize: 2 << 20, Seed: seed})
	s.reg.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method != http.MethodGet || !strings.Contains(req.URL.Path, "/blobs/") {
				next.ServeHTTP(w, req)
				return
			}
			ask := req.Clone(req.Context())
			ask.Header.Del("Range")
			right := httptest.NewRecorder()
			next.ServeHTTP(right, ask)
			s.serve(w, req, right.Body.Bytes())
		})
	})
	return s
}

func (s *bigBlob) serve(w http.ResponseWriter, req *http.Request, blob []byte) {
	if len(blob) < 1<<20 {
		_, _ = w.Write(blob) // a config
		return
	}
	if s.other.Load() {
		blob = bytes.Repeat([]byte{'7'}, len(blob))
	}
	if !s.ranges.Load() {
		req.Header.Del("Range")
	}
	if s.ended.Load() && strings.HasSuffix(req.Header.Get("Range"), "-") {
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return
	}
	if at := s.stopAt.Load(); at > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(blob)))
		n, _ := w.Write(blob[:at])
		s.sent.Add(int64(n))
		w.(http.Flusher).Flush()
		s.waiting <- struct{}{}
		<-req.Context().Done()
		return
	}
	http.ServeContent(countingWriter{w, &s.sent}, req, "", time.Time{}, bytes.NewReader(blob))
}

// interrupt pulls until the layer has stopped and its beginning is kept, ends
// the pull with a signal, and returns the file that is left.
func (s *bigBlob) interrupt(t *testing.T, b *testbed.Bed, name string, at int64, sig syscall.Signal) (string, testbed.Result) {
	t.Helper()
	s.stopAt.Store(at)
	p := b.Start("pull", "--tls-verify=false", name)
	p.Until(s.waiting)
	path := waitKept(t, b, at)
	if sig == syscall.SIGKILL {
		p.Kill()
	} else {
		p.Signal(sig)
	}
	r := p.Wait()
	s.stopAt.Store(0)
	s.sent.Store(0)
	return path, r
}

// waitKept waits until so much of a layer is kept.
func waitKept(t *testing.T, b *testbed.Bed, n int64) string {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(time.Minute) // another process writes it
	defer tick.Stop()
	for {
		if found := keptFiles(t, b); len(found) == 1 {
			if info, err := os.Stat(found[0]); err == nil && info.Size() >= n {
				return found[0]
			}
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("nothing is kept")
		}
	}
}

func keptFiles(t *testing.T, b *testbed.Bed) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(b.Root, "mpull-downloads", "sha256-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// plannedBytes is what a dry run says that a pull is going to fetch.
func plannedBytes(t *testing.T, b *testbed.Bed, name string) int64 {
	t.Helper()
	var plans []struct{ Download, Kept int64 }
	r := b.Must("pull", "--dry-run", "--format", "json", "--tls-verify=false", name)
	if err := json.Unmarshal([]byte(r.Stdout), &plans); err != nil || len(plans) != 1 || plans[0].Kept == 0 {
		t.Fatalf("a dry run after an interrupted pull: %v: %s", err, r)
	}
	return plans[0].Download
}

// TestResume interrupts a pull at nine tenths of a layer. The next one asks for
// the rest only, and nothing stays behind.
func TestResume(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "interrupted": syscall.SIGINT, "hung up": syscall.SIGHUP} {
		t.Run(name, func(t *testing.T) {
			b, s := newBed(t), newBigBlob(t, "app:1", 11)
			_, r := s.interrupt(t, b, s.reg.Host+"/app:1", s.size*9/10, sig)
			if sig != syscall.SIGKILL && (r.Code != 128+int(sig) || !strings.Contains(r.Stderr, "MB kept; run it again to go on")) {
				t.Errorf("interrupted: %s", r)
			}
			if r := b.Must("df", "--format", "json"); !strings.Contains(r.Stdout, `"leftovers"`) || strings.Contains(r.Stdout, `"leftovers": 0,`) {
				t.Errorf("df does not name what is kept: %s", r)
			}
			planned := plannedBytes(t, b, s.reg.Host+"/app:1")
			b.Must("pull", "--tls-verify=false", s.reg.Host+"/app:1")
			if most := s.size * 12 / 100; s.sent.Load() > most {
				t.Errorf("%d of %d bytes came again, more than %d", s.sent.Load(), s.size, most)
			}
			if came := s.sent.Load(); planned < came || planned > came+1<<20 {
				t.Errorf("%d bytes came, and %d were planned", came, planned)
			}
			if left := keptFiles(t, b); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			sound(t, b, true)
		})
	}
}

// TestResumeOtherTag goes on with a layer that another name has too.
func TestResumeOtherTag(t *testing.T) {
	b, s := newBed(t), newBigBlob(t, "app:1", 12)
	pushSizedAs(t, s.reg, "other/app:2", testimage.Spec{Files: 6, FileSize: 2 << 20, Seed: 12})
	s.interrupt(t, b, s.reg.Host+"/app:1", s.size/2, syscall.SIGKILL)
	b.Must("pull", "--tls-verify=false", s.reg.Host+"/other/app:2")
	if most := s.size * 6 / 10; s.sent.Load() > most {
		t.Errorf("%d of %d bytes came again, more than %d", s.sent.Load(), s.size, most)
	}
	sound(t, b, false)
}

// TestResumeSpoilt pulls after what was kept, or what the registry has, became
// something else. Each pull ends with the right image.
func TestResumeSpoilt(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	for _, c := range []struct {
		name  string
		spoil func(s *bigBlob, path string) error
		most  int64 // of the bytes that may come, percent
	}{
		{"the registry has no ranges", func(s *bigBlob, _ string) error { s.ranges.Store(false); return nil }, 100},
		{"the registry has only ranges with an end", func(s *bigBlob, _ string) error { s.ended.Store(true); return nil }, 60},
		{"truncated", func(s *bigBlob, path string) error { return os.Truncate(path, s.size/4) }, 80},
		{"empty", func(_ *bigBlob, path string) error { return os.Truncate(path, 0) }, 100},
		{"extended by zeros", func(s *bigBlob, path string) error { return os.Truncate(path, s.size*3/4) }, 130},
		{"longer than the layer", func(s *bigBlob, path string) error { return os.Truncate(path, s.size*2) }, 100},
		{"as long as the layer", func(s *bigBlob, path string) error { return os.Truncate(path, s.size-1000) }, 110},
		{"swapped", func(s *bigBlob, path string) error {
			return os.WriteFile(path, bytes.Repeat([]byte("no"), int(s.size/4)), 0o600)
		}, 160},
		{"one byte changed", func(_ *bigBlob, path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte{0xff, 0x00, 0xff}, 1<<20)
			return err
		}, 160},
		{"a link", func(_ *bigBlob, path string) error {
			if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
				return err
			}
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Symlink(victim, path)
		}, 100},
		{"a FIFO", func(_ *bigBlob, path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return syscall.Mkfifo(path, 0o600)
		}, 100},
		{"of another user", func(_ *bigBlob, path string) error { return os.Chown(path, 12345, 12345) }, 100},
		{"unreadable", func(_ *bigBlob, path string) error { return os.Chmod(path, 0) }, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, s := newBed(t), newBigBlob(t, "app:1", 13)
			path, _ := s.interrupt(t, b, s.reg.Host+"/app:1", s.size/2, syscall.SIGKILL)
			if err := c.spoil(s, path); err != nil {
				t.Fatal(err)
			}
			b.Must("pull", "--tls-verify=false", s.reg.Host+"/app:1")
			if most := s.size*c.most/100 + 1<<16; s.sent.Load() > most {
				t.Errorf("%d of %d bytes came, more than %d", s.sent.Load(), s.size, most)
			}
			sound(t, b, false)
			b.Must("prune", "--leftovers", "--force")
			if data, err := os.ReadFile(victim); err == nil && string(data) != "precious" {
				t.Errorf("the link's target is now %q", data)
			}
		})
	}
}

// TestResumeChangedBlob serves other contents first: what was kept of them is
// given up once the digest tells.
func TestResumeChangedBlob(t *testing.T) {
	b, s := newBed(t), newBigBlob(t, "app:1", 14)
	s.other.Store(true)
	s.stopAt.Store(s.size / 2)
	p := b.Start("pull", "--tls-verify=false", s.reg.Host+"/app:1")
	p.Until(s.waiting)
	p.Kill()
	p.Wait()
	s.other.Store(false)
	s.stopAt.Store(0)
	b.Must("pull", "--tls-verify=false", s.reg.Host+"/app:1")
	sound(t, b, false)
}

// TestResumePruned removes what is kept: a day old by itself, else when asked.
func TestResumePruned(t *testing.T) {
	b, s := newBed(t), newBigBlob(t, "app:1", 15)
	path, _ := s.interrupt(t, b, s.reg.Host+"/app:1", s.size/2, syscall.SIGKILL)
	b.Must("prune", "--force")
	if _, err := os.Stat(path); err != nil {
		t.Error("a prune took what is young")
	}
	old := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	b.Must("prune", "--force")
	if _, err := os.Stat(path); err == nil {
		t.Error("a prune leaves what is a day old")
	}
	path, _ = s.interrupt(t, b, s.reg.Host+"/app:1", s.size/2, syscall.SIGKILL)
	b.Must("prune", "--leftovers", "--force")
	if _, err := os.Stat(path); err == nil {
		t.Error("prune --leftovers leaves what is kept")
	}
	sound(t, b, false)
}

// TestSeveralConnections reads a layer of a registry that is slow on each
// connection over several of them, a bounded number, and each byte once. One
// that has no ranges, or is asked too much, is not asked for parts any more.
func TestSeveralConnections(t *testing.T) {
	for name, refuse := range map[string]http.HandlerFunc{
		"ranges":    nil,
		"no ranges": func(_ http.ResponseWriter, req *http.Request) { req.Header.Del("Range") },
		"too many requests": func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Range") != "" {
				w.WriteHeader(http.StatusTooManyRequests)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, reg := newBed(t), newRegistry(t)
			size := pushSizedAs(t, reg, "app:1", testimage.Spec{Files: 12, FileSize: 2 << 20, Seed: 31})
			var sent, now, peak, ranges atomic.Int64
			reg.Wrap(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if req.Method != http.MethodGet || !strings.Contains(req.URL.Path, "/blobs/") {
						next.ServeHTTP(w, req)
						return
					}
					if req.Header.Get("Range") != "" {
						ranges.Add(1)
					}
					if refuse != nil {
						answer := httptest.NewRecorder()
						if refuse(answer, req); answer.Code != http.StatusOK {
							w.WriteHeader(answer.Code)
							return
						}
					}
					peak.Store(max(peak.Load(), now.Add(1)))
					defer now.Add(-1)
					ask := req.Clone(req.Context())
					ask.Header.Del("Range")
					right := httptest.NewRecorder()
					next.ServeHTTP(right, ask)
					http.ServeContent(slowWriter{countingWriter{w, &sent}, req, 16 * time.Millisecond}, req, "", time.Time{}, bytes.NewReader(right.Body.Bytes()))
				})
			})
			b.Must("pull", "--retry", "0", "--tls-verify=false", reg.Host+"/app:1")
			sound(t, b, false)
			asked := ranges.Load()
			if refuse == nil && (asked < 4 || peak.Load() < 3) || refuse != nil && (asked < 1 || asked > 5) || peak.Load() > 6 {
				t.Errorf("%d parts were asked for, %d answers came at once", asked, peak.Load())
			}
			if most := size + 8<<20; sent.Load() > most {
				t.Errorf("%d bytes came of %d", sent.Load(), size)
			}
			t.Logf("%d parts, %d at once, %d bytes of %d", asked, peak.Load(), sent.Load(), size)
		})
	}
}
