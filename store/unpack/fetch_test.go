package unpack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// numbered returns n small layers that differ.
func numbered(t testing.TB, n int) []blob {
	var out []blob
	for i := range n {
		out = append(out, gzipped(t, newTar(t).dir("d").file(fmt.Sprintf("d/f%d", i), many(1000+i, "x")).bytes()))
	}
	return out
}

// eachWay runs a test in a store that stages layers, and in one that has the
// library unpack them.
func eachWay(t *testing.T, test func(t *testing.T, in setting)) {
	needStore(t)
	for _, in := range []setting{{name: "overlay"}, {name: "vfs", driver: "vfs"}} {
		t.Run(in.name, func(t *testing.T) { test(t, in) })
	}
}

// TestFetchFails checks what each failure is reported as, and that it leaves
// nothing behind.
func TestFetchFails(t *testing.T) { eachWay(t, fetchFails) }

func fetchFails(t *testing.T, in setting) {
	broken := errors.New("registry is down")
	bomb := gzipped(t, newTar(t).file("zeros", many(20<<20, "\x00")).bytes())
	for _, tt := range []struct {
		name  string
		blobs []blob
		edit  func(*Layer)
		open  func(image) Opener
		opts  Options
		check func(error) bool
	}{
		{name: "wrong blob digest", edit: func(l *Layer) { l.Digest = digest.FromString("other") },
			open:  func(i image) Opener { return i.openOriginal() },
			check: func(err error) bool { m := mismatch(err); return m != nil && m.What == "blob digest" }},
		{name: "wrong DiffID", edit: func(l *Layer) { l.DiffID = digest.FromString("other") },
			check: func(err error) bool { m := mismatch(err); return m != nil && m.What == "DiffID" }},
		{name: "blob too long", edit: func(l *Layer) { l.Size-- },
			check: func(err error) bool { m := mismatch(err); return m != nil && m.What == "blob size" }},
		{name: "blob too short", edit: func(l *Layer) { l.Size++ },
			check: func(err error) bool { m := mismatch(err); return m != nil && m.What == "blob size" }},
		{name: "foreign layer", edit: func(l *Layer) { l.MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" },
			check: isUnsupported},
		{name: "no DiffID", edit: func(l *Layer) { l.DiffID = "" }, check: isUnsupported},
		{name: "open fails", open: func(image) Opener {
			return func(context.Context, Layer) (io.ReadCloser, error) { return nil, broken }
		}, check: func(err error) bool { return errors.Is(err, broken) }},
		{name: "read fails", open: func(i image) Opener {
			return func(context.Context, Layer) (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader("\x1f\x8b\x08"), failing{broken})), nil
			}
		}, check: func(err error) bool { return errors.Is(err, broken) }},
		{name: "one layer fails while another hangs", blobs: numbered(t, 2), open: func(i image) Opener {
			return func(ctx context.Context, l Layer) (io.ReadCloser, error) {
				if l.Digest == i.layers[1].Digest {
					return nil, broken
				}
				return hanging(ctx), nil
			}
		}, check: func(err error) bool { return errors.Is(err, broken) }},
		{name: "too many bytes", blobs: []blob{bomb}, opts: Options{MaxBytes: 10 << 20},
			check: func(err error) bool { l := limit(err); return l != nil && l.What == "unpacked bytes" }},
		{name: "too many entries", opts: Options{MaxEntries: 1},
			check: func(err error) bool { l := limit(err); return l != nil && l.What == "entries" }},
		{name: "endless headers", blobs: []blob{endlessHeaders(t)},
			check: func(err error) bool { l := limit(err); return l != nil && l.Max == maxHeader }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.blobs == nil {
				tt.blobs = numbered(t, 1)
			}
			img := newImage(t, tt.blobs...)
			open := img.open
			if tt.open != nil {
				open = tt.open(img)
			}
			if tt.edit != nil {
				tt.edit(&img.layers[0])
			}
			store := in.newStore(t)
			_, err := in.fetch(t.Context(), store, img.layers, open, tt.opts)
			if !tt.check(err) {
				t.Errorf("error is %v (%T)", err, err)
			}
			if layers, err := store.Layers(); err != nil || len(layers) != 0 {
				t.Errorf("%d layers, %v", len(layers), err)
			}
			assertNoStaging(t, store)
		})
	}
}

