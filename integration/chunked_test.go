package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/signature"
	storagetransport "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
	"github.com/mpull/mpull/store"
)

// puller is a store on which an image that lists its files (zstd:chunked) is
// brought up to date.
type puller struct {
	t        *testing.T
	dir      string
	roots    testenv.Roots
	registry *testregistry.Registry
	counter  *testregistry.Counter

	driverOptions []string // of the library's store
}

// newPuller serves two versions of an image: so many files of thousands differ.
func newPuller(t *testing.T, served func(http.Handler) http.Handler) *puller {
	t.Helper()
	testenv.Overlay(t)
	// Not t.TempDir: in an option of a mount a comma of a test's name would end the path.
	dir, err := os.MkdirTemp("", "p-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	p := &puller{t: t, dir: dir, registry: testregistry.New(), counter: &testregistry.Counter{}}
	p.roots = testenv.Roots{Data: p.dir, Runtime: filepath.Join(p.dir, "user")}
	t.Cleanup(p.registry.Close)
	t.Cleanup(func() { unmountBelow(p.dir); testenv.MakeRemovable(p.dir) })
	p.registry.Wrap(func(h http.Handler) http.Handler { return p.counter.Around(served(h)) })
	versions, err := chunkedVersions()
	if err != nil {
		t.Fatal(err)
	}
	for i, img := range versions {
		p.push(fmt.Sprint("app:", i+1), img)
	}
	return p
}

// chunkedVersions are made once: compressing them takes a second.
var chunkedVersions = sync.OnceValues(func() (versions [2]v1.Image, err error) {
	spec := testimage.Spec{OCI: true, Chunked: true, Layers: 2, Files: 1500, FileSize: 6 << 10}
	if versions[0], err = testimage.Image(spec); err == nil {
		spec.Changed = 10
		versions[1], err = testimage.Image(spec)
	}
	return versions, err
})

func (p *puller) push(name string, img v1.Image) {
	p.t.Helper()
	if err := p.registry.PushImage(name, img); err != nil {
		p.t.Fatal(err)
	}
}

func (p *puller) ref(tag string) string { return p.registry.Host + "/app:" + tag }

// mpull runs the program on the store, and returns its standard output; options are those of [storage.options.pull_options].
func (p *puller) mpull(options map[string]string, args ...string) string {
	p.t.Helper()
	cmd := p.command(options, args...)
	var stderr strings.Builder // where the library warns, too, when a mount elsewhere is still busy
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("%v: %v\n%s%s", args, err, out, stderr.String())
	}
	return string(out)
}

