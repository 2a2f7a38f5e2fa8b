package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/ioutils"
	"go.podman.io/storage/pkg/system"

	"github.com/mpull/mpull/store/unpack"
)

// commit makes layers of the store out of staged ones. Its steps are those of
// the library's layerStore.create (storage v1.65.0, layers.go), each done for all of
// them before the next:
//
//  1. layers.json with the layers, marked incomplete: whoever opens the store
//     after a crash, of any tool, removes them;
//  2. the layers' directories, by the driver, and their records;
//  3. layers.json without the marks.
//
// The library writes its lists three times for each layer instead, which took
// longer than all else of an image of many small layers. See unpack.Library.
func (w *Writer) commit(ctx context.Context, layers []*unpack.Ready) (made []bool, err error) {
	driver, err := w.lib.GraphDriver()
	if err != nil {
		return make([]bool, len(layers)), err
	}
	return w.commitStepwise(ctx, driver, layers, func() {})
}

// commitStepwise is commit, which calls step before each change on disk.
func (s *Store) commitStepwise(ctx context.Context, driver graphdriver.Driver, layers []*unpack.Ready, step func()) (made []bool, err error) {
	made = make([]bool, len(layers))
	l, err := s.lockLayers()
	if err != nil {
		return made, err
	}
	defer l.release()
	if ctx.Err() != nil {
		return made, context.Cause(ctx)
	}
	// By the index of a layer: its row in the list and its record there.
	rows, whole := map[int]int{}, map[int]json.RawMessage{}
	for i, layer := range layers {
		if at, there := l.layers.at[layer.ID]; there && l.layers.rows[at].Flags[flagIncomplete] != true {
			continue
		}
		// Whoever opens the store next removes a layer that is marked.
		if at, there := l.layers.at[layer.Parent]; layer.Parent != "" && (!there || l.layers.rows[at].Flags[flagIncomplete] == true) {
			return made, fmt.Errorf("it lies on layer %s: %w", layer.Parent, storage.ErrLayerUnknown)
		}
		record := recordOf(layer)
		if whole[i], err = json.Marshal(record); err != nil {
			return made, err
		}
		record.Flags = map[string]any{flagIncomplete: true}
		marked, err := json.Marshal(record)
		if err != nil {
			return made, err
		}
		rows[i] = l.layers.add(layer.ID, marked)
	}
	if len(rows) == 0 {
		return made, nil
	}
	changed := slices.Collect(maps.Values(rows))
	if err := l.layers.save(step, l.layerLocks, changed); err != nil {
		return made, err
	}
	records, done := filepath.Dir(l.layers.files[0]), make([]bool, len(layers))
	for i, layer := range layers {
		at, mine := rows[i]
		if !mine {
			continue
		}
		if err == nil {
			err = layer.Place(driver, records, step)
		}
		if err == nil {
			err = putData(filepath.Join(records, layer.ID), layer.BigData, step)
		}
		done[i] = err == nil
		if done[i] {
			l.layers.raw[at] = whole[i]
		} else if unplace(driver, records, layer.ID) == nil { // else it stays in the list, marked
			l.layers.raw[at] = nil
		}
	}
	if driver.SyncMode() == graphdriver.SyncModeFilesystem {
		if syncErr := system.Syncfs(records); syncErr != nil {
			return made, errors.Join(err, syncErr)
		}
	}
	if saveErr := l.layers.save(step, l.layerLocks, changed); saveErr != nil {
		return made, errors.Join(err, saveErr)
	}
	return done, err
}

// recordOf is the record of a layer, as the library makes it.
func recordOf(l *unpack.Ready) storage.Layer {
	return storage.Layer{
		ID: l.ID, Parent: l.Parent, Created: time.Now().UTC(), Metadata: l.Metadata,
		CompressedDigest: l.CompressedDigest, UncompressedDigest: l.UncompressedDigest, TOCDigest: l.TOCDigest,
		UncompressedSize: l.Size, UIDs: l.UIDs, GIDs: l.GIDs, BigDataNames: slices.Sorted(maps.Keys(l.BigData)),
	}
}

// putData writes a layer's big data items.
func putData(dir string, items map[string][]byte, step func()) error {
	for key, data := range items {
		step()
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := ioutils.AtomicWriteFile(filepath.Join(dir, bigDataName(key)), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// unplace removes what there is of a layer that could not be made.
func unplace(driver graphdriver.Driver, records, id string) error {
	err := errors.Join(driver.Remove(id), os.RemoveAll(filepath.Join(records, id)))
	if gone := os.Remove(filepath.Join(records, id+".tar-split.gz")); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}
