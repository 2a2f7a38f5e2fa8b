package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	jsoniter "github.com/json-iterator/go"
	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/lockfile"
	"golang.org/x/sys/unix"
)

// readLists makes a Snapshot without the library, which reads one list after the
// other and makes indexes of each: that took half the time of a listing. What is not
// as in a sound store is left to the library, which mends it or says what is wrong.
func (s *Store) readLists(ctx context.Context) (*Snapshot, bool) {
	if s.late == nil || s.options.ImageStore != "" || slices.ContainsFunc(s.options.GraphDriverOptions, s.isForLibrary) {
		return nil, false
	}
	snap := &Snapshot{TakenAt: time.Now()}
	p := s.places()
	layers, images := []*source{{lock: p.layerLocks[0], files: p.layers}}, []*source{{lock: p.imageLocks[0], files: p.images}}
	for _, root := range additionalStores(s.options.GraphDriverOptions) {
		p := placesOf(root, "", "", s.Driver(), false)
		layers = append(layers, &source{lock: p.layerLocks[0], files: p.layers, readOnly: true})
		images = append(images, &source{lock: p.imageLocks[0], files: p.images, readOnly: true})
	}
	containers, mounts := &source{lock: p.containerLock, files: p.containers}, &source{lock: p.mountLock, files: []string{p.mounts}}
	all := slices.Concat(layers, images, []*source{containers})
	if exists(mounts.lock) { // a reboot takes it, and all mounts
		all = append(all, mounts)
	}
	if readAll(all) != nil {
		return nil, false
	}
	var soundLayers, soundContainers bool
	var beside sync.WaitGroup
	beside.Go(func() {
		snap.Layers, soundLayers = s.layersOf(layers, mounts)
		snap.Containers, soundContainers = containersOf(containers)
	})
	soundImages := true
	for _, l := range images {
		found, ok := s.imagesOf(ctx, l)
		snap.Images, soundImages = append(snap.Images, found...), soundImages && ok
	}
	beside.Wait()
	if len(images) > 1 {
		snap.Images = unshadowed(snap.Images)
	}
	return snap, soundLayers && soundContainers && soundImages
}

// isForLibrary tells of a driver option that the library has to judge (parseOptions
// in its overlay.go), as its value may be wrong or it may be none.
func (s *Store) isForLibrary(option string) bool {
	key, value, ok := strings.Cut(option, "=")
	if _, own, dotted := strings.Cut(key, "."); dotted {
		key = own // overlay.mountopt
	}
	switch overlay := s.Driver() == "overlay"; {
	case !ok:
		return true
	case key == "mountopt":
		return !overlay
	case key == "mount_program":
		return !overlay || unix.Access(value, unix.F_OK) != nil
	case key == "imagestore", key == "additionalimagestore" && overlay:
		return slices.ContainsFunc(strings.Split(value, ","), func(root string) bool { return !filepath.IsAbs(root) })
	}
	return true
}

// source is what one of a store's lists is read from: the library's lock for it, its
// files, and what was in them.
type source struct {
	lock     string
	files    []string
	readOnly bool // of an additional store
	data     [][]byte
}

// readAll takes the locks of all lists, in the library's order (type store in its
// store.go), reads the files and lets the locks go.
func readAll(lists []*source) error {
	for _, l := range lists {
		if !exists(l.lock) { // the library would make it, and its folder
			return fs.ErrNotExist
		}
		get := lockfile.GetLockFile
		if l.readOnly {
			get = lockfile.GetROLockFile
		}
		lock, err := get(l.lock)
		if err != nil {
			return err
		}
		lock.RLock()
		defer lock.Unlock()
	}
	errs := make([]error, len(lists))
	Each(context.Background(), len(lists), func(i int) { errs[i] = lists[i].read() })
	return errors.Join(errs...)
}

func (l *source) read() error {
	for _, path := range l.files {
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		l.data = append(l.data, data)
	}
	return nil
}

