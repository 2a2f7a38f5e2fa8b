package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mpull/mpull/integration/testregistry"
)

// wire is what lies between the registry and the tools.
type wire struct {
	sent   atomic.Int64 // bytes that were answered
	stopAt atomic.Int64 // calls stop once when so many were; 0 never
	stop   func()
}

// slowRate is how many bytes a second one answer to a tool brings, of the images
// below bench/slow.
const slowRate = 3 << 20

// around counts, and slows down, what a registry answers.
func (w *wire) around(inner http.Handler) http.Handler {
	inner = testregistry.Ranges(inner)
	return http.HandlerFunc(func(to http.ResponseWriter, req *http.Request) {
		inner.ServeHTTP(&answer{to, w, strings.Contains(req.URL.Path, "/bench/slow/blobs/")}, req)
	})
}

type answer struct {
	http.ResponseWriter
	wire *wire
	slow bool
}

func (a *answer) Write(p []byte) (n int, err error) {
	step := len(p)
	if a.slow {
		step = 32 << 10
	}
	for part := range slices.Chunk(p, max(step, 1)) {
		m, err := a.ResponseWriter.Write(part)
		n += m
		if err != nil {
			return n, err
		}
		if a.slow {
			time.Sleep(time.Duration(m) * time.Second / slowRate) //nolint:forbidigo // it is what makes it slow
		}
		if at := a.wire.stopAt.Load(); a.wire.sent.Add(int64(m)) >= at && at > 0 && a.wire.stopAt.CompareAndSwap(at, 0) {
			a.wire.stop()
		}
	}
	return n, nil
}

// slow fetches one layer of 60 MB where a connection gives three megabytes a second.
func (r *run) slow(ctx context.Context) error {
	return r.cold(ctx, "60 MB, 3 MB/s a connection", r.host+"/bench/slow:1", overlay())
}

// resume measures the pull after one that was killed when nine tenths of its only
// layer, of 200 MB, had come.
func (r *run) resume(ctx context.Context) error {
	ref, size := r.host+"/bench/big:1", int64(bigFiles*bigFile)
	return r.alternate(ctx, "killed at 90 % of 200 MB", overlay(), func(t tool) bool { return t.pull != nil && t.daemon == nil }, func(t tool, s place) ([]string, error) {
		argv := t.pull(s, ref)
		ctx, kill := context.WithCancel(ctx)
		defer kill()
		r.wire.stop = kill
		r.wire.stopAt.Store(r.wire.sent.Load() + size*9/10)
		out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
		if ctx.Err() == nil {
			return nil, fmt.Errorf("%v was not killed: %w: %s", argv, err, out)
		}
		return argv, nil
	}, nil)
}

// update measures a pull of the second version of an image that lists its files
// (zstd:chunked), with enable_partial_images; podman before 5 has no such thing.
func (r *run) update(ctx context.Context, title string, on ground) error {
	conf := filepath.Join(r.dir, "partial.conf")
	if err := os.WriteFile(conf, []byte("[storage]\ndriver = \"overlay\"\n[storage.options]\npull_options = {enable_partial_images = \"true\"}\n"), 0o644); err != nil {
		return err
	}
	on.conf = conf
	able := func(t tool) bool { return t.name == "mpull" || t.name == "plain" }
	return r.alternate(ctx, title, on, able, func(t tool, s place) ([]string, error) {
		_, err := measure(ctx, t.pull(s, r.host+"/bench/chunked:1"), s.env())
		return t.pull(s, r.host+"/bench/chunked:2"), err
	}, nil)
}

// save measures the writing of an archive of the largest image.
func (r *run) save(ctx context.Context) error {
	ref := r.host + "/bench/mid:1"
	return r.alternate(ctx, "save, 215 MB", overlay(), func(t tool) bool { return t.save != nil }, func(t tool, s place) ([]string, error) {
		_, err := measure(ctx, t.pull(s, ref), s.env())
		return t.save(s, ref, filepath.Join(s.dir, "archive.tar")), err
	}, func(s place) error {
		info, err := os.Stat(filepath.Join(s.dir, "archive.tar"))
		if err == nil && info.Size() < int64(r.megabytes)<<19 {
			err = errors.New("the archive holds less than half of the image")
		}
		return err
	})
}
