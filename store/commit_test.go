package store

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/storelab"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/store/unpack"
)

// commitName is the name by which the test program fetches layers and kills
// itself before its n-th change on disk when it commits them.
const commitName = "mpull-test-commit"

// fewLayers are layers of one image, and what opens them. The first one does not
// end before the others have been read, so that several are committed at once.
func fewLayers() ([]unpack.Layer, unpack.Opener) {
	var layers []unpack.Layer
	blobs := map[digest.Digest][]byte{}
	for i := range 4 {
		var b bytes.Buffer
		out := tar.NewWriter(&b)
		content := []byte(fmt.Sprintf("content of layer %d", i))
		for _, hdr := range []*tar.Header{
			{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755},
			{Name: fmt.Sprintf("etc/file%d", i), Typeflag: tar.TypeReg, Mode: 0o640, Uid: 7 * i, Gid: 9, Size: int64(len(content))},
		} {
			if err := out.WriteHeader(hdr); err != nil {
				panic(err)
			}
			if hdr.Size > 0 {
				if _, err := out.Write(content); err != nil {
					panic(err)
				}
			}
		}
		if err := out.Close(); err != nil {
			panic(err)
		}
		d := digest.FromBytes(b.Bytes())
		blobs[d] = b.Bytes()
		layers = append(layers, unpack.Layer{Digest: d, DiffID: d, Size: int64(b.Len()), MediaType: "application/vnd.oci.image.layer.v1.tar"})
	}
	var others sync.WaitGroup
	others.Add(len(layers) - 1)
	once := map[digest.Digest]func(){}
	for _, l := range layers[1:] {
		once[l.Digest] = sync.OnceFunc(others.Done)
	}
	return layers, func(_ context.Context, l unpack.Layer) (io.ReadCloser, error) {
		end := atEnd(func() error {
			if done := once[l.Digest]; done != nil {
				done()
			} else {
				others.Wait()
			}
			return nil
		})
		return io.NopCloser(io.MultiReader(bytes.NewReader(blobs[l.Digest]), end)), nil
	}
}

// fetchStepwise fetches these layers, with what to call before each change on
// disk that the commit makes, and what to do before it.
func fetchStepwise(ctx context.Context, s *Store, step func(), before func([]*unpack.Ready)) (unpack.Result, error) {
	return fetchListing(ctx, s, nil, step, before)
}

// fetchListing does so, and lists the files of the layers where chunked says so.
func fetchListing(ctx context.Context, s *Store, chunked *unpack.Chunked, step func(), before func([]*unpack.Ready)) (unpack.Result, error) {
	layers, open := fewLayers()
	driver, err := s.lib.GraphDriver()
	if err != nil {
		return unpack.Result{}, err
	}
	return unpack.Fetch(ctx, s.lib, layers, open, unpack.Options{Chunked: chunked, Library: &unpack.Library{
		Commit: func(ctx context.Context, ready []*unpack.Ready) ([]bool, error) {
			before(ready)
			return s.commitStepwise(ctx, driver, ready, step)
		},
	}})
}

func commitAndCrash() {
	s, step := toCrash()
	if _, err := fetchListing(context.Background(), s, &unpack.Chunked{}, step, func([]*unpack.Ready) {}); err != nil {
		panic(err)
	}
}

// TestCommitKilledAtEachStep kills a commit before each of its changes on disk.
// Each time the store opens, for podman first where that is installed, no layer is
// there but whole, and the same fetch brings the rest.
func TestCommitKilledAtEachStep(t *testing.T) {
	testenv.Root(t)
	kills := 0
	for n := 1; commitKilledAt(t, n); n++ {
		kills++
	}
	t.Logf("%d kills", kills)
	if kills < 8 {
		t.Errorf("only %d kills", kills)
	}
}

func commitKilledAt(t *testing.T, n int) bool {
	t.Helper()
	l := storelab.New(t, storelab.Dir(t), "overlay")
	cmd := reexec.Command(commitName, l.Root, l.RunRoot, "overlay", strconv.Itoa(n))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if status, ok := cmd.ProcessState.Sys().(interface{ Signaled() bool }); !ok || !status.Signaled() {
		t.Fatalf("step %d: %v: %s", n, err, out)
	}
	if _, err := exec.LookPath("podman"); err == nil && n%2 == 0 { // else the library is the first to open it
		if list, err := podman(t, l, "images", "--quiet").CombinedOutput(); err != nil {
			t.Errorf("step %d: podman says %v: %s", n, err, list)
		}
	}
	d := deleter(t, l)
	if damage, err := d.Check(t.Context()); err != nil || len(damage) > 0 {
		t.Errorf("step %d: damaged: %+v, %v", n, damage, err)
	}
	snap, err := d.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expectLayers(t, d.Store, len(snap.Layers))
	if _, err := fetchStepwise(t.Context(), d.Store, func() {}, func([]*unpack.Ready) {}); err != nil {
		t.Errorf("step %d: fetched again: %v", n, err)
	}
	expectLayers(t, d.Store, 4)
	return true
}

