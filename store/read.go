package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/store/unpack"
)

// maxConfig bounds the config and manifest files that a snapshot parses; the
// image library refuses larger ones when it pulls (4 MiB).
const maxConfig = 4 << 20

// Snapshot reads all images, layers and containers at one moment, and each
// image's config and displacement record. A damaged image is in it with
// ConfigError set; it never makes the snapshot fail.
func (s *Store) Snapshot(ctx context.Context) (*Snapshot, error) {
	snap := &Snapshot{TakenAt: time.Now()}
	if !s.Exists() {
		return snap, nil
	}
	if read, ok := s.readLists(ctx); ok {
		return read, ctx.Err()
	}
	lib, err := s.library()
	if err != nil {
		return nil, err
	}
	list, err := lib.MultiList(storage.MultiListOptions{Images: true, Layers: true, Containers: true})
	if err != nil {
		return nil, fmt.Errorf("reading the store at %s: %w", s.Root(), err)
	}
	snap.Layers = make([]Layer, len(list.Layers))
	mounted := s.mountPoints()
	for i := range list.Layers {
		snap.Layers[i] = toLayer(&list.Layers[i])
		snap.Layers[i].Mounts = max(list.Layers[i].MountCount, mounted[list.Layers[i].ID])
	}
	for i := range list.Containers {
		snap.Containers = append(snap.Containers, toContainer(&list.Containers[i]))
	}
	snap.Images = s.toImages(list.Images)
	// A store of a thousand images means a thousand small files.
	Each(ctx, len(snap.Images), func(i int) { s.ReadDetails(&snap.Images[i]) })
	return snap, ctx.Err()
}

// Index is a snapshot of the images alone, without what ReadDetails reads of
// each: enough to find one, in a store of thousands.
func (s *Store) Index() (*Snapshot, error) {
	snap := &Snapshot{TakenAt: time.Now()}
	if !s.Exists() {
		return snap, nil
	}
	lib, err := s.library()
	if err != nil {
		return nil, err
	}
	list, err := lib.MultiList(storage.MultiListOptions{Images: true})
	if err != nil {
		return nil, fmt.Errorf("reading the store at %s: %w", s.Root(), err)
	}
	snap.Images = s.toImages(list.Images)
	return snap, nil
}

func (s *Store) toImages(list []storage.Image) []Image {
	images := make([]Image, len(list))
	for i := range list {
		images[i] = toImage(&list[i])
		images[i].ReadOnly = images[i].ReadOnly || s.locked
	}
	return unshadowed(images)
}

// unshadowed leaves out what a record of a store before, the writable one first,
// shadows.
func unshadowed(images []Image) []Image {
	seen := make(map[string]bool, len(images))
	return slices.DeleteFunc(images, func(img Image) bool {
		shadowed := seen[img.ID]
		seen[img.ID] = true
		return shadowed
	})
}

// Each calls f with 0 to n-1 on all processors, until ctx ends.
func Each(ctx context.Context, n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	wg.Wait()
}

func toLayer(l *storage.Layer) Layer {
	size := l.UncompressedSize
	if l.UncompressedDigest == "" {
		size = -1 // without a digest the library never set the size
	}
	return Layer{
		ID: l.ID, Parent: l.Parent, Created: l.Created,
		CompressedDigest: l.CompressedDigest, UncompressedDigest: l.UncompressedDigest, TOCDigest: l.TOCDigest,
		CompressedSize: l.CompressedSize, UncompressedSize: size,
		ReadOnly: l.ReadOnly, Listed: slices.Contains(l.BigDataNames, unpack.ListKey), Incomplete: incomplete(l),
	}
}

// incomplete tells that a layer is being written, or was left by a writer that died.
func incomplete(l *storage.Layer) bool {
	flag, _ := l.Flags[flagIncomplete].(bool)
	return flag
}

