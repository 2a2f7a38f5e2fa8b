package archive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Writer writes an archive. What it writes depends on what it is given alone:
// the files have no owner and the time 0. Close must be called last.
type Writer struct {
	tar     *tar.Writer
	written map[digest.Digest]int64
	index   imgspecv1.Index
	docker  []dockerImage
	record  Record
}

// dockerImage is one entry of manifest.json, as docker load reads it.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer {
	a := &Writer{tar: tar.NewWriter(w), written: map[digest.Digest]int64{}, record: Record{Version: Version}}
	a.index.SchemaVersion, a.index.MediaType = 2, imgspecv1.MediaTypeImageIndex
	a.index.Manifests = []imgspecv1.Descriptor{}
	return a
}

// Has tells whether a blob is in the archive already.
func (a *Writer) Has(d digest.Digest) bool {
	_, ok := a.written[d]
	return ok
}

// Blob writes a blob of size bytes; one that is there already is not written
// twice. It does not check the digest: the caller has just computed it.
func (a *Writer) Blob(d digest.Digest, size int64, r io.Reader) error {
	if a.Has(d) {
		return nil
	}
	if err := a.file(blobFolder+d.Encoded(), size, r); err != nil {
		return err
	}
	a.written[d] = size
	return nil
}

// Document writes a small blob and returns its digest.
func (a *Writer) Document(data []byte) (digest.Digest, error) {
	d := digest.FromBytes(data)
	return d, a.Blob(d, int64(len(data)), bytes.NewReader(data))
}

// Manifest lists a manifest or an index of the archive for other tools, under
// name if there is one.
func (a *Writer) Manifest(d imgspecv1.Descriptor, name string) {
	if name != "" {
		// The specification's annotation, which containers/image reads, and
		// containerd's, which docker reads.
		d.Annotations = map[string]string{imgspecv1.AnnotationRefName: name, containerdName: name}
	}
	a.index.Manifests = append(a.index.Manifests, d)
}

// Docker lists an image for docker load, under a tag if there is one.
func (a *Writer) Docker(config digest.Digest, layers []digest.Digest, tag string) {
	image := dockerImage{Config: blobFolder + config.Encoded(), Layers: []string{}}
	if tag != "" {
		image.RepoTags = []string{tag}
	}
	for _, l := range layers {
		image.Layers = append(image.Layers, blobFolder+l.Encoded())
	}
	a.docker = append(a.docker, image)
}

// Group lists the images of a name for mpull load.
func (a *Writer) Group(g Group) { a.record.Groups = append(a.record.Groups, g) }

// Close writes what makes the blobs an archive. It does not close the writer
// below.
func (a *Writer) Close() error {
	for _, f := range []struct {
		name string
		v    any
	}{
		{layoutFile, imgspecv1.ImageLayout{Version: imgspecv1.ImageLayoutVersion}},
		{indexFile, a.index},
		{dockerFile, a.docker},
		{recordFile, a.record},
	} {
		data, err := json.Marshal(f.v)
		if err != nil {
			return err
		}
		if len(data) > maxDocument {
			return fmt.Errorf("writing %s: too many images for one archive", f.name)
		}
		if err := a.file(f.name, int64(len(data)), bytes.NewReader(data)); err != nil {
			return err
		}
	}
	return a.tar.Close()
}

func (a *Writer) file(name string, size int64, r io.Reader) error {
	h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)}
	err := a.tar.WriteHeader(h)
	if err == nil {
		_, err = io.Copy(a.tar, r)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
