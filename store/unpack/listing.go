package unpack

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
)

// ListKey is under which the store keeps the list of a layer's files, by which
// the library finds files that need not be fetched (minimal.ManifestBigDataKey
// in storage's pkg/chunked).
const ListKey = "zstd-chunked-manifest"

// lister lists the files of a layer by what they hold, as that goes by: the list
// that a layer brings along is what its maker says, and the library copies files
// by it without looking at them.
type lister struct {
	out bytes.Buffer
	err error
}

// begin returns what takes the contents of an entry, nil for one that is not
// listed. The entry is listed as its header is now.
func (l *lister) begin(hdr *tar.Header) *listing {
	if l == nil || hdr.Typeflag != tar.TypeReg || hdr.Size == 0 || strings.HasPrefix(path.Base(hdr.Name), archive.WhiteoutPrefix) {
		return nil
	}
	e := described{Type: "reg", Name: hdr.Name, Mode: hdr.Mode, Size: hdr.Size, UID: hdr.Uid, GID: hdr.Gid}
	for key, value := range hdr.PAXRecords {
		if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			if e.Attributes == nil {
				e.Attributes = map[string]string{}
			}
			e.Attributes[name] = base64.StdEncoding.EncodeToString([]byte(value))
		}
	}
	return &listing{sha256.New(), l, e}
}

// listing is a file that is being listed.
type listing struct {
	hash.Hash
	to *lister
	described
}

// end lists the file.
func (l *listing) end() {
	if l == nil {
		return
	}
	l.Digest = digest.NewDigest(digest.SHA256, l.Hash)
	data, err := json.Marshal(l.described)
	l.to.err = errors.Join(l.to.err, err)
	if l.to.out.Len() > 0 {
		l.to.out.WriteByte(',')
	}
	l.to.out.Write(data)
}

// data is the list, nil of a layer without files.
func (l *lister) data() ([]byte, error) {
	if l.out.Len() == 0 || l.err != nil {
		return nil, l.err
	}
	return slices.Concat([]byte(`{"version":1,"entries":[`), l.out.Bytes(), []byte("]}")), nil
}

// list lists the files of a layer of the store.
func (s *stager) list(ctx context.Context, id string) error {
	layer, err := s.store.Layer(id)
	if err != nil || layer.ReadOnly || slices.Contains(layer.BigDataNames, ListKey) {
		return err
	}
	in, err := s.tarOf(ctx, id)
	if err != nil {
		return err
	}
	data, err := listTar(in)
	if err = errors.Join(err, in.Close()); err != nil || data == nil {
		return err
	}
	return s.store.SetLayerBigData(id, ListKey, bytes.NewReader(data))
}

func listTar(in io.Reader) ([]byte, error) {
	var l lister
	r := tar.NewReader(in)
	for {
		hdr, err := r.Next()
		if errors.Is(err, io.EOF) {
			return l.data()
		}
		if err != nil {
			return nil, err
		}
		if f := l.begin(hdr); f != nil && !isSparse(hdr.PAXRecords, hdr.Typeflag) {
			if _, err := io.Copy(f, r); err != nil {
				return nil, err
			}
			f.end()
		}
	}
}

// tarOf opens the tar of a layer of the store.
func (s *stager) tarOf(ctx context.Context, id string) (io.ReadCloser, error) {
	if s.spools() {
		return s.opts.Library.Tar(ctx, id)
	}
	driver, err := s.store.GraphDriver()
	if err != nil {
		return nil, err
	}
	metadata, err := driver.Metadata(id)
	if err != nil {
		return nil, err
	}
	return Tar(ctx, metadata["UpperDir"], filepath.Join(s.store.GraphRoot(), driver.String()+"-layers", id+".tar-split.gz"))
}

// lists tells whether the store has a list of any layer's files.
func lists(store storage.Store) bool {
	layers, err := store.Layers()
	return err == nil && slices.ContainsFunc(layers, func(l storage.Layer) bool { return slices.Contains(l.BigDataNames, ListKey) })
}