func (p *puller) command(options map[string]string, args ...string) *exec.Cmd {
	p.t.Helper()
	text := "[storage.options]\npull_options = {"
	separator := ""
	for key, value := range options {
		text += fmt.Sprintf("%s%s = %q", separator, key, value)
		separator = ", "
	}
	env, err := p.roots.Write(filepath.Join(p.dir, "storage.conf"), "overlay", text+"}\n")
	if err != nil {
		p.t.Fatal(err)
	}
	policy := filepath.Join(p.dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o644); err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(testenv.Binary(), append([]string{"--policy-file", policy}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

func (p *puller) open(options map[string]string) storage.Store {
	p.t.Helper()
	s, err := storage.GetStore(storage.StoreOptions{GraphRoot: p.roots.Graph(), RunRoot: p.roots.Run(), GraphDriverName: "overlay", GraphDriverOptions: p.driverOptions, PullOptions: options})
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func (p *puller) close(s storage.Store) {
	p.t.Helper()
	if _, err := s.Shutdown(true); err != nil {
		p.t.Fatal(err)
	}
	s.Free()
}

// library copies an image with the libraries alone, as podman 6 does.
func (p *puller) library(options map[string]string, ref string) {
	p.t.Helper()
	if os.Geteuid() != 0 {
		p.t.Skip("the library is called in this process, which is in no user namespace")
	}
	s := p.open(options)
	defer p.close(s)
	from, err := alltransports.ParseImageName("docker://" + ref)
	if err != nil {
		p.t.Fatal(err)
	}
	to, err := storagetransport.Transport.ParseStoreReference(s, ref)
	if err != nil {
		p.t.Fatal(err)
	}
	policy, err := signature.NewPolicyContext(&signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		p.t.Fatal(err)
	}
	sys := &types.SystemContext{DockerInsecureSkipTLSVerify: types.OptionalBoolTrue, BlobInfoCacheDir: p.dir + "/cache"}
	if _, err := copy.Image(p.t.Context(), policy, to, from, &copy.Options{SourceCtx: sys, DestinationCtx: sys}); err != nil {
		p.t.Fatal(err)
	}
}

// imageID is the ID of an image in the store.
func (p *puller) imageID(tag string) string {
	return strings.TrimPrefix(strings.TrimSpace(p.mpull(nil, "images", "-q", "--no-trunc", p.ref(tag))), "sha256:")
}

func (p *puller) config(tag string) string {
	p.t.Helper()
	out := p.mpull(nil, "manifest", "inspect", "--tls-verify=false", p.ref(tag))
	_, after, _ := strings.Cut(out, `"config"`)
	_, after, _ = strings.Cut(after, "sha256:")
	return after[:64]
}

func partly() map[string]string { return map[string]string{"enable_partial_images": "true"} }

// TestUpdateOfChunked brings an image up to date of which few files changed:
// no more comes than these and the list of all, whichever tool pulled the first
// version, and whether it did so in parts. The image is the one that it is
// otherwise.
func TestUpdateOfChunked(t *testing.T) {
	mpull := func(p *puller, tag string) { p.mpull(partly(), "pull", "-q", "--tls-verify=false", p.ref(tag)) }
	library := func(p *puller, tag string) { p.library(partly(), p.ref(tag)) }
	most := "library, mpull" // shows most, where it can be
	if os.Geteuid() != 0 {
		most = "mpull, mpull"
	}
	for name, order := range map[string]struct{ first, second func(p *puller, tag string) }{
		"mpull, mpull":     {mpull, mpull},
		"library, mpull":   {library, mpull},
		"mpull, library":   {mpull, library},
		"library, library": {library, library},
		"not partly by mpull, mpull": {func(p *puller, tag string) {
			p.mpull(nil, "pull", "-q", "--tls-verify=false", p.ref(tag))
		}, mpull},
		"not partly by the library, mpull": {func(p *puller, tag string) { p.library(nil, p.ref(tag)) }, mpull},
	} {
		if name != most && testenv.Short(t) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPuller(t, testregistry.Ranges)
			p.counter.Bytes()
			order.first(p, "1")
			all := p.counter.Bytes()
			order.second(p, "2")
			came := p.counter.Bytes()
			t.Logf("%d bytes, then %d", all, came)
			if all < 15<<20 || came > 750_000 {
				t.Errorf("%d bytes came, then %d", all, came)
			}
			if id, config := p.imageID("2"), p.config("2"); id != config {
				t.Errorf("the image is %s, its config %s", id, config)
			}
			p.sound("2")
			p.counter.Bytes()
			mpull(p, "2")
			if again := p.counter.Bytes(); again > 10_000 {
				t.Errorf("a pull again fetched %d bytes", again)
			}
		})
	}
}

// sound tells whether an image is whole, can be saved, and has the sizes that it
// has when its layers come whole.
func (p *puller) sound(tag string) {
	p.t.Helper()
	p.mpull(nil, "doctor")
	archive := filepath.Join(p.t.TempDir(), "saved.tar")
	p.mpull(nil, "save", "-o", archive, p.ref(tag))
	// Not by the library: outside of a user namespace it opens no store but root's.
	images, layers := listed[storage.Image](p, "overlay-images/images.json"), listed[storage.Layer](p, "overlay-layers/layers.json")
	of := slices.IndexFunc(images, func(i storage.Image) bool { return slices.Contains(i.Names, p.ref(tag)) })
	if of < 0 {
		p.t.Fatalf("no image has the name %s", p.ref(tag))
	}
	for id := images[of].TopLayer; id != ""; {
		of := slices.IndexFunc(layers, func(l storage.Layer) bool { return l.ID == id })
		if of < 0 {
			p.t.Fatalf("there is no layer %s", id)
		}
		l := layers[of]
		if l.UncompressedSize < 9<<20 || l.UncompressedDigest == "" {
			p.t.Errorf("layer %s has %d bytes, DiffID %q", id, l.UncompressedSize, l.UncompressedDigest)
		}
		id = l.Parent
	}
}

// listed is what one of the store's lists holds.
func listed[T any](p *puller, path string) (list []T) {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.roots.Graph(), path))
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}

// TestChunkedWithoutRanges has registries that give one part an answer, or none.
func TestChunkedWithoutRanges(t *testing.T) {
	for name, kind := range map[string]struct {
		served func(http.Handler) http.Handler
		most   int64
	}{
		"one": {func(h http.Handler) http.Handler { return h }, 750_000},
		"none": {func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				req.Header.Del("Range")
				h.ServeHTTP(w, req)
			})
		}, 1 << 30},
		"refused": {func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Header.Get("Range") != "" {
					http.Error(w, "no", http.StatusRequestedRangeNotSatisfiable)
					return
				}
				h.ServeHTTP(w, req)
			})
		}, 1 << 30},
	} {
		if name != "one" && testenv.Short(t) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPuller(t, kind.served)
			for _, tag := range []string{"1", "2"} {
				p.counter.Bytes()
				p.mpull(partly(), "pull", "-q", "--tls-verify=false", p.ref(tag))
			}
			if came := p.counter.Bytes(); came > kind.most {
				t.Errorf("%d bytes came", came)
			}
			if id, config := p.imageID("2"), p.config("2"); id != config {
				t.Errorf("the image is %s, its config %s", id, config)
			}
			p.sound("2")
		})
	}
}

