package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/lockfile"
)

// lists is all that a store's lists say at one moment, read without the
// library behind the library's own locks: while they are held, the library
// would wait for them itself.
type lists struct {
	store  *Store
	layers *table
	images *table
	conts  *table
	mounts map[string]int // layer -> how often it is mounted

	layerLocks, imageLocks []*lockfile.LockFile
	release                func()
}

// lockLists takes the library's locks in the library's order (store.go,
// writeToAllStores and DeleteImage) and reads the lists. The caller must call
// release.
func (s *Store) lockLists() (*lists, error) {
	p := s.places()
	return s.lockAndRead(p, slices.Concat(p.layerLocks, p.imageLocks[:1], []string{p.containerLock}, p.imageLocks[1:], []string{p.mountLock}), (*lists).read)
}

// lockLayers is lockLists of the list of layers alone.
func (s *Store) lockLayers() (*lists, error) {
	p := s.places()
	return s.lockAndRead(p, p.layerLocks, func(l *lists, p places) (err error) {
		l.layers, err = readTable(p.layers...)
		return err
	})
}

// lockAndRead takes locks and reads what they are for. The library keeps one lock
// object per path and process: these are its own.
func (s *Store) lockAndRead(p places, paths []string, read func(*lists, places) error) (l *lists, err error) {
	l = &lists{store: s}
	var unlocks []func()
	l.release = func() {
		for _, unlock := range slices.Backward(unlocks) {
			unlock()
		}
	}
	defer func() {
		if err != nil {
			l.release()
		}
	}()
	for _, path := range paths {
		lock, err := lockfile.GetLockFile(path)
		if err != nil {
			return nil, err
		}
		switch {
		case slices.Contains(p.layerLocks, path):
			lock.Lock()
			l.layerLocks = append(l.layerLocks, lock)
		case slices.Contains(p.imageLocks, path):
			lock.Lock()
			l.imageLocks = append(l.imageLocks, lock)
		default:
			lock.RLock() // nothing of containers and mounts is written
		}
		unlocks = append(unlocks, lock.Unlock)
	}
	return l, read(l, p)
}

func (l *lists) read(p places) error {
	var mounts *table
	for _, read := range []struct {
		into  **table
		files []string
	}{{&l.layers, p.layers}, {&l.images, p.images}, {&l.conts, p.containers}, {&mounts, []string{p.mounts}}} {
		var err error
		if *read.into, err = readTable(read.files...); err != nil {
			return err
		}
	}
	l.mounts = l.store.mountPoints()
	for i := range mounts.rows {
		l.mounts[mounts.rows[i].ID] = max(l.mounts[mounts.rows[i].ID], mounts.rows[i].Count)
	}
	return nil
}

func (s *Store) places() places {
	return placesOf(s.options.GraphRoot, s.options.RunRoot, s.options.ImageStore, s.Driver(), s.options.TransientStore)
}

// snapshot makes a Snapshot of the lists. What lies in additional stores,
// which nobody here changes, is taken from one that the library read.
func (l *lists) snapshot(additional *Snapshot) (*Snapshot, error) {
	snap := &Snapshot{TakenAt: time.Now()}
	for i := range l.layers.rows {
		var record storage.Layer
		if err := json.Unmarshal(l.layers.raw[i], &record); err != nil {
			return nil, fmt.Errorf("reading layer %s: %w", l.layers.rows[i].ID, err)
		}
		if l.layers.at[record.ID] != i {
			continue
		}
		layer := toLayer(&record)
		layer.Mounts = l.mounts[layer.ID]
		snap.Layers = append(snap.Layers, layer)
	}
	var records []storage.Image
	for i := range l.images.rows {
		var record storage.Image
		if err := json.Unmarshal(l.images.raw[i], &record); err != nil {
			return nil, fmt.Errorf("reading image %s: %w", l.images.rows[i].ID, err)
		}
		record.Digests = digestsOf(&record)
		records = append(records, record)
	}
	snap.Images = l.store.toImages(records)
	for i := range snap.Images {
		l.store.readDetails(&snap.Images[i], l.store.bigDataAlone)
	}
	for i := range l.conts.rows {
		var c storage.Container
		if err := json.Unmarshal(l.conts.raw[i], &c); err != nil {
			return nil, fmt.Errorf("reading container %s: %w", l.conts.rows[i].ID, err)
		}
		snap.Containers = append(snap.Containers, toContainer(&c))
	}
	for i := range additional.Layers {
		if additional.Layers[i].ReadOnly {
			snap.Layers = append(snap.Layers, additional.Layers[i])
		}
	}
	for i := range additional.Images {
		if _, shadowed := l.images.at[additional.Images[i].ID]; additional.Images[i].ReadOnly && !shadowed {
			snap.Images = append(snap.Images, additional.Images[i])
		}
	}
	return snap, nil
}

// digestsOf returns the digests that an image is found by, and sets the one of
// an old record that has none, as the library does when it loads a record
// (images.go, recomputeDigests).
func digestsOf(record *storage.Image) []digest.Digest {
	var all []digest.Digest
	if record.Digest != "" {
		all = append(all, record.Digest)
	}
	for _, key := range slices.Sorted(maps.Keys(record.BigDataDigests)) {
		d := record.BigDataDigests[key]
		if strings.HasPrefix(key, storage.ImageDigestManifestBigDataNamePrefix) && !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	if record.Digest == "" && len(all) > 0 {
		record.Digest = all[0]
	}
	return all
}
