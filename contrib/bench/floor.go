package main

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"
)

// floorWord makes this program do no more with an image than anybody must who
// unpacks it: fetch its layers, check both digests, decompress, and write the
// files, all layers at once. It keeps no owners, times or attributes, and makes
// nothing of it that a store could use.
const floorWord = "floor"

// floor takes a folder and a reference.
func floor(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want a folder and a reference")
	}
	ref, err := name.ParseReference(args[1], name.Insecure)
	if err != nil {
		return err
	}
	img, err := remote.Image(ref)
	if err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	var group errgroup.Group
	for i, l := range layers {
		group.Go(func() error { return unpackPlainly(l, filepath.Join(args[0], strconv.Itoa(i))) })
	}
	return group.Wait()
}

func unpackPlainly(l v1.Layer, dir string) error {
	want, err := l.DiffID()
	if err != nil {
		return err
	}
	blob, err := l.Compressed() // checks the digest of what it reads
	if err != nil {
		return err
	}
	defer blob.Close()
	plain, err := gzip.NewReader(blob)
	if err != nil {
		return err
	}
	hash := sha256.New()
	all := io.TeeReader(plain, hash)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for r := tar.NewReader(all); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := writePlainly(dir, h, r); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, all); err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", hash.Sum(nil)); got != want.Hex {
		return fmt.Errorf("the layer is %s, not %s", got, want.Hex)
	}
	return nil
}

// writePlainly trusts the image: it is the benchmark's own.
func writePlainly(dir string, h *tar.Header, r io.Reader) error {
	path := filepath.Join(dir, filepath.Clean("/"+h.Name))
	switch h.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(path, 0o700)
	case tar.TypeReg:
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Close())
	case tar.TypeSymlink:
		return os.Symlink(h.Linkname, path)
	}
	return nil // it has nothing else
}
