package archive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/types"
)

// Archive is an open archive, of mpull or of another tool. It may come from
// anybody. Close must be called. It is safe for concurrent use.
type Archive struct {
	Path string
	// Record is what mpull left; nil in another tool's archive.
	Record *Record
	// Names are those that another tool's archive gives to its images, as the
	// transport Transport takes them; "" is an image without a name.
	Names []string
	// Transport reads another tool's archive: oci-archive or docker-archive.
	Transport string

	file  *os.File
	files map[string]section
}

// section is where the contents of a file lie in the tar.
type section struct{ offset, size int64 }

// ErrNotArchive is returned for a file that is no image archive.
var ErrNotArchive = errors.New("it is neither an OCI archive nor a docker archive")

// Open reads the table of an archive: its blobs stay where they are. The file
// must be an uncompressed tar and stay unchanged.
func Open(path string) (*Archive, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	a := &Archive{Path: path, file: f, files: map[string]section{}}
	if err := a.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the archive %s: %w", path, err), f.Close())
	}
	return a, nil
}

// Close closes the file.
func (a *Archive) Close() error { return a.file.Close() }

func (a *Archive) read() error {
	if err := a.scan(); err != nil {
		return err
	}
	if _, ok := a.files[recordFile]; ok {
		data, err := a.document(recordFile)
		if err != nil {
			return err
		}
		a.Record, err = ParseRecord(data)
		return err
	}
	switch {
	case a.has(layoutFile) && a.has(indexFile):
		a.Transport = "oci-archive"
		return a.layoutNames()
	case a.has(dockerFile):
		a.Transport = "docker-archive"
		return a.dockerNames()
	}
	return ErrNotArchive
}

func (a *Archive) has(name string) bool {
	_, ok := a.files[name]
	return ok
}

// scan notes where each regular file lies. Of two with one name the second is
// an error: tools do not agree about which of them counts.
func (a *Archive) scan() error {
	// The reader asks for exactly what it needs, so after a header the file is
	// at the contents; it seeks over what is not read.
	r := tar.NewReader(a.file)
	for n := 0; ; n++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) && n > 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w (an uncompressed tar): %w", ErrNotArchive, err)
		}
		if n == maxFiles {
			return fmt.Errorf("it has more than %d files", maxFiles)
		}
		if h.Typeflag != tar.TypeReg || len(h.Name) > 1024 {
			continue
		}
		name := strings.TrimPrefix(h.Name, "./")
		if a.has(name) {
			return fmt.Errorf("it has two files %q", name)
		}
		offset, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		a.files[name] = section{offset, h.Size}
	}
}

// document reads a small file of the archive.
func (a *Archive) document(name string) ([]byte, error) {
	s, ok := a.files[name]
	if !ok {
		return nil, fmt.Errorf("%s is missing", name)
	}
	if s.size > maxDocument {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, s.size, maxDocument)
	}
	data := make([]byte, s.size)
	if _, err := a.file.ReadAt(data, s.offset); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return data, nil
}

// Document returns a small blob after checking it against its digest.
func (a *Archive) Document(d digest.Digest) ([]byte, error) {
	if err := checkDigest(d); err != nil {
		return nil, err
	}
	data, err := a.document(blobFolder + d.Encoded())
	if err != nil {
		return nil, err
	}
	if digest.FromBytes(data) != d {
		return nil, fmt.Errorf("the blob %s has other content than its digest says", d)
	}
	return data, nil
}

// blob opens a blob; what comes out is not checked.
func (a *Archive) blob(d digest.Digest) (io.ReadCloser, int64, error) {
	if err := checkDigest(d); err != nil {
		return nil, 0, err
	}
	s, ok := a.files[blobFolder+d.Encoded()]
	if !ok {
		return nil, 0, fmt.Errorf("the blob %s is not in the archive %s", d, a.Path)
	}
	return io.NopCloser(io.NewSectionReader(a.file, s.offset, s.size)), s.size, nil
}

// layoutNames lists what the index of an OCI archive names.
func (a *Archive) layoutNames() error {
	data, err := a.document(indexFile)
	if err != nil {
		return err
	}
	var index imgspecv1.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return fmt.Errorf("reading %s: %w", indexFile, err)
	}
	if len(index.Manifests) > maxImages {
		return fmt.Errorf("%s has more than %d images", indexFile, maxImages)
	}
	for _, d := range index.Manifests {
		a.Names = append(a.Names, d.Annotations[imgspecv1.AnnotationRefName])
	}
	return nil
}

// dockerNames lists the first name of each image of a docker archive, or its
// place in it.
func (a *Archive) dockerNames() error {
	data, err := a.document(dockerFile)
	if err != nil {
		return err
	}
	var images []dockerImage
	if err := json.Unmarshal(data, &images); err != nil {
		return fmt.Errorf("reading %s: %w", dockerFile, err)
	}
	if len(images) > maxImages {
		return fmt.Errorf("%s has more than %d images", dockerFile, maxImages)
	}
	for i, image := range images {
		switch {
		case len(image.RepoTags) > 0:
			a.Names = append(a.Names, image.RepoTags[0])
		case len(images) == 1:
			a.Names = append(a.Names, "")
		default:
			a.Names = append(a.Names, fmt.Sprintf("@%d", i))
		}
	}
	return nil
}

func newReader(data []byte) io.Reader { return bytes.NewReader(data) }

var _ types.ImageReference = Reference{}
