package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	jsoniter "github.com/json-iterator/go"
	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/lockfile"
)

// readLists makes a Snapshot without the library, which reads one list after the
// other and makes indexes of each: that took half the time of a listing. What is not
// as in a sound store is left to the library, which mends it or says what is wrong.
func (s *Store) readLists(ctx context.Context) (*Snapshot, bool) {
	if s.late == nil || s.options.ImageStore != "" {
		return nil, false
	}
	snap := &Snapshot{TakenAt: time.Now()}
	p := s.places()
	layers, images := []*list{{lock: p.layerLocks[0], files: p.layers}}, []*list{{lock: p.imageLocks[0], files: p.images}}
	for _, root := range additionalStores(s.options.GraphDriverOptions) {
		p := placesOf(root, "", "", s.Driver(), false)
		layers = append(layers, &list{lock: p.layerLocks[0], files: p.layers[:1], readOnly: true})
		images = append(images, &list{lock: p.imageLocks[0], files: p.images, readOnly: true})
	}
	containers, mounts := &list{lock: p.containerLock, files: p.containers}, &list{lock: p.mountLock, files: []string{p.mounts}}
	all := slices.Concat(layers, images, []*list{containers})
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
	snap.Images = unshadowed(snap.Images)
	return snap, soundLayers && soundContainers && soundImages
}

// list is one of a store's lists: the library's lock for it, its files, and what is
// in them.
type list struct {
	lock     string
	files    []string
	readOnly bool // of an additional store
	data     [][]byte
}

// readAll takes the locks of all lists, in the library's order (type store in its
// store.go), reads the files and lets the locks go.
func readAll(lists []*list) error {
	for _, l := range lists {
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
	for _, l := range lists {
		for _, path := range l.files {
			data, err := os.ReadFile(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			l.data = append(l.data, data)
		}
	}
	return nil
}

// imagesOf decodes images and reads their details: a thousand of them mean a
// thousand small files.
func (s *Store) imagesOf(ctx context.Context, l *list) ([]Image, bool) {
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
	sound := ok && !unsound.Load() && !repeated(images, func(img *Image) (string, []string) { return img.ID, img.Names })
	return images, sound || ctx.Err() != nil
}

// isSHA256 tells that a digest is a valid one of the kind that nearly all are.
func isSHA256(d digest.Digest) bool {
	hex, ok := strings.CutPrefix(string(d), "sha256:")
	return ok && isHexID(hex)
}

func (s *Store) layersOf(lists []*list, mounts *list) (layers []Layer, ok bool) {
	points, ok := decode[row](mounts)
	if !ok {
		return nil, false
	}
	counts := s.mountPoints()
	for i := range points {
		counts[points[i].ID] = max(counts[points[i].ID], points[i].Count)
	}
	for _, l := range lists {
		records, ok := decode[storage.Layer](l)
		if !ok || repeated(records, func(l *storage.Layer) (string, []string) { return l.ID, l.Names }) {
			return nil, false
		}
		for i := range records {
			layer := toLayer(&records[i])
			if layer.Incomplete && !l.readOnly {
				return nil, false // the library removes it
			}
			layer.ReadOnly, layer.Mounts = l.readOnly, counts[layer.ID]
			layers = append(layers, layer)
		}
	}
	return layers, true
}

func containersOf(l *list) (containers []Container, ok bool) {
	records, ok := decode[storage.Container](l)
	for i := range records {
		containers = append(containers, toContainer(&records[i]))
	}
	return containers, ok && !repeated(records, func(c *storage.Container) (string, []string) { return c.ID, c.Names })
}

// decoder is the one that the library has for its lists.
func decoder() jsoniter.API { return jsoniter.ConfigCompatibleWithStandardLibrary }

func decode[T any](l *list) (records []T, ok bool) {
	for _, data := range l.data {
		var some []T
		if len(data) > 0 && decoder().Unmarshal(data, &some) != nil {
			return nil, false
		}
		records = append(records, some...)
	}
	return records, true
}

// repeated tells whether two records have one ID or one name, or one has no ID.
func repeated[T any](records []T, of func(*T) (id string, names []string)) bool {
	ids, taken := make(map[string]bool, len(records)), make(map[string]bool, len(records))
	for i := range records {
		id, names := of(&records[i])
		if id == "" || ids[id] {
			return true
		}
		ids[id] = true
		for _, name := range names {
			if taken[name] {
				return true
			}
			taken[name] = true
		}
	}
	return false
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
	depth := 0
	for i := 0; i < len(data) && data[0] == '{'; i++ {
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