// TestChunkedInterrupted ends an update while parts of a layer come: nothing is
// damaged, and the next pull brings the image.
func TestChunkedInterrupted(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			var holds atomic.Bool
			held := make(chan struct{}, 100)
			p := newPuller(t, func(h http.Handler) http.Handler {
				h = testregistry.Ranges(h)
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if req.Header.Get("Range") != "" && holds.Load() {
						held <- struct{}{}
						<-req.Context().Done() // mpull is gone
						return
					}
					h.ServeHTTP(w, req)
				})
			})
			p.mpull(partly(), "pull", "-q", "--tls-verify=false", p.ref("1"))
			holds.Store(true)
			cmd := p.command(partly(), "pull", "-q", "--tls-verify=false", p.ref("2"))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-held:
			case err := <-ended:
				t.Fatalf("the pull asked for no part, and ended: %v", err)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err == nil {
				t.Error("a pull that was ended succeeded")
			}
			holds.Store(false)
			p.mpull(nil, "doctor")
			p.counter.Bytes()
			p.mpull(partly(), "pull", "-q", "--tls-verify=false", p.ref("2"))
			if came := p.counter.Bytes(); came > 750_000 {
				t.Errorf("%d bytes came", came)
			}
			p.sound("2")
		})
	}
}

// TestSaveOfComposefs saves an image of a store with composefs, whose layers lie
// in it by what their files hold: it is the same as from any other store. The
// program that makes file systems of them is a stand-in, as nothing is mounted.
func TestSaveOfComposefs(t *testing.T) {
	p := newPuller(t, testregistry.Ranges)
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "mkcomposefs"), []byte("#!/bin/sh\nexec cat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	p.driverOptions = []string{"overlay.use_composefs=true"}
	p.library(partly(), p.ref("1"))
	if found, err := filepath.Glob(p.roots.Graph() + "/overlay/*/composefs-data"); err != nil || len(found) != 2 {
		t.Fatalf("the layers are %v, %v", found, err)
	}
	p.mpull(nil, "doctor")
	s, err := store.Open(store.Options{Root: p.roots.Graph(), RunRoot: p.roots.Run(), Driver: "overlay"})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := s.Snapshot(t.Context())
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if unlisted := slices.ContainsFunc(snap.Layers, func(l store.Layer) bool { return !l.Listed }); unlisted || len(snap.Layers) != 2 {
		t.Errorf("layers without a list, which are taken for plain directories: %+v", snap.Layers)
	}
	archive := filepath.Join(t.TempDir(), "saved.tar")
	p.mpull(nil, "save", "-o", archive, p.ref("1"))
	id := p.imageID("1")
	p.mpull(nil, "--root", p.dir+"/other", "--runroot", p.dir+"/run-other", "load", "-i", archive)
	if out := p.mpull(nil, "--root", p.dir+"/other", "--runroot", p.dir+"/run-other", "images", "-q", "--no-trunc"); !strings.Contains(out, id) {
		t.Errorf("%s was saved, %s loaded", id, out)
	}
}

// TestKnownByTheirLists has images that the library knew by the lists of their
// layers, as the user allowed: they are there, with their sizes, can be saved,
// and are not fetched again.
func TestKnownByTheirLists(t *testing.T) {
	p := newPuller(t, testregistry.Ranges)
	options := partly()
	options["insecure_allow_unpredictable_image_contents"] = "true"
	p.library(options, p.ref("1"))
	id := p.imageID("1")
	if id == p.config("1") {
		t.Fatal("the library knows it by its contents")
	}
	if out := p.mpull(nil, "images", "--format", "{{.Size}}", p.ref("1")); !strings.HasPrefix(out, "1") && !strings.HasPrefix(out, "2") {
		t.Errorf("its size is %q", out)
	}
	archive := filepath.Join(p.t.TempDir(), "saved.tar")
	p.mpull(nil, "save", "-o", archive, p.ref("1"))
	p.mpull(nil, "doctor")
	p.counter.Bytes()
	p.mpull(maps.Clone(options), "pull", "-q", "--tls-verify=false", p.ref("1"))
	if again := p.counter.Bytes(); again > 10_000 {
		t.Errorf("a pull again fetched %d bytes", again)
	}
	if now := p.imageID("1"); now != id {
		t.Errorf("the image is %s, and was %s", now, id)
	}
}
