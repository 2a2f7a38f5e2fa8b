package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/storage"

	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// serve starts a registry with the images that are pulled: mid has 4 layers
// and 43,000 files, many has 60 small layers, each for two platforms.
func serve(o options) (*testregistry.Registry, error) {
	r := testregistry.New()
	specs := map[string]testimage.Spec{
		// Random bytes do not shrink: files times size is the compressed size.
		"bench/mid:1":  {Layers: 4, Files: 10_750, FileSize: o.megabytes << 20 / 43_000, Compressible: true},
		"bench/many:1": {Layers: 60, Files: 20, FileSize: 2 << 10},
	}
	if o.only != "" && !slices.Contains(strings.Split(o.only, ","), "mid") {
		delete(specs, "bench/mid:1") // making it takes a minute
	}
	for name, spec := range specs {
		index, err := testimage.Index([]string{"linux/amd64", "linux/arm64"}, spec)
		if err != nil {
			return nil, err
		}
		if err := r.PushIndex(name, index); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// fill makes a store of n images on a shared base layer, each with a layer of
// its own; every second one has no name, as after as many displacements.
func fill(root, runRoot string, n int) error {
	store, err := storage.GetStore(storage.StoreOptions{GraphRoot: root, RunRoot: runRoot, GraphDriverName: "overlay"})
	if err != nil {
		return err
	}
	base, _, err := store.PutLayer("", "", nil, "", false, nil, bytes.NewReader(layerOf("base")))
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		if err := addImage(store, base.ID, i, random.Uint64()); err != nil {
			return fmt.Errorf("image %d: %w", i, err)
		}
	}
	_, err = store.Shutdown(false)
	store.Free()
	return err
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
	_, err = store.CreateImage(configDigest.Encoded(), []string{name}, layer.ID, "{}", &storage.ImageOptions{BigData: []storage.ImageBigDataOption{
		{Key: configDigest.String(), Data: []byte(config), Digest: configDigest},
		{Key: storage.ImageDigestBigDataKey + "-" + manifestDigest.String(), Data: []byte(m), Digest: manifestDigest},
		{Key: storage.ImageDigestBigDataKey, Data: []byte(m), Digest: manifestDigest},
	}})
	if err == nil && i%2 == 1 {
		err = store.RemoveNames(configDigest.Encoded(), []string{name})
	}
	return err
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
