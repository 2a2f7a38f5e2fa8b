package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/storage"
	"go.podman.io/storage/types"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/store"
)

// Verdict is what the oracle found in a store.
type Verdict struct {
	Faults       []string          // broken promises; empty when all is well
	Unreferenced int               // layers that no image uses: left by an interrupted pull, taken by prune
	Half         int               // images without a manifest or config: left by a kill, healed by the next pull
	Names        map[string]string // name -> image ID
}

func (v *Verdict) fault(format string, args ...any) {
	v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
}

// library guards the library's list of open stores, which Free changes without
// the lock that GetStore takes: tests judge their stores in parallel.
var library sync.Mutex //nolint:gochecknoglobals // the library has one list of stores for the whole process

func openLibrary(options types.StoreOptions) (storage.Store, error) {
	library.Lock()
	defer library.Unlock()
	return storage.GetStore(options)
}

func freeLibrary(lib storage.Store) {
	library.Lock()
	defer library.Unlock()
	lib.Free()
}

// Judge opens the store with the library and checks it: it opens, the
// library's own check finds no damage but unreferenced layers, every name
// resolves to an image whose documents match their digests, and nothing lies
// outside the store. A killed program may leave half an image without a name:
// it is counted, not a fault.
func (b *Bed) Judge() *Verdict {
	v := &Verdict{Names: map[string]string{}}
	b.judgeTemp(v)
	options := types.StoreOptions{
		GraphRoot: b.Root, RunRoot: b.RunRoot, GraphDriverName: b.Driver,
	}
	if b.Driver == "overlay" {
		options.GraphDriverOptions = []string{"overlay.skip_mount_home=true"}
	}
	lib, err := openLibrary(options)
	if err != nil {
		v.fault("the store does not open: %v", err)
		return v
	}
	defer freeLibrary(lib)
	images, err := lib.Images()
	if err != nil {
		v.fault("the images do not list: %v", err)
		return v
	}
	for i := range images {
		b.judgeImage(v, lib, &images[i])
	}
	b.judgeStore(v, lib, images)
	return v
}

func (b *Bed) judgeTemp(v *Verdict) {
	entries, err := os.ReadDir(b.Temp)
	if err != nil {
		v.fault("%v", err)
	}
	for _, e := range entries {
		v.fault("%s was left in the temporary directory", e.Name())
	}
}

// judgeStore runs the library's check.
func (b *Bed) judgeStore(v *Verdict, lib storage.Store, images []storage.Image) {
	age := time.Duration(0)
	options := storage.CheckMost()
	options.LayerUnreferencedMaximumAge = &age
	report, err := lib.Check(options)
	if err != nil {
		v.fault("the library's check fails: %v", err)
		return
	}
	for id, errs := range report.Layers {
		for _, err := range errs {
			if errors.Is(err, storage.ErrLayerUnreferenced) {
				v.Unreferenced++
				continue
			}
			v.fault("layer %.12s: %v", id, err)
		}
	}
	for id, errs := range report.Images {
		i := slices.IndexFunc(images, func(img storage.Image) bool { return img.ID == id })
		if i >= 0 && len(images[i].Names) == 0 && half(lib, &images[i]) {
			continue
		}
		v.fault("image %.12s: %v", id, errors.Join(errs...))
	}
	for id, errs := range report.Containers {
		v.fault("container %.12s: %v", id, errors.Join(errs...))
	}
}

// half tells whether an image's manifest or config was never written.
func half(lib storage.Store, img *storage.Image) bool {
	blob, err := lib.ImageBigData(img.ID, storage.ImageDigestBigDataKey)
	if err != nil {
		return true
	}
	m, err := manifest.FromBlob(blob, manifest.GuessMIMEType(blob))
	if err != nil {
		return false
	}
	_, err = lib.ImageBigData(img.ID, m.ConfigInfo().Digest.String())
	return err != nil
}

func (b *Bed) judgeImage(v *Verdict, lib storage.Store, img *storage.Image) {
	for _, name := range img.Names {
		if other, taken := v.Names[name]; taken {
			v.fault("%s is the name of %.12s and of %.12s", name, other, img.ID)
		}
		v.Names[name] = img.ID
		if found, err := lib.Image(name); err != nil || found.ID != img.ID {
			v.fault("%s does not resolve to its image: %v", name, err)
		}
	}
	if half(lib, img) {
		v.Half++
		if len(img.Names) > 0 {
			v.fault("image %.12s has the name %s but no manifest or config", img.ID, img.Names[0])
		}
		return
	}
	for _, key := range img.BigDataNames {
		blob, err := lib.ImageBigData(img.ID, key)
		if err != nil {
			v.fault("image %.12s: %s: %v", img.ID, key, err)
			continue
		}
		want := digest.Digest(strings.TrimPrefix(key, storage.ImageDigestManifestBigDataNamePrefix+"-"))
		if key == storage.ImageDigestBigDataKey {
			want = img.BigDataDigests[key]
		}
		if want.Validate() == nil && digest.FromBytes(blob) != want {
			v.fault("image %.12s: %s has other content than its digest says", img.ID, key)
		}
	}
	if _, err := lib.ImageBigData(img.ID, "sha256:"+img.ID); err != nil {
		v.fault("image %.12s: its config: %v", img.ID, err)
	}
}

// PodmanAgrees compares what podman lists with the verdict; where podman is not
// installed it says so, and the test goes on without.
func (b *Bed) PodmanAgrees(v *Verdict) {
	b.t.Helper()
	if !testenv.Has(b.t, "podman") {
		return
	}
	r := b.Tool("podman", "images", "--all", "--no-trunc", "--format", "json")
	if r.Code != 0 {
		v.fault("podman images: %s", r)
		return
	}
	var listed []struct {
		ID    string `json:"Id"`
		Names []string
	}
	if err := json.Unmarshal([]byte(r.Stdout), &listed); err != nil {
		v.fault("podman images: %v", err)
		return
	}
	names := map[string]string{}
	for _, img := range listed {
		for _, n := range img.Names {
			names[n] = img.ID
		}
	}
	for name, id := range v.Names {
		if names[name] != id {
			v.fault("podman says %s is %.12s, not %.12s", name, names[name], id)
		}
	}
	if len(names) != len(v.Names) {
		v.fault("podman lists %d names, not %d", len(names), len(v.Names))
	}
}

// PruneAll removes everything that nothing names or uses, however young, and
// checks that no layer, half image, staging or download directory is left.
func (b *Bed) PruneAll(ctx context.Context) error {
	e := engine.New(engine.Config{Store: b.Options()})
	plan, err := e.PlanPrune(ctx, engine.PruneOptions{Policy: gc.Policy{MinAge: -1, LeftoverAge: -1}})
	if err != nil {
		return err
	}
	result, err := e.Prune(ctx, plan)
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		return err
	}
	for _, dir := range []string{filepath.Join(b.Driver, "tempdirs"), store.DownloadDir} {
		entries, err := os.ReadDir(filepath.Join(b.Root, dir))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			return fmt.Errorf("%s/%s was left", dir, e.Name())
		}
	}
	if v := b.Judge(); len(v.Faults) > 0 || v.Unreferenced > 0 || v.Half > 0 {
		return fmt.Errorf("after the prune: %d unreferenced layers, %d half images, faults %q", v.Unreferenced, v.Half, v.Faults)
	}
	return nil
}
