package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"go.podman.io/storage"
)

// batch deletes images and layers. Its steps are those of the library's
// DeleteImage and layerStore.internalDelete (storage v1.65.0, store.go and
// layers.go), each done for all of them before the next:
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
	store  *Store
	remove func(id string) (cleanup func() error, err error) // the driver's: moves a layer's directory aside
	step   func()                                            // called before each change on disk

	additional *Snapshot // for what lies in additional stores
	*lists
	refs       []int           // layer -> images, child layers and containers that need it
	containers map[string]bool // IDs of images that have containers

	doomed   []int          // rows of images
	freed    []int          // rows of layers, children first
	cleanups []func() error // to run without the locks
	done     []Deletion
	outcome  map[string]int // ID -> index in done
}

func (d *Deleter) newBatch(ctx context.Context) (*batch, error) {
	driver, err := d.lib.GraphDriver()
	if err != nil {
		return nil, err
	}
	b := &batch{
		store: d.Store, remove: d.removeLayer(func(id string) (func() error, error) { return driver.DeferredRemove(id) }),
		step: func() {}, additional: &Snapshot{}, outcome: map[string]int{},
	}
	if len(driver.AdditionalImageStores()) > 0 {
		if b.additional, err = d.Snapshot(ctx); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// run takes the locks, decides and deletes.
func (b *batch) run(ctx context.Context, choose func(*Snapshot) (Removal, error)) (_ []Deletion, err error) {
	defer func() {
		err = errors.Join(err, parallel(len(b.cleanups), func(i int) error { return b.cleanups[i]() }))
	}()
	if b.lists, err = b.store.lockLists(); err != nil {
		return nil, err
	}
	defer b.release()
	if err := b.endOther(); err != nil {
		return nil, err
	}
	fresh, err := b.snapshot(b.additional)
	if err != nil {
		return nil, err
	}
	wanted, err := choose(fresh)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	b.count()
	for _, id := range wanted.Layers {
		b.chooseLayer(id)
	}
	for _, id := range wanted.Images {
		b.chooseImage(id)
	}
	if err := b.unlist(); err != nil {
		return nil, err
	}
	return b.done, errors.Join(b.deleteData(), b.deleteLayers())
}

// count fills what tells whether something is in use.
func (b *batch) count() {
	b.refs, b.containers = make([]int, len(b.layers.rows)), map[string]bool{}
	hold := func(id string) {
		if at, ok := b.layers.at[id]; ok {
			b.refs[at]++
		}
	}
	for i := range b.layers.rows {
		hold(b.layers.rows[i].Parent)
	}
	for i := range b.conts.rows {
		c := &b.conts.rows[i]
		b.containers[c.Image] = true
		hold(c.Layer)
		hold(c.ID)
	}
	for i := range b.images.rows {
		for _, top := range b.images.rows[i].tops() {
			hold(top)
		}
	}
}

func (b *batch) tell(d Deletion) bool {
	if _, twice := b.outcome[d.ID]; twice {
		return false
	}
	b.outcome[d.ID] = len(b.done)
	b.done = append(b.done, d)
	return true
}

// chooseLayer takes a layer that nothing uses.
func (b *batch) chooseLayer(id string) {
	at, ok := b.layers.at[id]
	switch {
	case !ok:
		b.tell(Deletion{ID: id, Gone: true})
	case b.refs[at] > 0:
		b.tell(Deletion{ID: id, Err: fmt.Errorf("deleting layer %s: another layer, an image or a container needs it: %w", id, ErrInUse)})
	case b.mounts[id] > 0:
		b.tell(Deletion{ID: id, Err: fmt.Errorf("deleting layer %s: it is mounted: %w", id, ErrInUse)})
	case b.tell(Deletion{ID: id}):
		b.freed = append(b.freed, at)
		if above, ok := b.layers.at[b.layers.rows[at].Parent]; ok {
			b.refs[above]--
		}
	}
}

// chooseImage takes an image by the library's rules: not one with a container;
// with a layer when no other image has it on top, it has no child that stays,
// and no container is on it. Beyond those, not one of which a layer is mounted.
func (b *batch) chooseImage(id string) {
	at, ok := b.images.at[id]
	d := Deletion{ID: id, Image: true, Gone: !ok}
	switch {
	case !ok:
	case b.containers[id]:
		d.Err = fmt.Errorf("deleting image %s: %w: %w", id, ErrInUse, storage.ErrImageUsedByContainer)
	case slices.ContainsFunc(b.images.rows[at].tops(), b.chainMounted):
		d.Err = fmt.Errorf("deleting %w", errMounted(id))
	}
	if !b.tell(d) || d.Gone || d.Err != nil {
		return
	}
	for i := range b.images.rows {
		if b.images.rows[i].ID != id {
			continue
		}
		b.doomed = append(b.doomed, i) // in each file that has it
		for _, top := range b.images.rows[i].tops() {
			b.drop(top)
		}
	}
}

func (b *batch) chainMounted(id string) bool {
	for range len(b.layers.rows) + 1 { // a bound, should parents form a ring
		if b.mounts[id] > 0 {
			return true
		}
		at, ok := b.layers.at[id]
		if !ok {
			return false
		}
		id = b.layers.rows[at].Parent
	}
	return false
}

func (b *batch) drop(id string) {
	// One that is not listed is none, or in a read-only store.
	for at, ok := b.layers.at[id]; ok; at, ok = b.layers.at[b.layers.rows[at].Parent] {
		b.refs[at]--
		if b.refs[at] > 0 {
			return
		}
		b.freed = append(b.freed, at)
	}
}

// unlist takes the images out of their list: from here on they are gone.
func (b *batch) unlist() error {
	if len(b.doomed) == 0 {
		return nil
	}
	b.step()
	b.journal()
	for _, at := range b.doomed {
		b.images.raw[at] = nil
	}
	return b.images.save(b.step, b.imageLocks, b.doomed)
}

// deleteData removes the images' directories, still behind the lock: who adds
// the same image again must not lose data.
func (b *batch) deleteData() error {
	if len(b.doomed) == 0 {
		return nil
	}
	b.step()
	if err := parallel(len(b.doomed), func(i int) error {
		at := b.doomed[i]
		return os.RemoveAll(filepath.Join(filepath.Dir(b.images.files[b.images.from[at]]), b.images.rows[at].ID))
	}); err != nil {
		return err
	}
	b.step()
	return b.endJournal()
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
		marked, err := markIncomplete(b.layers.raw[at], b.layers.rows[at].Flags)
		if err != nil {
			return err
		}
		b.layers.raw[at] = marked
	}
	if err := b.layers.save(b.step, b.layerLocks, b.freed); err != nil {
		return err
	}
	var errs []error
	for _, at := range b.freed {
		id := b.layers.rows[at].ID
		if err := b.deleteLayer(id); err != nil {
			err = fmt.Errorf("deleting layer %s: %w", id, err)
			if i, asked := b.outcome[id]; asked {
				b.done[i].Err = err
			}
			errs = append(errs, err)
			continue // it stays in the list, marked incomplete
		}
		b.layers.raw[at] = nil
	}
	return errors.Join(append(errs, b.layers.save(b.step, b.layerLocks, b.freed))...)
}

func (b *batch) deleteLayer(id string) error {
	b.step()
	cleanup, err := b.remove(id)
	if cleanup != nil {
		b.cleanups = append(b.cleanups, cleanup)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(b.layers.files[0]) // the library's layerdir, whichever file the record is in
	b.step()
	if err := os.Remove(filepath.Join(dir, id+".tar-split.gz")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b.step()
	return os.RemoveAll(filepath.Join(dir, id))
}