func toContainer(c *storage.Container) Container {
	return Container{ID: c.ID, Names: c.Names, ImageID: c.ImageID, LayerID: c.LayerID, Created: c.Created, Pod: podOf(c.Metadata)}
}

// podOf reads the pod's ID in what CRI-O keeps with each container and each
// sandbox (internal/storage/runtime.go, RuntimeContainerMetadata); "" for
// containers of other tools.
func podOf(metadata string) string {
	const key = "pod-id"
	if !strings.Contains(metadata, key) {
		return ""
	}
	var m map[string]any
	if json.Unmarshal([]byte(metadata), &m) != nil {
		return ""
	}
	pod, _ := m[key].(string)
	return pod
}

func toImage(i *storage.Image) Image {
	img := Image{
		ID: i.ID, Digest: i.Digest, Digests: i.Digests, Names: i.Names, NamesHistory: i.NamesHistory,
		TopLayer: i.TopLayer, MappedTopLayers: i.MappedTopLayers, Created: i.Created, ReadOnly: i.ReadOnly,
		BigData: make(map[string]int64, len(i.BigDataNames)),
	}
	for _, key := range i.BigDataNames {
		img.BigData[key] = i.BigDataSizes[key]
	}
	return img
}

// ReadDetails fills what lies in the image's big data: config, members,
// displacement record. What cannot be read is in ConfigError and RecordError.
func (s *Store) ReadDetails(img *Image) { s.readDetails(img, s.bigData) }

// items reads one big data item of an image: bigData or bigDataAlone.
type items func(img *Image, key string) ([]byte, error)

func (s *Store) readDetails(img *Image, item items) {
	if _, ok := img.BigData[RecordKey]; ok {
		img.Displaced, img.RecordError = readRecord(img, item)
	}
	if img.TopLayer == "" && readList(img, item) {
		return
	}
	img.Schema1 = hasSchema1(img, item)
	img.Config, img.ConfigError = s.readConfig(img, item)
}

// readList fills Members when the image is a local manifest list, by the rule
// of podman: no layer, and an index where an image has its manifest.
func readList(img *Image, item items) bool {
	blob, err := item(img, storage.ImageDigestBigDataKey)
	if err != nil || !manifest.MIMETypeIsMultiImage(manifest.GuessMIMEType(blob)) {
		return false
	}
	img.IsList = true
	list, err := manifest.ListFromBlob(blob, manifest.GuessMIMEType(blob))
	if err != nil {
		img.ConfigError = fmt.Errorf("reading the manifest list %s: %w", img.ID, err)
		return true
	}
	img.Members = list.Instances()
	return true
}

// bigData reads one item after checking its size against maxConfig.
func (s *Store) bigData(img *Image, key string) ([]byte, error) {
	size, err := itemSize(img, key)
	if err != nil {
		return nil, err
	}
	if blob, ok := s.bigDataFile(img, key, size); ok {
		return blob, nil
	}
	lib, err := s.library()
	if err != nil {
		return nil, err
	}
	return lib.ImageBigData(img.ID, key)
}

// bigDataAlone is bigData without the library, whose locks are taken.
func (s *Store) bigDataAlone(img *Image, key string) ([]byte, error) {
	size, err := itemSize(img, key)
	if err != nil {
		return nil, err
	}
	if blob, ok := s.bigDataFile(img, key, size); ok {
		return blob, nil
	}
	return nil, fmt.Errorf("the file of %s is not what its record says", key)
}

func itemSize(img *Image, key string) (int64, error) {
	size, ok := img.BigData[key]
	if !ok {
		return 0, fmt.Errorf("%s is missing: %w", key, fs.ErrNotExist)
	}
	if size > maxConfig {
		return 0, fmt.Errorf("%s has %d bytes, more than the %d that a config or manifest may have", key, size, maxConfig)
	}
	return size, nil
}

