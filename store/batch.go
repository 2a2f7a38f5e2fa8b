package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"go.podman.io/storage/pkg/ioutils"
	"go.podman.io/storage/pkg/lockfile"
)

// batch deletes many images at once. Its steps are those of the library's
// DeleteImage and layerStore.internalDelete (storage v1.65.0, store.go and
// layers.go), each done for all images before the next:
//
//  1. images.json without the images; then their big data directories;
//  2. layers.json with the layers marked incomplete: whoever opens the store
//     after a crash, of any tool, finishes the work;
//  3. the layers' directories, moved aside by the driver;
//  4. layers.json without the layers.
//
// A kill leaves what a kill leaves in the library: unreferenced layers,
// directories of images that are gone, never an image without its layers.
type batch struct {
	remove func(id string) (cleanup func() error, err error) // the driver's: moves a layer's directory aside
	dir    string                                            // graph root
	prefix string                                            // the driver's name and a dash
	mounts string                                            // the library's list of mounted layers

	locks      []*lockfile.LockFile // layers, images, containers: the library's order
	images     table
	layers     table
	unmovable  map[string]bool // layers that are mounted, or recorded elsewhere
	doomed     []int           // rows of images
	freed      []int           // rows of layers, children first
	cleanups   []func() error  // to run without the locks
	containers map[string]bool // IDs of images that have containers
	holds      []string        // layers of containers
	volatile   []row           // layers recorded in the file for volatile ones

	wanted []string
	done   map[string]Deletion
}

// row is what deleting needs to know of a record, of whichever file.
type row struct {
	ID     string         `json:"id"`
	Layer  string         `json:"layer"`         // images, containers: the top layer
	Mapped []string       `json:"mapped-layers"` // images
	Image  string         `json:"image"`         // containers
	Parent string         `json:"parent"`        // layers
	Count  int            `json:"count"`         // mounts
	Flags  map[string]any `json:"flags"`
}

// table is one of the store's lists. Records are kept byte for byte, so that
// what a newer library writes survives.
type table struct {
	path string
	raw  []json.RawMessage
	rows []row
	at   map[string]int
}

func (d *Deleter) newBatch(ids []string) (*batch, error) {
	driver, err := d.lib.GraphDriver()
	if err != nil {
		return nil, err
	}
	b := &batch{
		remove: func(id string) (func() error, error) { return driver.DeferredRemove(id) },
		dir:    d.Root(), prefix: d.Driver() + "-", wanted: ids,
		mounts: filepath.Join(d.RunRoot(), d.Driver()+"-layers", "mountpoints.json"),
		done:   make(map[string]Deletion, len(ids)), unmovable: map[string]bool{}, containers: map[string]bool{},
	}
	for _, kind := range []string{"layers", "images", "containers"} {
		// The library keeps one lock object per path and process: this is its own.
		lock, err := lockfile.GetLockFile(b.path(kind, kind+".lock"))
		if err != nil {
			return nil, err
		}
		b.locks = append(b.locks, lock)
	}
	return b, nil
}

func (b *batch) path(kind string, more ...string) string {
	return filepath.Join(append([]string{b.dir, b.prefix + kind}, more...)...)
}

// run takes the locks, decides and deletes. Images that it leaves to the
// library are not in done.
func (b *batch) run() (err error) {
	defer func() {
		err = errors.Join(err, parallel(len(b.cleanups), func(i int) error { return b.cleanups[i]() }))
	}()
	b.locks[0].Lock()
	defer b.locks[0].Unlock()
	b.locks[1].Lock()
	defer b.locks[1].Unlock()
	b.locks[2].RLock()
	defer b.locks[2].Unlock()
	if err := b.load(); err != nil {
		return err
	}
	b.choose()
	if len(b.doomed) == 0 {
		return nil
	}
	if err := b.deleteImages(); err != nil {
		return err
	}
	return b.deleteLayers()
}

func (b *batch) load() error {
	var containers, volatileContainers, volatileLayers, mounts table
	for _, read := range []struct {
		into *table
		path string
	}{
		{&b.images, b.path("images", "images.json")},
		{&b.layers, b.path("layers", "layers.json")},
		{&volatileLayers, b.path("layers", "volatile-layers.json")},
		{&containers, b.path("containers", "containers.json")},
		{&volatileContainers, b.path("containers", "volatile-containers.json")},
		{&mounts, b.mounts},
	} {
		if err := read.into.read(read.path); err != nil {
			return err
		}
	}
	for _, m := range mounts.rows {
		if m.Count > 0 {
			b.unmovable[m.ID] = true
		}
	}
	for _, l := range volatileLayers.rows {
		b.unmovable[l.ID] = true
	}
	b.volatile = volatileLayers.rows
	for _, c := range append(containers.rows, volatileContainers.rows...) {
		b.containers[c.Image] = true
		b.holds = append(b.holds, c.Layer, c.ID)
	}
	return nil
}

func (t *table) read(path string) error {
	t.path, t.at = path, map[string]int{}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &t.raw); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	t.rows = make([]row, len(t.raw))
	for i := range t.raw {
		if err := json.Unmarshal(t.raw[i], &t.rows[i]); err != nil {
			return fmt.Errorf("reading %s, record %d: %w", path, i, err)
		}
		id := t.rows[i].ID
		if _, twice := t.at[id]; twice || !isName(id) {
			return fmt.Errorf("reading %s: record %d has the ID %q, which is empty, a path or used twice", path, i, id)
		}
		t.at[id] = i
	}
	return nil
}

