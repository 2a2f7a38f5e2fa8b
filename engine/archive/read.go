package archive

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	dockerarchive "go.podman.io/image/v5/docker/archive"
	"go.podman.io/image/v5/types"
)

// Archive is an open archive, of mpull or of another tool. It may come from
// anybody. It is safe for concurrent use.
type Archive struct {
	// Record is what mpull left; nil in another tool's archive.
	Record *Record
	// Images are those of another tool's archive.
	Images []Foreign

	name  string // for people
	file  *os.File
	files map[string]section
}

// Foreign is one image of another tool's archive, or several of one index.
type Foreign struct {
	// Names are those that the archive gives to it, as they are written there,
	// short or full; none for an image without a name.
	Names []string
	Ref   types.ImageReference
}

// section is where the contents of a file lie in the tar.
type section struct{ offset, size int64 }

// ErrNotArchive is returned for a file that is no image archive.
var ErrNotArchive = errors.New("it is neither an OCI archive nor a docker archive")

// Open reads the table of an archive: its blobs stay where they are. The file
// must be an uncompressed tar, which name stands for in messages; it stays the
// caller's, unchanged and open for as long as the archive is used.
func Open(f *os.File, name string) (*Archive, error) {
	a := &Archive{name: name, file: f, files: map[string]section{}}
	if err := a.read(); err != nil {
		return nil, fmt.Errorf("reading the archive %s: %w", name, err)
	}
	return a, nil
}

func (a *Archive) read() (err error) {
	if err := a.scan(); err != nil {
		return err
	}
	if a.has(recordFile) {
		data, err := a.document(recordFile)
		if err != nil {
			return err
		}
		a.Record, err = ParseRecord(data)
		return err
	}
	switch {
	case a.has(layoutFile) && a.has(indexFile):
		a.Images, err = a.layoutImages()
	case a.has(dockerFile):
		a.Images, err = a.dockerImages()
	default:
		err = ErrNotArchive
	}
	return err
}

func (a *Archive) has(name string) bool {
	_, ok := a.files[name]
	return ok
}

// scan notes where each regular file lies; a link, as older dockers made of a
// layer that they had written already, is the file of the archive that it leads
// to. Of two with one name the second is
// an error: tools do not agree about which of them counts.
func (a *Archive) scan() error {
	if _, err := a.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	// The reader asks for exactly what it needs, so after a header the file is
	// at the contents; it seeks over what is not read.
	r := tar.NewReader(a.file)
	links := map[string]string{}
	for n := 0; ; n++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) && n > 0 {
			a.resolve(links)
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w (an uncompressed tar): %w", ErrNotArchive, err)
		}
		if n == maxFiles {
			return fmt.Errorf("it has more than %d files", maxFiles)
		}
		if len(h.Name) > 1024 || len(h.Linkname) > 1024 {
			continue
		}
		name := strings.TrimPrefix(h.Name, "./")
		if _, twice := links[name]; twice || a.has(name) {
			return fmt.Errorf("it has two files %q", name)
		}
		switch h.Typeflag {
		case tar.TypeSymlink:
			links[name] = path.Join(path.Dir(name), h.Linkname)
		case tar.TypeLink:
			links[name] = path.Clean(h.Linkname)
		case tar.TypeReg:
			offset, err := a.file.Seek(0, io.SeekCurrent)
			if err != nil {
				return err
			}
			a.files[name] = section{offset, h.Size}
		}
	}
}

// resolve gives links the files that they lead to, through others; those that
// lead to none, or to each other, are not there.
func (a *Archive) resolve(links map[string]string) {
	for name, to := range links {
		for range maxLinks {
			next, further := links[to]
			if !further {
				break
			}
			to = next
		}
		if s, ok := a.files[to]; ok {
			a.files[name] = s
		}
	}
}

// maxLinks is how many links after each other are followed.
const maxLinks = 16

// missingError names a file that the archive does not have. It is an fs.ErrNotExist.
type missingError string

func (e missingError) Error() string { return string(e) + " is missing" }

// Is tells errors.Is what kind of error it is.
func (missingError) Is(target error) bool { return target == fs.ErrNotExist }

// document reads a small file of the archive.
func (a *Archive) document(name string) ([]byte, error) {
	s, ok := a.files[name]
	if !ok {
		return nil, missingError(name)
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
		return nil, 0, fmt.Errorf("the blob %s is not in the archive %s", d, a.name)
	}
	return io.NopCloser(io.NewSectionReader(a.file, s.offset, s.size)), s.size, nil
}

// layoutImages lists what the index of an OCI archive names. Tools write the
// name of an image under two keys; containerd's has the full one, and goes first
// for podman too.
func (a *Archive) layoutImages() (images []Foreign, err error) {
	index, err := a.layoutIndex()
	if err != nil {
		return nil, err
	}
	for _, d := range index.Manifests {
		if d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" {
			continue
		}
		image := Foreign{Ref: a.Reference(&Image{Manifest: d.Digest}, d.Digest)}
		if name := cmp.Or(d.Annotations[containerdName], d.Annotations[imgspecv1.AnnotationRefName]); name != "" {
			image.Names = []string{name}
		}
		images = append(images, image)
	}
	return images, nil
}

// dockerImages lists the images of a docker archive, which the image library
// reads: from the file that is open here, whatever its name.
func (a *Archive) dockerImages() (images []Foreign, err error) {
	list, err := a.dockerList()
	if err != nil {
		return nil, err
	}
	for i, image := range list {
		ref, err := dockerarchive.NewIndexReference(fmt.Sprintf("/proc/self/fd/%d", a.file.Fd()), i)
		if err != nil {
			return nil, err
		}
		images = append(images, Foreign{Names: image.RepoTags, Ref: called{ref, fmt.Sprintf("%s:@%d", a.name, i)}})
	}
	return images, nil
}

// called is a reference to an open file under the name that people know.
type called struct {
	types.ImageReference
	name string
}

// StringWithinTransport returns the name.
func (c called) StringWithinTransport() string { return c.name }