// bigDataName is the name of an item's file (makeBigDataBaseName in storage's
// images.go and layers.go).
func bigDataName(key string) string {
	if strings.Trim(key, ".0123456789abcdefghijklmnopqrstuvwxyz") != "" {
		return "=" + base64.StdEncoding.EncodeToString([]byte(key))
	}
	return key
}

// bigDataFile reads an item's file without the library, which locks the store
// for each one: half the time of a listing. The file's place and name are part
// of the format that all versions of the library share, and it is replaced as a
// whole. Whatever is not as expected is left to the library.
func (s *Store) bigDataFile(img *Image, key string, size int64) ([]byte, bool) {
	if s.locked || strings.ContainsRune(img.ID, '/') {
		return nil, false
	}
	name := bigDataName(key)
	if strings.ContainsRune(name, '/') {
		return nil, false
	}
	roots := []string{s.options.GraphRoot}
	switch {
	case img.ReadOnly:
		roots = additionalStores(s.options.GraphDriverOptions)
	case s.options.ImageStore != "": // the library looks there first, too
		roots = []string{s.options.ImageStore, s.options.GraphRoot}
	}
	for _, root := range roots {
		if blob, ok := readExactly(filepath.Join(root, s.Driver()+"-images", img.ID, name), int(size)); ok {
			return blob, true
		}
	}
	return nil, false
}

// readExactly reads a small regular file of a known size with three system
// calls; os.ReadFile makes ten, to find out that it cannot be polled.
func readExactly(path string, size int) ([]byte, bool) {
	blob, ok := readSmall(path, make([]byte, size+1))
	return blob, ok && len(blob) == size
}

// readSmall reads a file that is smaller than buf into it.
func readSmall(path string, buf []byte) ([]byte, bool) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, false
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf)
	if err != nil || n == len(buf) {
		return nil, false
	}
	return buf[:n], true
}

// Manifest returns a manifest kept with an image: the one with digest d (its own
// or the index it came from), or the image's own for "". Image.Digest is the
// index's where the image came from one.
func (s *Store) Manifest(img *Image, d digest.Digest) ([]byte, error) {
	if !s.Exists() {
		return nil, storage.ErrImageUnknown
	}
	key := storage.ImageDigestBigDataKey
	if d != "" {
		key += "-" + d.String()
		if _, ok := img.BigData[key]; !ok && d == img.Digest {
			key = storage.ImageDigestBigDataKey // images of old versions of the library have the one key only
		}
	}
	blob, err := s.bigData(img, key)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of image %s: %w", img.ID, err)
	}
	return blob, nil
}

// ConfigBlob returns the image's config, byte for byte.
func (s *Store) ConfigBlob(img *Image) ([]byte, error) {
	if !s.Exists() {
		return nil, storage.ErrImageUnknown
	}
	return configBlob(img, s.bigData)
}

// IsGone tells whether err says that an image or layer vanished meanwhile:
// another tool, which does not take mpull's lock, removed it.
func IsGone(err error) bool {
	var parent *unpack.ParentGoneError
	return errors.As(err, &parent) || isSwept(err) || errors.Is(err, storage.ErrImageUnknown) || errors.Is(err, storage.ErrNotAnImage) ||
		errors.Is(err, storage.ErrLayerUnknown) || errors.Is(err, storage.ErrNotALayer) || errors.Is(err, storage.ErrParentUnknown) ||
		errors.Is(err, storage.ErrNotAnID)
}

// isSwept tells whether err says that the library's own staging directory
// vanished: between making one and locking it, another process that opens the
// store takes it for the rest of a dead one and sweeps it
// (go.podman.io/storage/internal/tempdir, RecoverStaleDirs).
func isSwept(err error) bool {
	var link *os.LinkError
	var path *fs.PathError
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return false
	case errors.As(err, &link):
		return strings.Contains(link.Old, "/temp-dir-")
	case errors.As(err, &path):
		return strings.Contains(path.Path, "/temp-dir-")
	}
	return false
}
