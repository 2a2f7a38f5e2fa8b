package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/unshare"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testuser"
)

// baseLayer is below every kind: its root has an owner and a mode to inherit.
func baseLayer(t testing.TB) blob {
	b := newTar(t)
	b.dir("./").dir("base").file("base/gone", "1").file("base/full", "2").file("dir/f", "3")
	return gzipped(t, b.bytes())
}

// canaryDir is a directory that no layer may change.
func canaryDir(t testing.TB) string {
	dir := filepath.Join(t.TempDir(), "canary")
	for _, d := range []string{dir, dir + "-sibling"} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, "secret"), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(d, testTime, testTime); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestSameAsLibrary unpacks each kind of layer with Fetch into one store and
// with the library alone into another one, and compares all of them.
func TestSameAsLibrary(t *testing.T) {
	needStore(t)
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			sameAsLibrary(t, k, setting{})
		})
	}
}

// TestSameInEachSetting does so in stores that write their layers otherwise.
func TestSameInEachSetting(t *testing.T) {
	needStore(t)
	inEachSetting(t, func(t *testing.T, n int, s setting) {
		all, step := kinds(), 1
		if testenv.Short(t) {
			all, step = ordinaryKinds(), 3 // each kind in two or three of them
		}
		for i, k := range all {
			if i%step != n%step {
				continue
			}
			t.Run(k.name, func(t *testing.T) {
				t.Parallel()
				sameAsLibrary(t, k, s)
			})
		}
	})
}