func mismatch(err error) *MismatchError {
	var m *MismatchError
	errors.As(err, &m)
	return m
}

func limit(err error) *LimitError {
	var l *LimitError
	errors.As(err, &l)
	return l
}

// openOriginal returns the only blob, whatever digest is asked for.
func (i image) openOriginal() Opener {
	original := i.blobPath(i.layers[0])
	return func(context.Context, Layer) (io.ReadCloser, error) { return os.Open(original) }
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// hanging returns a body that gives nothing until it is closed.
func hanging(context.Context) io.ReadCloser {
	r, _ := io.Pipe()
	return r
}

// endlessHeaders has one entry with more extended headers than may be kept.
func endlessHeaders(t testing.TB) blob {
	pax := paxRecords("comment", many(900000, "c"))
	one := join(rawHeader("x", 'x', int64(len(pax)), nil), padded(pax))
	return gzipped(t, join(bytes.Repeat(one, 20), rawHeader("f", '0', 0, nil), make([]byte, 1024)))
}

func TestFetchCancelled(t *testing.T) { eachWay(t, fetchCancelled) }

func fetchCancelled(t *testing.T, in setting) {
	store := in.newStore(t)
	img := newImage(t, numbered(t, 3)...)
	reason := errors.New("user pressed Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := in.fetch(ctx, store, img.layers, func(ctx context.Context, _ Layer) (io.ReadCloser, error) {
		cancel(reason)
		return hanging(ctx), nil
	}, Options{})
	if !errors.Is(err, reason) {
		t.Errorf("error is %v, want %v", err, reason)
	}
	assertNoStaging(t, store)
}

