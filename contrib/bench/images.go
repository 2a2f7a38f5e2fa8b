package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/storage"

	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// serve starts a registry with the images that are pulled: mid has 4 layers
// and 43,000 files, few has 4 small layers, many 60, each for two platforms.
func serve(o options, dir string, between *wire) (*testregistry.Registry, error) {
	r := testregistry.New()
	r.Wrap(between.around)
	specs := map[string]testimage.Spec{
		// Random bytes do not shrink: files times size is the compressed size.
		"bench/mid:1":  {Layers: 4, Files: 10_750, FileSize: o.megabytes << 20 / 43_000, Compressible: true},
		"bench/few:1":  {Layers: 4, Files: 20, FileSize: 2 << 10},
		"bench/many:1": {Layers: 60, Files: 20, FileSize: 2 << 10},
	}
	mid := []string{"mid", "user-mid", "fuse-mid", "vfs-mid", "oci-mid", "save"}
	if !slices.ContainsFunc(mid, o.wants) {
		delete(specs, "bench/mid:1") // making it takes a minute
	}
	if err := pushSingle(o, r); err != nil {
		return nil, err
	}
	for name, spec := range specs {
		index, err := testimage.Index([]string{"linux/amd64", "linux/arm64"}, spec)
		if err != nil {
			return nil, err
		}
		if err := r.PushIndex(name, index); err != nil {
			return nil, err
		}
		if image := strings.TrimSuffix(path.Base(name), ":1"); o.wants("oci-" + image) {
			if err := writeLayout(filepath.Join(dir, "oci-"+image), index); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// The only layer of the image whose pull is killed.
const bigFiles, bigFile = 40, 5 << 20

// pushSingle serves images for one platform, each for a row of its own: big has
// one layer of 200 MB, slow one of 60, and 20 of the 3,000 files of chunked differ
// between its versions.
func pushSingle(o options, r *testregistry.Registry) error {
	chunked := testimage.Spec{OCI: true, Chunked: true, Layers: 2, Files: 1500, FileSize: 6 << 10}
	changed := chunked
	changed.Changed = 10
	for _, image := range []struct {
		row, name string
		spec      testimage.Spec
	}{
		{"resume", "bench/big:1", testimage.Spec{Files: bigFiles, FileSize: bigFile}},
		{"slow", "bench/slow:1", testimage.Spec{Files: 12, FileSize: 5 << 20}},
		{"update", "bench/chunked:1", chunked}, {"update", "bench/chunked:2", changed},
	} {
		if !o.wants(image.row) && !o.wants("user-"+image.row) {
			continue
		}
		img, err := testimage.Image(image.spec)
		if err != nil {
			return err
		}
		if err := r.PushImage(image.name, img); err != nil {
			return err
		}
	}
	return nil
}

// writeLayout makes a directory of the first image of an index.
func writeLayout(dir string, index v1.ImageIndex) error {
	list, err := index.IndexManifest()
	if err != nil {
		return err
	}
	img, err := index.Image(list.Manifests[0].Digest)
	if err != nil {
		return err
	}
	// The peers take nothing else for an image of a layout.
	img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
	to, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return to.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "1"}))
}

// fillBatch is how many images are made in one store. The library writes the
// lists of all images and layers at each change, so that a large store costs
// much more than several small ones that are put together.
const fillBatch = 250

// fill makes a store of n images, each with a layer of its own on a base layer
// that a batch shares; every second one has no name, as after as many
// displacements.
func fill(root, runRoot string, n int) error {
	for first := 0; first < n; first += fillBatch {
		part := root + "-part"
		if err := fillStore(part, runRoot+"-part", first, min(first+fillBatch, n)); err != nil {
			return err
		}
		if err := merge(root, part); err != nil {
			return fmt.Errorf("putting stores together: %w", err)
		}
	}
	return nil
}

