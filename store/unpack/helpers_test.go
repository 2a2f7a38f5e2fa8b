package unpack

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/signature"
	imagestorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/idtools"
	"go.podman.io/storage/pkg/reexec"
	"go.podman.io/storage/pkg/unshare"

	"github.com/mpull/mpull/integration/testenv"
)

func TestMain(m *testing.M) {
	if reexec.Init() {
		return
	}
	if os.Getenv(userEnv) != "" {
		unshare.MaybeReexecUsingUserNamespace(true) // as the program does
	}
	if os.Getenv(fetchRootEnv) != "" {
		if err := fetchProcess(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	testenv.Main(m)
}

// needStore skips the test for who has no overlay store: an ordinary user
// outside a user namespace, or where the kernel does not let one mount.
func needStore(t testing.TB) {
	t.Helper()
	testenv.Root(t)
}

// newStore opens an empty overlay store in a directory of its own.
func newStore(t testing.TB, options ...string) storage.Store {
	t.Helper()
	return setting{options: options}.newStore(t)
}

// setting is a way in which a store writes its layers.
type setting struct {
	name    string
	driver  string   // "" is overlay
	options []string // of the driver
	mapped  bool     // root's files belong to another
}

// spools tells that the library unpacks in this setting.
func (s setting) spools() bool {
	return s.driver != "" || slices.Contains(s.options, "overlay.use_composefs=true")
}

// fetch is Fetch with what the setting needs for it.
func (s setting) fetch(ctx context.Context, store storage.Store, layers []Layer, open Opener, opts Options) (Result, error) {
	if s.spools() {
		opts.Library = s.library(store)
	}
	return Fetch(ctx, store, layers, open, opts)
}

func (s setting) library(store storage.Store) *Library {
	return &Library{
		Spool: func() (*os.File, error) {
			f, err := os.CreateTemp(store.GraphRoot(), "spool-")
			if err != nil {
				return nil, err
			}
			return f, os.Remove(f.Name())
		},
		Tar: func(ctx context.Context, id string) (io.ReadCloser, error) {
			return Tar(ctx, filesOf(store, id), filepath.Join(store.GraphRoot(), store.GraphDriverName()+"-layers", id+".tar-split.gz"))
		},
		Put: func(ctx context.Context, id, parent string, options *storage.LayerOptions, from io.Reader, intact func(string) bool) error {
			l, _, err := store.PutLayer(id, parent, nil, "", false, options, from)
			if err != nil || intact(filesOf(store, id)) {
				return err
			}
			tar, err := Tar(ctx, filesOf(store, id), filepath.Join(store.GraphRoot(), store.GraphDriverName()+"-layers", id+".tar-split.gz"))
			if err == nil {
				var got digest.Digest
				got, err = digest.FromReader(tar)
				if err = errors.Join(err, tar.Close()); err == nil && got == l.UncompressedDigest {
					return nil
				}
			}
			return errors.Join(&UnsupportedError{Reason: "it does not read back", Err: err}, store.DeleteLayer(id))
		},
		Room: 1 << 30,
	}
}

// filesOf is the directory of a layer's files.
func filesOf(store storage.Store, id string) string {
	if store.GraphDriverName() == "vfs" {
		return filepath.Join(store.GraphRoot(), "vfs", "dir", id)
	}
	return filepath.Join(store.GraphRoot(), "overlay", id, "diff")
}

func (s setting) newStore(t testing.TB) storage.Store {
	t.Helper()
	needStore(t)
	dir := t.TempDir()
	o := storage.StoreOptions{
		GraphRoot: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"),
		GraphDriverName: cmp.Or(s.driver, "overlay"), GraphDriverOptions: s.options,
	}
	if s.mapped {
		o.UIDMap = []idtools.IDMap{{ContainerID: 0, HostID: 1000, Size: 60000}}
		o.GIDMap = []idtools.IDMap{{ContainerID: 0, HostID: 2000, Size: 60000}}
	}
	return openStore(t, o)
}

func openStore(t testing.TB, o storage.StoreOptions) storage.Store {
	t.Helper()
	s, err := storage.GetStore(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.Shutdown(true); err != nil {
			t.Error(err)
		}
	})
	return s
}

// blob is a layer as a registry has it.
type blob struct {
	compressed []byte
	diffID     digest.Digest
	mediaType  string
}

const (
	mediaTar  = "application/vnd.oci.image.layer.v1.tar"
	mediaGzip = mediaTar + "+gzip"
	mediaZstd = mediaTar + "+zstd"
)

func gzipped(t testing.TB, plain []byte) blob {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return blob{b.Bytes(), digest.FromBytes(plain), mediaGzip}
}

// image is an image in an OCI layout on disk.
type image struct {
	dir    string
	layers []Layer
}

func newImage(t testing.TB, blobs ...blob) image {
	t.Helper()
	dir := t.TempDir()
	img := image{dir: dir}
	put := func(data []byte) map[string]any {
		d := digest.FromBytes(data)
		path := filepath.Join(dir, "blobs", "sha256", d.Encoded())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return map[string]any{"digest": d, "size": len(data)}
	}
	putJSON := func(v any, mediaType string) map[string]any {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		d := put(data)
		d["mediaType"] = mediaType
		return d
	}
	var descriptors []any
	var diffIDs []digest.Digest
	for _, b := range blobs {
		d := put(b.compressed)
		d["mediaType"] = b.mediaType
		descriptors = append(descriptors, d)
		diffIDs = append(diffIDs, b.diffID)
		img.layers = append(img.layers, Layer{
			Digest: digest.FromBytes(b.compressed), Size: int64(len(b.compressed)), DiffID: b.diffID, MediaType: b.mediaType,
		})
	}
	config := putJSON(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	}, "application/vnd.oci.image.config.v1+json")
	manifest := putJSON(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": descriptors,
	}, "application/vnd.oci.image.manifest.v1+json")
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"index.json": string(index), "oci-layout": `{"imageLayoutVersion":"1.0.0"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return img
}

func (i image) blobPath(l Layer) string {
	return filepath.Join(i.dir, "blobs", "sha256", l.Digest.Encoded())
}

// open is an Opener.
func (i image) open(_ context.Context, l Layer) (io.ReadCloser, error) {
	return os.Open(i.blobPath(l))
}

// copyInto is the library's whole path.
func (i image) copyInto(t testing.TB, store storage.Store) error {
	t.Helper()
	policy, err := signature.NewPolicyContext(&signature.Policy{
		Default: []signature.PolicyRequirement{signature.NewPRInsecureAcceptAnything()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer policy.Destroy()
	src, err := layout.ParseReference(i.dir)
	if err != nil {
		t.Fatal(err)
	}
	dst, err := imagestorage.Transport.ParseStoreReference(store, "localhost/test:latest")
	if err != nil {
		t.Fatal(err)
	}
	sys := &types.SystemContext{BlobInfoCacheDir: t.TempDir()}
	_, err = copy.Image(t.Context(), policy, dst, src, &copy.Options{SourceCtx: sys, DestinationCtx: sys})
	return err
}

// tarball builds a tar for tests, in any form.
type tarball struct {
	t   testing.TB
	buf bytes.Buffer
	w   *tar.Writer
}

func newTar(t testing.TB) *tarball {
	b := &tarball{t: t}
	b.w = tar.NewWriter(&b.buf)
	return b
}

// add writes an entry; what is not set in h gets a value that a test can tell
// from any default.
func (b *tarball) add(h tar.Header, data string) *tarball {
	b.t.Helper()
	if h.Typeflag == 0 {
		h.Typeflag = tar.TypeReg
	}
	if h.Mode == 0 {
		h.Mode = 0o640
	}
	if h.ModTime.IsZero() {
		h.ModTime = testTime
	}
	h.Size = int64(len(data))
	if err := b.w.WriteHeader(&h); err != nil {
		b.t.Fatal(err)
	}
	if _, err := io.WriteString(b.w, data); err != nil {
		b.t.Fatal(err)
	}
	return b
}

func (b *tarball) file(name, data string) *tarball {
	return b.add(tar.Header{Name: name, Uid: 3, Gid: 4}, data)
}

func (b *tarball) dir(name string) *tarball {
	return b.add(tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o751, Uid: 5, Gid: 6}, "")
}

func (b *tarball) symlink(name, target string) *tarball {
	return b.add(tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Uid: 7}, "")
}

func (b *tarball) link(name, target string) *tarball {
	return b.add(tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target, Uid: 8, Mode: 0o4711}, "")
}

func (b *tarball) xattrs(name string, attrs map[string]string) *tarball {
	records := map[string]string{}
	for k, v := range attrs {
		records["SCHILY.xattr."+k] = v
	}
	return b.add(tar.Header{Name: name, PAXRecords: records, Format: tar.FormatPAX}, "x")
}

func (b *tarball) bytes() []byte {
	b.t.Helper()
	if err := b.w.Close(); err != nil {
		b.t.Fatal(err)
	}
	return b.buf.Bytes()
}

// rawHeader is a ustar header that tar.Writer would not write.
func rawHeader(name string, typeflag byte, size int64, edit func([]byte)) []byte {
	h := make([]byte, 512)
	copyString := func(off int, s string) { _ = bytes.NewBuffer(h[off:off]).String(); _ = append(h[off:off], s...) }
	copyString(0, name[:min(len(name), 100)])
	copyString(100, "0000644\x00")
	copyString(108, "0000001\x00")
	copyString(116, "0000002\x00")
	copyString(124, fmt.Sprintf("%011o\x00", size))
	copyString(136, "14000000000\x00")
	h[156] = typeflag
	copyString(257, "ustar\x0000")
	if edit != nil {
		edit(h)
	}
	copyString(148, "        ")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copyString(148, fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// padded fills data up to the size of tar's blocks.
func padded(data string) []byte {
	return append([]byte(data), make([]byte, -len(data)&511)...)
}

func isUnsupported(err error) bool {
	var u *UnsupportedError
	return errors.As(err, &u)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func many(n int, s string) string { return strings.Repeat(s, n) }