// inEachSetting runs a test in stores that write their layers in different ways.
func inEachSetting(t *testing.T, test func(t *testing.T, n int, s setting)) {
	t.Setenv("_CONTAINERS_OVERLAY_DISABLE_IDMAP", "yes") // or the kernel would map what is mounted, and no file
	bin := t.TempDir()                                   // nothing is mounted with what mkcomposefs makes
	if err := os.WriteFile(filepath.Join(bin, "mkcomposefs"), []byte("#!/bin/sh\nexec cat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", os.Getenv("PATH")+":"+bin)
	fuse, err := exec.LookPath("fuse-overlayfs")
	for n, s := range []setting{
		{name: "fuse-overlayfs", options: []string{"overlay.mount_program=" + fuse}},
		{name: "force_mask", options: []string{"overlay.mount_program=" + fuse, "overlay.force_mask=shared"}},
		{name: "force_mask alone", options: []string{"overlay.force_mask=700"}},
		{name: "ignore_chown_errors", options: []string{"overlay.ignore_chown_errors=true"}},
		{name: "ID maps", mapped: true},
		{name: "sync", options: []string{"overlay.sync=filesystem"}},
		{name: "vfs", driver: "vfs"},
		{name: "vfs with ID maps", driver: "vfs", mapped: true},
		{name: "composefs", options: []string{"overlay.use_composefs=true"}},
		{name: "vfs with ignore_chown_errors", driver: "vfs", options: []string{"ignore_chown_errors=true"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			if err != nil && strings.Contains(fmt.Sprint(s.options), "mount_program") {
				t.Skipf("no mount program: %v", err)
			}
			if s.name == "composefs" && unshare.IsRootless() {
				t.Skip("the library has no composefs in user namespaces")
			}
			test(t, n, s)
		})
	}
}

// userEnv marks the child that an ordinary user runs.
const userEnv = "MPULL_TEST_USER"

// TestAsOrdinaryUser runs the tests of this package in the user namespace of an
// ordinary user.
func TestAsOrdinaryUser(t *testing.T) {
	testenv.Root(t)
	if os.Getenv(userEnv) != "" {
		return
	}
	u := testuser.New(t)
	tests := "TestSame|TestFetch|TestRandom|TestChunked"
	if testenv.Short(t) {
		tests = "TestSameAsLibrary|TestFetch|TestChunkedSame"
	}
	cmd := u.Self([]string{userEnv + "=1"}, "-test.v", "-test.run", tests, "-test.short="+fmt.Sprint(testing.Short()), testenv.Timeout())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as %s: %v\n%s", u.Username, err, out)
	}
	if n := strings.Count(string(out), "--- PASS: TestSameAsLibrary/"); n < len(kinds()) {
		t.Errorf("only %d kinds of layers ran as %s:\n%s", n, u.Username, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "--- SKIP") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

func sameAsLibrary(t *testing.T, k kind, in setting) {
	since := time.Now().Add(-time.Second)
	canary := canaryDir(t)
	before := lines(t, filepath.Dir(canary), since)
	img := newImage(t, baseLayer(t), k.blob(t, canary))
	ours, library := in.newStore(t), in.newStore(t)

	libraryErr := img.copyInto(t, library)
	_, err := in.fetch(t.Context(), ours, img.layers, img.open, Options{})
	refused := isUnsupported(err)
	failed := in.spools() && !refused && err != nil // in the hands of the library
	if failed && (libraryErr == nil || !sameReason(err, libraryErr)) ||
		err != nil && !refused && !failed || refused && !k.refused && libraryErr == nil {
		t.Fatalf("%v (library: %v)", err, libraryErr)
	}
	if after := lines(t, filepath.Dir(canary), since); !slices.Equal(before, after) {
		t.Errorf("outside of the store something changed")
		compare(t, after, before)
	}
	assertNoStaging(t, ours)
	if failed {
		compare(t, describe(t, ours, since), describe(t, library, since))
	}
	if err != nil {
		return
	}
	if libraryErr != nil {
		t.Fatalf("accepted what the library refuses: %v", libraryErr)
	}
	if k.refused && in.name == "" {
		t.Error("it was to be refused, and is not")
	}
	compare(t, describe(t, ours, since), describe(t, library, since))
	assertReadBack(t, ours, img)
	assertNothingLeftToCopy(t, ours, img)
	compare(t, problems(t, ours), problems(t, library))
	sameOnOtherBase(t, ours, in, img.layers[1], k.blob(t, canary), since)
}

// sameReason tells whether two errors end with the same words: what the library
// said, whoever asked it.
func sameReason(a, b error) bool {
	last := func(err error) string { s := err.Error(); return s[strings.LastIndex(s, ": ")+1:] }
	return last(a) == last(b)
}

// sameOnOtherBase unpacks a layer that the store has a second time, on top of
// another one: the result is again what the library fetches, and where the
// layer can be put together again, its blob is not asked for.
func sameOnOtherBase(t *testing.T, ours storage.Store, in setting, twin Layer, again blob, since time.Time) {
	base := newTar(t)
	base.dir("./").dir("base").file("base/gone", "1").file("base/full", "2").file("dir/f", "3").file("other", "4")
	img := newImage(t, gzipped(t, base.bytes()), again)
	if img.layers[1].Digest != twin.Digest {
		return // such a blob is another one each time
	}
	asked := 0
	_, err := in.fetch(t.Context(), ours, img.layers, func(ctx context.Context, l Layer) (io.ReadCloser, error) {
		if l.Digest == twin.Digest {
			asked++
		}
		return img.open(ctx, l)
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	assertNoStaging(t, ours)
	library := in.newStore(t)
	if err := img.copyInto(t, library); err != nil {
		t.Fatal(err)
	}
	compare(t, describe(t, ours, since, ChainIDs(img.layers)...), describe(t, library, since))
	whole := !slices.ContainsFunc(problems(t, ours), func(p string) bool { return strings.HasPrefix(p, "layer ") })
	if whole && asked != 0 && !in.mapped || asked > 1 {
		t.Errorf("the blob was asked for %d times", asked)
	}
}

// assertReadBack puts each layer together again: what was unpacked without an
// error can be.
func assertReadBack(t *testing.T, store storage.Store, img image) {
	t.Helper()
	for i, id := range ChainIDs(img.layers) {
		tar, err := Tar(t.Context(), filesOf(store, id), filepath.Join(store.GraphRoot(), store.GraphDriverName()+"-layers", id+".tar-split.gz"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := digest.FromReader(tar)
		if err := errors.Join(err, tar.Close()); err != nil || got != img.layers[i].DiffID {
			t.Errorf("layer %d reads back as %s, not %s: %v", i+1, got, img.layers[i].DiffID, err)
		}
	}
}

// assertNothingLeftToCopy lets the library copy the image without its blobs.
func assertNothingLeftToCopy(t *testing.T, store storage.Store, img image) {
	t.Helper()
	before, err := store.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range img.layers {
		if err := os.RemoveAll(img.blobPath(l)); err != nil {
			t.Fatal(err)
		}
	}
	if err := img.copyInto(t, store); err != nil {
		t.Fatalf("the library wants more than it was given: %v", err)
	}
	after, err := store.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if len(before) != len(after) {
		t.Errorf("%d layers, %d before the library's copy", len(after), len(before))
	}
}

// problems lists what the library's store check finds. It finds something in
// layers that tar-split cannot put together again, whoever unpacked them.
func problems(t *testing.T, store storage.Store) []string {
	t.Helper()
	report, err := store.Check(storage.CheckMost())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for id, errs := range report.Layers {
		for _, err := range errs {
			out = append(out, "layer "+id+": "+strings.ReplaceAll(err.Error(), filepath.Dir(store.GraphRoot()), ""))
		}
	}
	for id, errs := range report.Images {
		out = append(out, fmt.Sprintf("image %s: %d", id, len(errs)))
	}
	slices.Sort(out)
	return out
}

// assertNoStaging checks that nothing is left in the driver's staging area.
func assertNoStaging(t testing.TB, store storage.Store) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(store.GraphRoot(), "overlay", "staging"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range left {
		t.Errorf("left in staging: %s", e.Name())
	}
}