// fillStore makes a store of the images from first to before end.
func fillStore(root, runRoot string, first, end int) error {
	store, err := storage.GetStore(storage.StoreOptions{GraphRoot: root, RunRoot: runRoot, GraphDriverName: "overlay"})
	if err != nil {
		return err
	}
	base, _, err := store.PutLayer("", "", nil, "", false, nil, bytes.NewReader(layerOf("base")))
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, uint64(first)))
	for i := first; i < end; i++ {
		if err := addImage(store, base.ID, i, random.Uint64()); err != nil {
			return fmt.Errorf("image %d: %w", i, err)
		}
	}
	_, err = store.Shutdown(false)
	store.Free()
	return err
}

// merge moves the layers and images of one store into another, and removes it.
func merge(root, part string) error {
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(part, root)
	}
	for _, dir := range []string{"overlay/l", "overlay", "overlay-layers", "overlay-images"} {
		entries, err := os.ReadDir(filepath.Join(part, dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			from, to := filepath.Join(part, dir, e.Name()), filepath.Join(root, dir, e.Name())
			move := os.Rename
			if filepath.Ext(to) == ".json" {
				move = appendList
			} else if _, err := os.Lstat(to); err == nil {
				continue // locks, and the folders named here
			}
			if err := move(from, to); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(part)
}

// appendList appends one JSON list to another.
func appendList(from, to string) error {
	var all []json.RawMessage
	for _, path := range []string{to, from} {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var list []json.RawMessage
		if err := json.Unmarshal(data, &list); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, list...)
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

func addImage(store storage.Store, base string, i int, seed uint64) error {
	layer, _, err := store.PutLayer("", base, nil, "", false, nil, bytes.NewReader(layerOf(fmt.Sprint(seed))))
	if err != nil {
		return err
	}
	config := fmt.Sprintf(`{"created":"2024-01-01T00:%02d:%02dZ","architecture":"amd64","os":"linux","config":{"Cmd":["/bin/sh"],"Labels":{"n":"%d"}},"rootfs":{"type":"layers","diff_ids":["%s","%s"]},"history":[{"created_by":"base"},{"created_by":"step %d"}]}`,
		i/60%60, i%60, i, digest.FromString("base"), digest.FromString(fmt.Sprint(seed)), seed)
	configDigest := digest.FromString(config)
	m := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%s","size":1},{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%s","size":1}]}`,
		configDigest, len(config), digest.FromString("base"), digest.FromString(fmt.Sprint(seed)))
	manifestDigest, err := manifest.Digest([]byte(m))
	if err != nil {
		return err
	}
	name := fmt.Sprintf("localhost/bench:%d", i)
	_, err = store.CreateImage(configDigest.Encoded(), nil, layer.ID, "{}", &storage.ImageOptions{BigData: []storage.ImageBigDataOption{
		{Key: configDigest.String(), Data: []byte(config), Digest: configDigest},
		{Key: storage.ImageDigestBigDataKey + "-" + manifestDigest.String(), Data: []byte(m), Digest: manifestDigest},
		{Key: storage.ImageDigestBigDataKey, Data: []byte(m), Digest: manifestDigest},
	}})
	if err != nil {
		return err
	}
	// Naming and unnaming, as pulls do, leaves the name in the image's history.
	if err := store.AddNames(configDigest.Encoded(), []string{name}); err != nil || i%2 == 0 {
		return err
	}
	return store.RemoveNames(configDigest.Encoded(), []string{name})
}

// countImages tells when a store has not as many images as it is to have.
func countImages(s place, want int) error {
	path := filepath.Join(s.root, "overlay-images", "images.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var images []json.RawMessage
	if err := json.Unmarshal(data, &images); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(images) != want {
		return fmt.Errorf("%d images are left, not %d", len(images), want)
	}
	return nil
}

// layerOf is the archive of a layer with one small file.
func layerOf(text string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	// Writing to memory does not fail.
	_ = w.WriteHeader(&tar.Header{Name: "file", Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))})
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()
}