// expectLayers looks at the layers of fewLayers, of which the store has so many,
// and at what lies in its directories, which is of those and nothing else.
func expectLayers(t *testing.T, s *Store, want int) {
	t.Helper()
	snap, err := s.Snapshot(t.Context())
	if err != nil || len(snap.Layers) != want {
		t.Errorf("%d layers, want %d: %v", len(snap.Layers), want, err)
	}
	layers, _ := fewLayers()
	for i, id := range unpack.ChainIDs(layers)[:want] {
		in, err := s.LayerTar(t.Context(), id)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := digest.FromReader(in)
		if err = errors.Join(err, in.Close()); err != nil || got != layers[i].DiffID {
			t.Errorf("layer %d reads back as %s: %v", i, got, err)
		}
	}
	for _, pattern := range []string{"overlay-layers/*.gz", "overlay/l/*", "overlay/*[0-9a-f]/diff"} {
		if found, err := filepath.Glob(filepath.Join(s.Root(), pattern)); err != nil || len(found) != want {
			t.Errorf("%s: %v, want %d: %v", pattern, found, want, err)
		}
	}
	sane(t, s.lib)
}

// TestCommitLeavesWhatTheLibraryLeaves fetches the same layers by both ways, with
// and without lists of their files.
func TestCommitLeavesWhatTheLibraryLeaves(t *testing.T) {
	testenv.Root(t)
	for name, chunked := range map[string]*unpack.Chunked{"plain": nil, "listed": {}} {
		t.Run(name, func(t *testing.T) {
			s := deleter(t, storelab.New(t, storelab.Dir(t), "overlay")).Store
			if _, err := fetchListing(t.Context(), s, chunked, func() {}, func([]*unpack.Ready) {}); err != nil {
				t.Fatal(err)
			}
			expectLayers(t, s, 4)
			library := deleter(t, storelab.New(t, storelab.Dir(t), "overlay")).Store
			layers, open := fewLayers()
			if _, err := unpack.Fetch(t.Context(), library.lib, layers, open, unpack.Options{Chunked: chunked}); err != nil {
				t.Fatal(err)
			}
			got, want := describeLayers(t, s), describeLayers(t, library)
			if !slices.Equal(got, want) {
				t.Errorf("committed:\n%s\nby the library:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// describeLayers describes what the store has of its layers, without times and
// random names.
func describeLayers(t *testing.T, s *Store) (out []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.Root(), "overlay-layers", "layers.json"))
	var records []map[string]any
	if err = errors.Join(err, json.Unmarshal(data, &records)); err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		delete(r, "created")
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		id := r["id"].(string)
		out = append(out, string(line), recordText(t, s, id))
		for _, dir := range []string{filepath.Join(s.Root(), "overlay", id), filepath.Join(s.Root(), "overlay-layers", id)} {
			err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
				var st unix.Stat_t
				if err = errors.Join(err, unix.Lstat(path, &st)); err != nil {
					return err
				}
				text, _ := os.ReadFile(path) // of directories, nothing
				switch filepath.Base(path) {
				case "link", "lower":
					text = bytes.Repeat([]byte{'-'}, len(text))
				}
				out = append(out, fmt.Sprintf("%s %o %d:%d %q", strings.TrimPrefix(path, s.Root()), st.Mode, st.Uid, st.Gid, text))
				return nil
			})
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
	return out
}

func recordText(t *testing.T, s *Store, id string) string {
	t.Helper()
	path := filepath.Join(s.Root(), "overlay-layers", id+".tar-split.gz")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%o %s", st.Mode(), text)
}

// TestCommitInPart has what is staged of one layer vanish: those before it are
// in, nothing is left of it, and the same fetch brings the rest.
func TestCommitInPart(t *testing.T) {
	testenv.Root(t)
	s := deleter(t, storelab.New(t, storelab.Dir(t), "overlay")).Store
	layers, _ := fewLayers()
	gone := unpack.ChainIDs(layers)[2]
	result, err := fetchStepwise(t.Context(), s, func() {}, func(ready []*unpack.Ready) {
		for _, r := range ready {
			if r.ID == gone {
				if err := os.RemoveAll(filepath.Dir(r.Target)); err != nil {
					t.Error(err)
				}
			}
		}
	})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(fmt.Sprint(err), "layer 3 (") || !slices.Equal(result.Fetched, []int{0, 1}) {
		t.Errorf("fetched %v, %v", result.Fetched, err)
	}
	expectLayers(t, s, 2)
	if result, err = fetchStepwise(t.Context(), s, func() {}, func([]*unpack.Ready) {}); err != nil || !slices.Equal(result.Fetched, []int{2, 3}) {
		t.Errorf("fetched %v, %v", result.Fetched, err)
	}
	expectLayers(t, s, 4)
}

// TestCommitBesideOthers commits what another process makes, leaves half made or
// takes away at this moment.
func TestCommitBesideOthers(t *testing.T) {
	testenv.Root(t)
	layers, _ := fewLayers()
	chain := unpack.ChainIDs(layers)
	t.Run("made", func(t *testing.T) {
		s := deleter(t, storelab.New(t, storelab.Dir(t), "overlay")).Store
		layers, open := fewLayers()
		commit := &unpack.Library{Commit: (&Writer{Store: s}).commit}
		other := func(ctx context.Context, l unpack.Layer) (io.ReadCloser, error) {
			in, err := open(ctx, l)
			if l.Digest != layers[0].Digest || err != nil {
				return in, err
			}
			return io.NopCloser(io.MultiReader(in, atEnd(func() error {
				_, err := fetchStepwise(ctx, s, func() {}, func([]*unpack.Ready) {})
				return err
			}))), nil
		}
		result, err := unpack.Fetch(t.Context(), s.lib, layers, other, unpack.Options{Library: commit})
		if err != nil || len(result.Fetched) > 0 {
			t.Errorf("fetched %v, %v", result.Fetched, err)
		}
		expectLayers(t, s, 4)
	})
	t.Run("half made", func(t *testing.T) {
		s := deleter(t, storelab.New(t, storelab.Dir(t), "overlay")).Store
		result, err := fetchStepwise(t.Context(), s, func() {}, func(ready []*unpack.Ready) {
			if ready[0].ID == chain[0] {
				writeList(t, s, fmt.Sprintf(`[{"id":%q,"flags":{"incomplete":true}}]`, chain[0]))
			}
		})
		if err != nil || len(result.Fetched) != 4 {
			t.Errorf("fetched %v, %v", result.Fetched, err)
		}
		expectLayers(t, s, 4)
	})
	t.Run("taken away", func(t *testing.T) {
		s := deleter(t, storelab.New(t, storelab.Dir(t), "overlay")).Store
		driver, err := s.lib.GraphDriver()
		if err != nil {
			t.Fatal(err)
		}
		if _, err = s.commitStepwise(t.Context(), driver, []*unpack.Ready{{ID: chain[1], Parent: chain[0]}}, func() { t.Error("something is changed") }); !errors.Is(err, storage.ErrLayerUnknown) {
			t.Error(err)
		}
	})
	t.Run("half taken away", func(t *testing.T) {
		s := deleter(t, storelab.New(t, storelab.Dir(t), "overlay")).Store
		driver, err := s.lib.GraphDriver()
		if err != nil {
			t.Fatal(err)
		}
		expectLayers(t, s, 0)
		writeList(t, s, fmt.Sprintf(`[{"id":%q,"flags":{"incomplete":true}}]`, chain[0]))
		if _, err = s.commitStepwise(t.Context(), driver, []*unpack.Ready{{ID: chain[1], Parent: chain[0]}}, func() { t.Error("something is changed") }); !errors.Is(err, storage.ErrLayerUnknown) {
			t.Error(err)
		}
	})
	t.Run("made in part, and another one fails", func(t *testing.T) {
		for range 50 { // until three are staged at once
			s := deleter(t, storelab.New(t, storelab.Dir(t), "overlay")).Store
			driver, err := s.lib.GraphDriver()
			if err != nil {
				t.Fatal(err)
			}
			together := false
			result, err := fetchStepwise(t.Context(), s, func() {}, func(ready []*unpack.Ready) {
				if together = len(ready) > 2 && ready[0].ID == chain[0]; !together {
					return
				}
				if err := errors.Join(driver.Create(chain[0], "", nil), os.RemoveAll(filepath.Dir(ready[2].Target))); err != nil {
					t.Error(err)
				}
				writeList(t, s, fmt.Sprintf(`[{"id":%q}]`, chain[0]))
			})
			if !together && err == nil {
				continue
			}
			if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(fmt.Sprint(err), "layer 3 (") || !slices.Equal(result.Fetched, []int{1}) {
				t.Errorf("fetched %v, %v", result.Fetched, err)
			}
			return
		}
		t.Error("three were never staged at once")
	})
	t.Run("stopped", func(t *testing.T) {
		s := deleter(t, storelab.New(t, storelab.Dir(t), "overlay")).Store
		stop := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		if _, err := fetchStepwise(ctx, s, func() { t.Error("something is changed") }, func([]*unpack.Ready) { cancel(stop) }); !errors.Is(err, stop) {
			t.Error(err)
		}
		expectLayers(t, s, 0)
	})
}

func writeList(t *testing.T, s *Store, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.Root(), "overlay-layers", "layers.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
