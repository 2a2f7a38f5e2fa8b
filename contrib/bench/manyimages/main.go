// Manyimages fills a store with small images, for measuring commands that read
// all of it:
//
//	go run ./contrib/bench/manyimages -n 1000 /tmp/bench
//	bin/mpull --root /tmp/bench/root --runroot /tmp/bench/run --storage-driver vfs images
//
// Each image has a name, a config, a manifest and a layer of its own on a base
// that ten of them share; every tenth is dangling.
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"
)

func main() {
	if reexec.Init() {
		return // a child that unpacks a layer
	}
	n := flag.Int("n", 1000, "how many images")
	driver := flag.String("driver", "vfs", "storage driver")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: manyimages [-n COUNT] [-driver DRIVER] DIR")
		os.Exit(2)
	}
	if err := fill(flag.Arg(0), *driver, *n); err != nil {
		fmt.Fprintln(os.Stderr, "manyimages:", err)
		os.Exit(1)
	}
}

func fill(dir, driver string, n int) error {
	s, err := storage.GetStore(storage.StoreOptions{
		GraphRoot: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), GraphDriverName: driver,
	})
	if err != nil {
		return err
	}
	defer s.Free()
	base := ""
	for i := range n {
		if i%10 == 0 {
			if base, err = layer(s, "", fmt.Sprintf("base%d", i)); err != nil {
				return err
			}
		}
		if err := image(s, base, i); err != nil {
			return err
		}
	}
	_, err = s.Shutdown(false)
	return err
}

func layer(s storage.Store, parent, name string) (string, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(name))}); err != nil {
		return "", err
	}
	if _, err := w.Write([]byte(name)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	l, _, err := s.PutLayer("", parent, nil, "", false, nil, &b)
	if err != nil {
		return "", err
	}
	return l.ID, nil
}

func image(s storage.Store, base string, i int) error {
	top, err := layer(s, base, fmt.Sprintf("file%d", i))
	if err != nil {
		return err
	}
	created := time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC)
	diffID := digest.FromString(fmt.Sprint("diff", i))
	config := fmt.Appendf(nil, `{"created":%q,"os":"linux","architecture":"amd64","config":{"Env":["PATH=/usr/bin"],"Cmd":["/bin/sh"],"Labels":{"n":"%d"}},`+
		`"rootfs":{"type":"layers","diff_ids":[%q,%q]},"history":[{"created":%q,"created_by":"ADD base"},{"created":%q,"created_by":"RUN %d"}]}`,
		created.Format(time.RFC3339), i, digest.FromString(base), diffID, created.Format(time.RFC3339), created.Format(time.RFC3339), i)
	id := digest.FromBytes(config)
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},`+
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":1024},{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":1024}]}`,
		id, len(config), digest.FromString(base), diffID)
	var names []string
	if i%10 != 9 {
		names = []string{fmt.Sprintf("registry.test/team/app%d:%d", i/10, i%10)}
	}
	manifestDigest := digest.FromBytes(manifest)
	_, err = s.CreateImage(id.Encoded(), names, top, "", &storage.ImageOptions{
		CreationDate: created, Digest: manifestDigest,
		BigData: []storage.ImageBigDataOption{
			{Key: id.String(), Data: config, Digest: id},
			{Key: storage.ImageDigestBigDataKey, Data: manifest, Digest: manifestDigest},
			{Key: storage.ImageDigestManifestBigDataNamePrefix + "-" + manifestDigest.String(), Data: manifest, Digest: manifestDigest},
		},
	})
	return err
}
