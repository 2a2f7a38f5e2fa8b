package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.podman.io/storage"
)

// RecordKey is the big data key of an image's displacement record.
const RecordKey = "mpull.displaced"

// Bounds of a record: what lies in the store may have been damaged or written
// by somebody else.
const (
	recordVersion = 1
	maxRecord     = 256 << 10
	maxEntries    = 200 // the oldest go first
)

type record struct {
	Version int            `json:"version"`
	Entries []Displacement `json:"entries"`
}

// readRecord returns the entries about names that the image does not hold: an
// entry about a name that it holds was written before a move that did not
// happen, or the name came back since.
func readRecord(img *Image, item items) ([]Displacement, error) {
	data, err := item(img, RecordKey)
	if err != nil {
		return nil, fmt.Errorf("reading the displacement record of image %s: %w", img.ID, err)
	}
	all, err := parseRecord(data)
	if err != nil {
		return nil, fmt.Errorf("reading the displacement record of image %s: %w", img.ID, err)
	}
	return slices.DeleteFunc(all, func(d Displacement) bool { return slices.Contains(img.Names, d.Name) }), nil
}

func parseRecord(data []byte) ([]Displacement, error) {
	if len(data) > maxRecord {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(data), maxRecord)
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("it has version %d; this mpull reads version %d", r.Version, recordVersion)
	}
	return slices.DeleteFunc(r.Entries, func(d Displacement) bool { return d.Name == "" || d.At.IsZero() }), nil
}

// appendRecord adds an entry to the record of an image. A record that cannot
// be read is replaced: it is lost already, and must not block the new entry.
func (w *Writer) appendRecord(id string, d Displacement) error {
	var entries []Displacement
	data, err := w.lib.ImageBigData(id, RecordKey)
	if err == nil {
		entries, _ = parseRecord(data)
	}
	// Only the newest story of each name is kept, so the record stays small
	// however often a tag moves.
	entries = slices.DeleteFunc(entries, func(e Displacement) bool { return e.Name == d.Name })
	entries = append(entries, d)
	if extra := len(entries) - maxEntries; extra > 0 {
		entries = entries[extra:]
	}
	data, err = json.Marshal(record{Version: recordVersion, Entries: entries})
	if err != nil {
		return err
	}
	err = w.lib.SetImageBigData(id, RecordKey, padded(data), nil)
	if errors.Is(err, storage.ErrStoreIsReadOnly) {
		return nil // an image of a read-only store keeps its names there
	}
	if err != nil {
		return fmt.Errorf("recording that image %s loses %s: %w", id, d.Name, err)
	}
	return nil
}

// padded makes a record as long as a power of two, with blanks. The library
// replaces a data item first and notes its size in images.json then; to the
// store checks of all tools, an image that was left between the two is damaged.
// A record that stays as long as it was has no such moment.
func padded(record []byte) []byte {
	size := 4 << 10
	for size < len(record) {
		size *= 2
	}
	return append(record, bytes.Repeat([]byte{' '}, size-len(record))...)
}
