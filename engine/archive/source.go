package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"
)

// Reference is one image of an archive for the image library: of mpull's, the
// original manifest below the original index, as the registry had them. To the
// signature policy and to people it is an oci-archive.
type Reference struct {
	place
	archive *Archive
	image   *Image
	top     digest.Digest
}

// Reference returns the reference to an image of the archive through one of
// its indexes, or through its manifest.
func (a *Archive) Reference(img *Image, top digest.Digest) Reference {
	return Reference{place: place(a.name), archive: a, image: img, top: top}
}

// NewImageSource returns what reads the image. It does not close the archive.
func (r Reference) NewImageSource(context.Context, *types.SystemContext) (types.ImageSource, error) {
	return &Source{ref: r}, nil
}

// NewImage is not needed for copying.
func (r Reference) NewImage(context.Context, *types.SystemContext) (types.ImageCloser, error) {
	return nil, errors.New("an image of an archive is read through its source")
}

// Pin returns the reference to the manifest alone, for an index from which the
// library would choose another.
func (r Reference) Pin(d digest.Digest) types.ImageReference {
	r.top = d
	return r
}

// Source reads one image of an archive.
type Source struct{ ref Reference }

// Reference implements types.ImageSource.
func (s *Source) Reference() types.ImageReference { return s.ref }

// Close implements types.ImageSource; the archive stays open.
func (s *Source) Close() error { return nil }

// GetManifest implements types.ImageSource. It is checked against its digest.
func (s *Source) GetManifest(_ context.Context, instance *digest.Digest) ([]byte, string, error) {
	d := s.ref.top
	if instance != nil {
		d = *instance
	}
	data, err := s.ref.archive.Document(d)
	if err != nil {
		return nil, "", err
	}
	return data, manifest.GuessMIMEType(data), nil
}

// GetBlob implements types.ImageSource. A layer that the archive has in
// another compressed form only is not there under its original digest.
func (s *Source) GetBlob(_ context.Context, info types.BlobInfo, _ types.BlobInfoCache) (io.ReadCloser, int64, error) {
	return s.ref.archive.blob(info.Digest)
}

// HasThreadSafeGetBlob implements types.ImageSource.
func (s *Source) HasThreadSafeGetBlob() bool { return true }

// GetSignatures implements types.ImageSource: an archive carries none.
func (s *Source) GetSignatures(context.Context, *digest.Digest) ([][]byte, error) { return nil, nil }

// LayerInfosForCopy implements types.ImageSource: the manifest is right.
func (s *Source) LayerInfosForCopy(context.Context, *digest.Digest) ([]types.BlobInfo, error) {
	return nil, nil
}

// Substitute returns the blob that the archive has for a layer whose original
// compressed form it lacks.
func (s *Source) Substitute(original digest.Digest) (types.BlobInfo, bool) {
	for _, l := range s.ref.image.Layers {
		if l.Original != original {
			continue
		}
		if file, ok := s.ref.archive.files[blobFolder+l.Blob.Encoded()]; ok {
			return types.BlobInfo{Digest: l.Blob, Size: file.size, MediaType: l.MediaType}, true
		}
	}
	return types.BlobInfo{}, false
}

// ConfigDigest returns what the original manifest of an image names as its
// config.
func (a *Archive) ConfigDigest(img *Image) (digest.Digest, error) {
	data, err := a.Document(img.Manifest)
	if err != nil {
		return "", err
	}
	m, err := manifest.FromBlob(data, manifest.GuessMIMEType(data))
	if err != nil {
		return "", fmt.Errorf("reading the manifest %s: %w", img.Manifest, err)
	}
	return m.ConfigInfo().Digest, nil
}