// TestFetchCancelledWithTheLibrary ends a Fetch while the library would unpack,
// and while a layer of the store is read for another image.
func TestFetchCancelledWithTheLibrary(t *testing.T) {
	needStore(t)
	vfs, blobs, reason := setting{driver: "vfs"}, numbered(t, 4), errors.New("user pressed Ctrl-C")
	for name, tt := range map[string]struct {
		blobs []blob
		end   func(l *Library, end func())
		added int
	}{
		"between two layers": {[]blob{blobs[1], blobs[2], blobs[3]}, func(l *Library, end func()) {
			put := l.Put
			l.Put = func(ctx context.Context, id, parent string, options *storage.LayerOptions, tar io.Reader, intact func(string) bool) error {
				defer end()
				return put(ctx, id, parent, options, tar, intact)
			}
		}, 1},
		"in a layer of the store": {[]blob{blobs[1], blobs[0]}, func(l *Library, end func()) {
			tar := l.Tar
			l.Tar = func(ctx context.Context, id string) (io.ReadCloser, error) {
				end()
				return tar(ctx, id)
			}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			store, img := vfs.newStore(t), newImage(t, tt.blobs...)
			first := newImage(t, blobs[0])
			if _, err := vfs.fetch(t.Context(), store, first.layers, first.open, Options{}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			opts := Options{Library: vfs.library(store)}
			tt.end(opts.Library, func() { cancel(reason) })
			_, err := Fetch(ctx, store, img.layers, func(ctx context.Context, l Layer) (io.ReadCloser, error) {
				if tt.added == 0 {
					return hanging(ctx), nil
				}
				return img.open(ctx, l)
			}, opts)
			if !errors.Is(err, reason) {
				t.Errorf("error is %v, want %v", err, reason)
			}
			if layers, err := store.Layers(); err != nil || len(layers) != 1+tt.added {
				t.Errorf("%d layers, want %d, %v", len(layers), 1+tt.added, err)
			}
			if _, err := vfs.fetch(t.Context(), store, img.layers, img.open, Options{}); err != nil {
				t.Error(err)
			}
			assertNothingLeftToCopy(t, store, img)
		})
	}
}

// onceIn returns what waits until a layer is in, read back where it has to be,
// and the callback that tells.
func onceIn(layer int) (wait func(context.Context), onIn func(int)) {
	in := make(chan struct{})
	wait = func(ctx context.Context) {
		select {
		case <-in:
		case <-ctx.Done():
		}
	}
	return wait, func(n int) {
		if n == layer {
			close(in)
		}
	}
}

// TestFetchKeepsFinishedLayers fails a pull and finds on the next one that only
// what was not finished is fetched.
func TestFetchKeepsFinishedLayers(t *testing.T) { eachWay(t, fetchKeepsFinishedLayers) }

func fetchKeepsFinishedLayers(t *testing.T, in setting) {
	store := in.newStore(t)
	img := newImage(t, numbered(t, 4)...)
	wait, onIn := onceIn(1)
	broken := errors.New("connection reset")
	_, err := in.fetch(t.Context(), store, img.layers, func(ctx context.Context, l Layer) (io.ReadCloser, error) {
		if l.Digest == img.layers[2].Digest {
			wait(ctx)
			return nil, broken
		}
		return img.open(ctx, l)
	}, Options{OnIn: onIn})
	if !errors.Is(err, broken) {
		t.Fatalf("error is %v", err)
	}
	var opened atomic.Int64
	result, err := in.fetch(t.Context(), store, img.layers, func(ctx context.Context, l Layer) (io.ReadCloser, error) {
		opened.Add(1)
		return img.open(ctx, l)
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(result.Fetched) != "[2 3]" || opened.Load() != 2 {
		t.Errorf("fetched %v, opened %d blobs", result.Fetched, opened.Load())
	}
	assertNothingLeftToCopy(t, store, img)
}

// TestFetchMends takes the files away from a layer that is in the store, as the
// library does when those to replace them with are swept away: they are put
// there again.
func TestFetchMends(t *testing.T) {
	store := newStore(t)
	img := newImage(t, numbered(t, 3)...)
	fetch := func() []int {
		t.Helper()
		result, err := Fetch(t.Context(), store, img.layers, img.open, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return result.Fetched
	}
	fetch()
	for i, id := range ChainIDs(img.layers) {
		diff := filepath.Join(store.GraphRoot(), "overlay", id, "diff")
		if err := os.RemoveAll(diff); err != nil {
			t.Fatal(err)
		}
		if got := fetch(); fmt.Sprint(got) != fmt.Sprint([]int{i}) {
			t.Errorf("layer %d was emptied, fetched %v", i, got)
		}
		if _, err := os.Stat(filepath.Join(diff, "d", fmt.Sprint("f", i))); err != nil {
			t.Errorf("layer %d is not mended: %v", i, err)
		}
	}
	report, err := store.Check(storage.CheckMost())
	if err != nil || len(report.Layers) > 0 {
		t.Errorf("the store's own check: %+v, %v", report.Layers, err)
	}
	assertNothingLeftToCopy(t, store, img)
}

// TestFetchTwin has a layer in the store, on top of another one: it is not
// fetched again, unless it is damaged or was made from another blob.
func TestFetchTwin(t *testing.T) {
	needStore(t)
	blobs := numbered(t, 3)
	plain := newTar(t).file("same", "tar").bytes()
	blobs = append(blobs, gzipped(t, plain), blob{plain, digest.FromBytes(plain), mediaTar})
	for _, tt := range []struct {
		name    string
		second  []blob
		damage  func(file string) error
		fetched string
	}{
		{"whole", []blob{blobs[1], blobs[2]}, nil, "[0]"},
		{"a file changed", []blob{blobs[1], blobs[2]}, func(f string) error { return os.WriteFile(f, []byte("damage"), 0o644) }, "[0 1]"},
		{"a file gone", []blob{blobs[1], blobs[2]}, os.Remove, "[0 1]"},
		{"a FIFO in a file's place", []blob{blobs[1], blobs[2]}, func(f string) error {
			return errors.Join(os.Remove(f), unix.Mkfifo(f, 0o644))
		}, "[0 1]"},
		{"a link in a file's place", []blob{blobs[1], blobs[2]}, func(f string) error {
			return errors.Join(os.Rename(f, f+"x"), os.Symlink(f+"x", f))
		}, "[0 1]"},
		{"another blob with the same contents", []blob{blobs[1], blobs[4]}, nil, "[0 1]"},
		{"twice in one image", []blob{blobs[2], blobs[0], blobs[2]}, nil, "[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := newStore(t)
			first := newImage(t, blobs[0], blobs[2], blobs[3])
			if _, err := Fetch(t.Context(), store, first.layers, first.open, Options{}); err != nil {
				t.Fatal(err)
			}
			if tt.damage != nil {
				driver, err := store.GraphDriver()
				if err != nil {
					t.Fatal(err)
				}
				metadata, err := driver.Metadata(ChainIDs(first.layers)[1])
				if err != nil {
					t.Fatal(err)
				}
				if err := tt.damage(filepath.Join(metadata["UpperDir"], "d", "f2")); err != nil {
					t.Fatal(err)
				}
			}
			second := newImage(t, tt.second...)
			result, err := Fetch(t.Context(), store, second.layers, second.open, Options{})
			if err != nil || fmt.Sprint(result.Fetched) != tt.fetched {
				t.Errorf("fetched %v, want %s: %v", result.Fetched, tt.fetched, err)
			}
			assertNothingLeftToCopy(t, store, second)
			assertNoStaging(t, store)
		})
	}
}

// TestFetchParentGone removes a layer while the next one is on its way.
func TestFetchParentGone(t *testing.T) { eachWay(t, fetchParentGone) }

func fetchParentGone(t *testing.T, in setting) {
	store := in.newStore(t)
	img := newImage(t, numbered(t, 2)...)
	ids := ChainIDs(img.layers)
	wait, onIn := onceIn(0)
	_, err := in.fetch(t.Context(), store, img.layers, func(ctx context.Context, l Layer) (io.ReadCloser, error) {
		if l.Digest == img.layers[1].Digest {
			wait(ctx)
			if err := store.DeleteLayer(ids[0]); err != nil {
				return nil, err
			}
		}
		return img.open(ctx, l)
	}, Options{OnIn: onIn})
	var gone *ParentGoneError
	if !errors.As(err, &gone) || gone.Parent != ids[0] {
		t.Fatalf("error is %v", err)
	}
	if _, err := in.fetch(t.Context(), store, img.layers, img.open, Options{}); err != nil {
		t.Errorf("again: %v", err)
	}
	assertNoStaging(t, store)
}

// TestGroupSharesLayers fetches images with common layers at the same time and
// counts that each blob is read once.
func TestGroupSharesLayers(t *testing.T) { eachWay(t, groupSharesLayers) }

func groupSharesLayers(t *testing.T, in setting) {
	store := in.newStore(t)
	common := numbered(t, 4)
	group := NewGroup(2)
	var opened sync.Map
	var images []image
	for i := range 5 {
		own := gzipped(t, newTar(t).file(fmt.Sprintf("own%d", i), "x").bytes())
		images = append(images, newImage(t, append(common[:4:4], own)...))
	}
	var wg sync.WaitGroup
	for _, img := range images {
		wg.Go(func() {
			_, err := in.fetch(t.Context(), store, img.layers, func(ctx context.Context, l Layer) (io.ReadCloser, error) {
				if _, twice := opened.LoadOrStore(l.Digest, true); twice {
					t.Errorf("blob %s is read twice", l.Digest)
				}
				return img.open(ctx, l)
			}, Options{Group: group})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, img := range images {
		assertNothingLeftToCopy(t, store, img)
	}
	if len(group.claims) != 0 || len(group.slots) != 0 {
		t.Errorf("left: %d claims, %d slots", len(group.claims), len(group.slots))
	}
}

// TestGroupTakesOver lets the call that fetches a layer fail while another one
// waits for it.
func TestGroupTakesOver(t *testing.T) { eachWay(t, groupTakesOver) }

func groupTakesOver(t *testing.T, in setting) {
	store := in.newStore(t)
	img := newImage(t, numbered(t, 3)...)
	group := NewGroup(4)
	broken := errors.New("broken")
	claimed, waiting := make(chan struct{}, 3), make(chan struct{})
	var first error
	var wg sync.WaitGroup
	wg.Go(func() {
		_, first = in.fetch(t.Context(), store, img.layers, func(context.Context, Layer) (io.ReadCloser, error) {
			claimed <- struct{}{}
			<-waiting
			return nil, broken
		}, Options{Group: group})
	})
	<-claimed
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	wg.Go(func() {
		close(waiting)
	})
	if _, err := in.fetch(ctx, store, img.layers, img.open, Options{Group: group}); err != nil {
		t.Errorf("second: %v", err)
	}
	wg.Wait()
	if !errors.Is(first, broken) {
		t.Errorf("first: %v", first)
	}
	assertNothingLeftToCopy(t, store, img)
}

const fetchRootEnv, fetchImageEnv = "MPULL_TEST_STORE", "MPULL_TEST_IMAGE"

// fetchProcess is what the test binary does when TestFetchProcesses starts it.
func fetchProcess() error {
	root := os.Getenv(fetchRootEnv)
	store, err := storage.GetStore(storage.StoreOptions{
		GraphRoot: filepath.Join(root, "root"), RunRoot: filepath.Join(root, "run"), GraphDriverName: "overlay",
	})
	if err != nil {
		return err
	}
	img := image{dir: os.Getenv(fetchImageEnv)}
	for _, line := range strings.Fields(os.Getenv("MPULL_TEST_LAYERS")) {
		d, diffID, _ := strings.Cut(line, ",")
		img.layers = append(img.layers, Layer{Digest: digest.Digest(d), Size: -1, DiffID: digest.Digest(diffID), MediaType: mediaGzip})
	}
	_, err = Fetch(context.Background(), store, img.layers, img.open, Options{})
	return err
}

// TestFetchProcesses has several processes fetch one image into one store.
func TestFetchProcesses(t *testing.T) {
	needStore(t)
	img := newImage(t, numbered(t, 12)...)
	var list []string
	for _, l := range img.layers {
		list = append(list, l.Digest.String()+","+l.DiffID.String())
	}
	store := newStore(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
			cmd.Env = append(os.Environ(), fetchRootEnv+"="+filepath.Dir(store.GraphRoot()), fetchImageEnv+"="+img.dir,
				"MPULL_TEST_LAYERS="+strings.Join(list, " "))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	assertNothingLeftToCopy(t, store, img)
	if p := problems(t, store); len(p) > 0 {
		t.Error(p)
	}
}

func TestOnRead(t *testing.T) {
	store := newStore(t)
	img := newImage(t, numbered(t, 3)...)
	var read [3]atomic.Int64
	if _, err := Fetch(t.Context(), store, img.layers, img.open, Options{OnRead: func(i int, n int64) { read[i].Add(n) }}); err != nil {
		t.Fatal(err)
	}
	for i, l := range img.layers {
		if read[i].Load() != l.Size {
			t.Errorf("layer %d: %d of %d bytes reported", i, read[i].Load(), l.Size)
		}
	}
}

func TestApplicable(t *testing.T) {
	ok := Layer{Digest: digest.FromString("a"), DiffID: digest.FromString("b"), MediaType: mediaGzip}
	for _, tt := range []struct {
		edit func(*Layer)
		want string
	}{
		{func(*Layer) {}, ""},
		{func(l *Layer) { l.MediaType = mediaTar }, ""},
		{func(l *Layer) { l.MediaType = mediaGzip + "+encrypted" }, "media type"},
		{func(l *Layer) { l.MediaType = "" }, "media type"},
		{func(l *Layer) { l.Digest = "sha256:../../x" }, "blob digest"},
		{func(l *Layer) { l.Digest = digest.Digest("sha512:" + many(128, "a")) }, "blob digest"},
		{func(l *Layer) { l.DiffID = "" }, "DiffID"},
	} {
		l := ok
		tt.edit(&l)
		if got := layerReason(l); !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%+v: %q, want %q", l, got, tt.want)
		}
	}
}

func TestApplicableStores(t *testing.T) {
	needStore(t)
	dir := t.TempDir()
	vfs, err := storage.GetStore(storage.StoreOptions{GraphRoot: filepath.Join(dir, "a"), RunRoot: filepath.Join(dir, "b"), GraphDriverName: "vfs"})
	if err != nil {
		t.Fatal(err)
	}
	defer vfs.Free()
	if got := Applicable(vfs, nil, Options{}); !strings.Contains(got, "vfs") {
		t.Errorf("vfs: %q", got)
	}
	if got := Applicable(vfs, nil, Options{Library: &Library{}}); got != "" {
		t.Errorf("vfs with the library: %q", got)
	}
	if got := Applicable(newStore(t), nil, Options{}); got != "" {
		t.Errorf("overlay: %q", got)
	}
}

func TestChainIDs(t *testing.T) {
	a, b := digest.FromString("a"), digest.FromString("b")
	want := []string{a.Encoded(), digest.FromString(a.Encoded() + "+" + b.Encoded()).Encoded()}
	if got := ChainIDs([]Layer{{DiffID: a}, {DiffID: b}}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}
