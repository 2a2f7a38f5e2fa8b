package ask

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/store/unpack"
)

// flakySource serves a blob whose connections break.
type flakySource struct {
	blob   []byte
	breaks []int // bytes after which each connection breaks, -1 at once; the ones after these are whole
	opened int
	ranges bool // it gives the rest; else it always begins at the first byte
	asked  []int64
}

func (s *flakySource) open(_ context.Context, offset int64) (io.ReadCloser, int64, error) {
	s.opened++
	s.asked = append(s.asked, offset)
	if !s.ranges {
		offset = 0
	}
	if s.opened > len(s.breaks) {
		return io.NopCloser(bytes.NewReader(s.blob[offset:])), offset, nil
	}
	n := s.breaks[s.opened-1]
	if n < 0 {
		return nil, 0, unix.ECONNREFUSED
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(s.blob[min(offset, int64(n)):n]), iotest.ErrReader(io.ErrUnexpectedEOF))), offset, nil
}

func readBlob(t *testing.T, s *flakySource, times int) ([]byte, error) {
	t.Helper()
	ctx, watch := Watch(t.Context(), time.Minute)
	defer watch.Stop()
	retry := Retry{Times: times, Delay: time.Nanosecond}
	layer := unpack.Layer{Digest: digest.FromBytes(s.blob), Size: int64(len(s.blob))}
	r, err := newBlobReader(ctx, layer, retry.start(&Asker{}, 0), watch, nil, s.open)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(r)
	return got, errors.Join(err, r.Close())
}

// TestBlobReader gives every byte once, however often the connection breaks,
// as long as it brings more each time.
func TestBlobReader(t *testing.T) {
	blob := bytes.Repeat([]byte("0123456789"), 7*step/10+1)
	for _, tt := range []struct {
		name   string
		breaks []int
		times  int
		opened int
		want   error
	}{
		{"whole", nil, 0, 1, nil},
		{"refused at first", []int{-1, -1}, 2, 3, nil},
		{"further each time", []int{step, 2 * step, 3*step + 1, 4 * step, len(blob) - 1}, 1, 6, nil},
		{"hardly further", []int{1, 2, 3, 4, 5}, 3, 4, io.ErrUnexpectedEOF},
		{"at the end", []int{len(blob)}, 1, 2, nil},
		{"not further", []int{10, 10, 10}, 2, 3, io.ErrUnexpectedEOF},
		{"shorter in between", []int{500, 20, -1, 600}, 4, 5, nil},
		{"never", []int{-1, -1, -1, -1}, 3, 4, unix.ECONNREFUSED},
		{"without a retry", []int{10}, 0, 1, io.ErrUnexpectedEOF},
	} {
		s := &flakySource{blob: blob, breaks: tt.breaks}
		got, err := readBlob(t, s, tt.times)
		if s.opened != tt.opened || !errors.Is(err, tt.want) || tt.want == nil && (err != nil || !bytes.Equal(got, blob)) {
			t.Errorf("%s: %d bytes after asking %d times, %v; want it after %d, %v", tt.name, len(got), s.opened, err, tt.opened, tt.want)
		}
		var usedUp *usedUpError
		if errors.As(err, &usedUp) != (tt.want != nil) {
			t.Errorf("%s: the pull around it would try again after %v", tt.name, err)
		}
	}
}

// TestBlobReaderRest asks for what is missing only.
func TestBlobReaderRest(t *testing.T) {
	blob := bytes.Repeat([]byte("0123456789"), 3*step/10)
	s := &flakySource{blob: blob, breaks: []int{step + 5, -1, 2 * step}, ranges: true}
	got, err := readBlob(t, s, 2)
	if err != nil || !bytes.Equal(got, blob) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if want := []int64{0, step + 5, step + 5, 2 * step}; !slices.Equal(s.asked, want) {
		t.Errorf("asked for %v, want %v", s.asked, want)
	}
}

// TestBlobReaderEnds leaves for the pull around it what no other try mends.
func TestBlobReaderEnds(t *testing.T) {
	synctest.Test(t, blobReaderEnds)
}

func blobReaderEnds(t *testing.T) {
	ctx, watch := Watch(t.Context(), time.Minute)
	defer watch.Stop()
	start := func(open func() (io.ReadCloser, error)) (*blobReader, error) {
		layer := unpack.Layer{Digest: digest.FromString("x"), Size: 1}
		return newBlobReader(ctx, layer, Retry{Times: 9, Delay: time.Hour}.start(&Asker{}, 0), watch, nil, func(context.Context, int64) (io.ReadCloser, int64, error) {
			blob, err := open()
			return blob, 0, err
		})
	}
	if _, err := start(func() (io.ReadCloser, error) { return nil, unix.ENOSPC }); err != unix.ENOSPC { //nolint:errorlint // not wrapped
		t.Errorf("a full disk: %v", err)
	}
	r, err := start(func() (io.ReadCloser, error) {
		return io.NopCloser(iotest.ErrReader(unix.ECONNRESET)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	closed := time.AfterFunc(10*time.Millisecond, func() { _ = r.Close() })
	defer closed.Stop()
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) { // ends the pause of an hour
		t.Errorf("when closed while it waits: %v", err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	r, err = start(func() (io.ReadCloser, error) {
		return io.NopCloser(iotest.ErrReader(unix.ECONNRESET)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	stalled := time.AfterFunc(10*time.Millisecond, watch.expire)
	defer stalled.Stop()
	var usedUp *usedUpError
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) || errors.As(err, &usedUp) {
		t.Errorf("when the watchdog barks: %v", err)
	}
}