// isName tells whether an ID is safe as the name of a directory.
func isName(id string) bool {
	return id != "" && id != "." && id != ".." && !strings.ContainsAny(id, "/\x00")
}

// choose decides which images and layers go, by the library's rules: not an
// image with a container; a layer when no other image has it on top, it has
// no child that stays, and no container is on it.
func (b *batch) choose() {
	refs := make([]int, len(b.layers.rows))
	hold := func(id string) {
		if at, ok := b.layers.at[id]; ok {
			refs[at]++
		}
	}
	for _, l := range b.layers.rows {
		hold(l.Parent)
	}
	for _, l := range b.volatile {
		hold(l.Parent)
	}
	for _, id := range b.holds {
		hold(id)
	}
	for _, img := range b.images.rows {
		for _, top := range tops(&img) {
			hold(top)
		}
	}
	for _, id := range b.wanted {
		at, ok := b.images.at[id]
		switch {
		case b.done[id].ID != "":
		case !ok:
			b.done[id] = Deletion{ID: id, Gone: true}
		case b.containers[id]:
			b.done[id] = Deletion{ID: id, Err: fmt.Errorf("deleting image %s: %w", id, ErrInUse)}
		case b.movable(&b.images.rows[at]):
			b.done[id] = Deletion{ID: id}
			b.doomed = append(b.doomed, at)
			for _, top := range tops(&b.images.rows[at]) {
				b.drop(refs, top)
			}
		}
	}
}

func tops(img *row) []string { return append([]string{img.Layer}, img.Mapped...) }

// movable tells whether no layer of an image is mounted. Mounted ones are for
// the library, which knows how to unmount.
func (b *batch) movable(img *row) bool {
	for _, id := range tops(img) {
		for range len(b.layers.rows) + 1 { // a bound, should parents form a ring
			at, ok := b.layers.at[id]
			if b.unmovable[id] {
				return false
			}
			if !ok {
				break
			}
			id = b.layers.rows[at].Parent
		}
	}
	return true
}

func (b *batch) drop(refs []int, id string) {
	for {
		at, ok := b.layers.at[id]
		if !ok {
			return // none, or in a read-only store
		}
		refs[at]--
		if refs[at] > 0 {
			return
		}
		b.freed = append(b.freed, at)
		id = b.layers.rows[at].Parent
	}
}

func (b *batch) deleteImages() error {
	for _, at := range b.doomed {
		b.images.raw[at] = nil
	}
	if err := b.images.save(b.locks[1]); err != nil {
		for _, at := range b.doomed {
			delete(b.done, b.images.rows[at].ID)
		}
		return err
	}
	// Still behind the lock: who adds the same image again must not lose data.
	return parallel(len(b.doomed), func(i int) error {
		return os.RemoveAll(b.path("images", b.images.rows[b.doomed[i]].ID))
	})
}

// parallel calls f for 0 to n-1, some at a time: removing files is waiting for
// the disk, which orders what it gets together.
func parallel(n int, f func(int) error) error {
	const workers = 8
	errs := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < n; i += workers {
				errs[w] = errors.Join(errs[w], f(i))
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (b *batch) deleteLayers() error {
	if len(b.freed) == 0 {
		return nil
	}
	for _, at := range b.freed {
		marked, err := markIncomplete(b.layers.raw[at])
		if err != nil {
			return err
		}
		b.layers.raw[at] = marked
	}
	if err := b.layers.save(b.locks[0]); err != nil {
		return err
	}
	var errs []error
	for _, at := range b.freed {
		if err := b.deleteLayer(b.layers.rows[at].ID); err != nil {
			errs = append(errs, fmt.Errorf("deleting layer %s: %w", b.layers.rows[at].ID, err))
			continue // it stays in the list, marked incomplete
		}
		b.layers.raw[at] = nil
	}
	return errors.Join(append(errs, b.layers.save(b.locks[0]))...)
}

func (b *batch) deleteLayer(id string) error {
	cleanup, err := b.remove(id)
	if cleanup != nil {
		b.cleanups = append(b.cleanups, cleanup)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Remove(b.path("layers", id+".tar-split.gz")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(b.path("layers", id))
}

// markIncomplete sets the flag by which the library knows a layer that is to
// be removed.
func markIncomplete(raw json.RawMessage) (json.RawMessage, error) {
	var record map[string]json.RawMessage
	if err := json.Unmarshal(raw, &record); err != nil {
		return nil, err
	}
	flags := map[string]any{}
	if old, ok := record["flags"]; ok {
		if err := json.Unmarshal(old, &flags); err != nil {
			return nil, err
		}
	}
	flags["incomplete"] = true
	data, err := json.Marshal(flags)
	if err != nil {
		return nil, err
	}
	record["flags"] = data
	return json.Marshal(record)
}

// save writes the records that are left, as the library does: first the note
// in the lock file that makes others read again, then a new file, synced and
// renamed into place.
func (t *table) save(lock *lockfile.LockFile) error {
	left := make([]json.RawMessage, 0, len(t.raw))
	for _, raw := range t.raw {
		if raw != nil {
			left = append(left, raw)
		}
	}
	data, err := json.Marshal(left)
	if err != nil {
		return err
	}
	if _, err := lock.RecordWrite(); err != nil {
		return err
	}
	return ioutils.AtomicWriteFile(t.path, data, 0o600)
}