// imagesOf decodes images and reads their details: a thousand of them mean a
// thousand small files.
func (s *Store) imagesOf(ctx context.Context, l *source) ([]Image, bool) {
	records, ok := split(l.data[0])
	images := make([]Image, len(records))
	var unsound atomic.Bool
	Each(ctx, len(records), func(i int) {
		var record storage.Image
		if decoder().Unmarshal(records[i], &record) != nil {
			unsound.Store(true)
			return
		}
		record.Digests, record.ReadOnly = digestsOf(&record), l.readOnly
		if slices.ContainsFunc(record.Digests, func(d digest.Digest) bool { return !isSHA256(d) && d.Validate() != nil }) {
			unsound.Store(true)
			return
		}
		images[i] = toImage(&record)
		s.ReadDetails(&images[i])
	})
	before := newUnique(len(images))
	for i := range images {
		ok = ok && before.add(images[i].ID, images[i].Names)
	}
	return images, ok && !unsound.Load() || ctx.Err() != nil
}

// isSHA256 tells that a digest is a valid one of the kind that nearly all are.
func isSHA256(d digest.Digest) bool {
	hex, ok := strings.CutPrefix(string(d), "sha256:")
	return ok && isHexID(hex)
}

func (s *Store) layersOf(lists []*source, mounts *source) (layers []Layer, sound bool) {
	counts := s.mountPoints()
	sound = decode(mounts, func(r *row) bool {
		counts[r.ID] = max(counts[r.ID], r.Count)
		return true
	})
	for _, l := range lists {
		before := newUnique(0)
		sound = sound && decode(l, func(r *storage.Layer) bool {
			layer := toLayer(r)
			layer.ReadOnly, layer.Mounts = l.readOnly, counts[r.ID]
			layers = append(layers, layer)
			return before.add(r.ID, r.Names) && (l.readOnly || !layer.Incomplete) // which the library removes
		})
	}
	return layers, sound
}

func containersOf(l *source) (containers []Container, sound bool) {
	before := newUnique(0)
	sound = decode(l, func(r *storage.Container) bool {
		containers = append(containers, toContainer(r))
		return before.add(r.ID, r.Names)
	})
	return containers, sound
}

// decoder is the one that the library has for its lists.
func decoder() jsoniter.API { return jsoniter.ConfigCompatibleWithStandardLibrary }

// decode hands each record of a list to take, until that or the list is unsound. The
// record is the same one each time: a thousand of the library's take a megabyte.
func decode[T any](l *source, take func(*T) bool) (sound bool) {
	var record, blank T
	for _, data := range l.data {
		raw, ok := split(data)
		for i := 0; ok && i < len(raw); i++ {
			record = blank
			ok = decoder().Unmarshal(raw[i], &record) == nil && take(&record)
		}
		if !ok {
			return false
		}
	}
	return true
}

// unique is what may be in a list once.
type unique struct{ ids, names map[string]bool }

func newUnique(n int) unique { return unique{make(map[string]bool, n), make(map[string]bool, n)} }

// add tells whether neither an ID nor a name was there before.
func (u unique) add(id string, names []string) bool {
	if id == "" || u.ids[id] {
		return false
	}
	u.ids[id] = true
	for _, name := range names {
		if u.names[name] {
			return false
		}
		u.names[name] = true
	}
	return true
}

// split cuts a JSON list of objects into those, so that several processors decode
// them. What is wrong inside of one is found then.
func split(data []byte) (records [][]byte, ok bool) {
	if len(data) == 0 {
		return nil, true
	}
	rest, opens := bytes.CutPrefix(trim(data), []byte("["))
	rest, closes := bytes.CutSuffix(rest, []byte("]"))
	if !opens || !closes {
		return nil, false
	}
	rest = trim(rest)
	for more := len(rest) > 0; more; {
		n := object(rest)
		if n == 0 {
			return nil, false
		}
		records = append(records, rest[:n])
		rest, more = bytes.CutPrefix(trim(rest[n:]), []byte(","))
		rest = trim(rest)
	}
	return records, len(rest) == 0
}

// trim takes the white space of JSON off both ends.
func trim(data []byte) []byte { return bytes.Trim(data, " \t\r\n") }

// object returns the length of the JSON object that data begins with, 0 where there
// is none.
func object(data []byte) int {
	if len(data) == 0 || data[0] != '{' {
		return 0
	}
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			n := quoted(data[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
	return 0
}

// quoted returns the length of the JSON string that data begins with, 0 when it does
// not end.
func quoted(data []byte) int {
	for end := 1; ; end++ {
		n := bytes.IndexByte(data[end:], '"')
		if n < 0 {
			return 0
		}
		end += n
		before := data[1:end]
		if slashes := len(before) - len(bytes.TrimRight(before, `\`)); slashes%2 == 0 {
			return end + 1
		}
	}
}
