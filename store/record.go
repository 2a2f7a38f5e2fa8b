package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/storage"
)

// RecordKey is the big data key of an image's displacement record.
const RecordKey = "mpull.displaced"

// Bounds of a record: what lies in the store may have been damaged or written
// by somebody else.
const (
	recordVersion = 1
	maxRecord     = 256 << 10
	maxEntries    = 200  // the oldest go first
	maxCommand    = 4096 // bytes of the command of an entry
)

type record struct {
	Version int            `json:"version"`
	Entries []Displacement `json:"entries"`
}

// readRecord returns the entries about names that the image does not hold: an
// entry about a name that it holds was written before a move that did not
// happen, or the name came back since.
func readRecord(img *Image, item items) ([]Displacement, error) {
	var all []Displacement
	data, err := item(img, RecordKey)
	if err == nil {
		all, err = parseRecord(data)
	}
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
	entries = entries[max(0, len(entries)-maxEntries):]
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

// RecordJSON returns the displacement record of an image in the form in which
// the store keeps it, nil when the image lost no name.
func (i *Image) RecordJSON() ([]byte, error) {
	if len(i.Displaced) == 0 {
		return nil, nil
	}
	return json.Marshal(record{Version: recordVersion, Entries: i.Displaced})
}

// ParseRecord reads a displacement record that came from somewhere else. Beyond
// what is checked of the store's own, it refuses an entry that this package
// would not have written.
func ParseRecord(data []byte) ([]Displacement, error) {
	entries, err := parseRecord(data)
	if err != nil {
		return nil, fmt.Errorf("reading a displacement record: %w", err)
	}
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("reading a displacement record: it has %d entries, more than %d", len(entries), maxEntries)
	}
	for _, e := range entries {
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("reading a displacement record: %w", err)
		}
	}
	return entries, nil
}

func (d *Displacement) check() error {
	if ref, err := reference.ParseNormalizedNamed(d.Name); err != nil || ref.String() != d.Name {
		return fmt.Errorf("the name %q is not a full name", d.Name)
	}
	if len(d.Command) > maxCommand {
		return fmt.Errorf("the command of %q has %d bytes, more than %d", d.Name, len(d.Command), maxCommand)
	}
	for _, p := range []Party{d.By, d.Was} {
		if p.ID != "" && digest.NewDigestFromEncoded(digest.SHA256, p.ID).Validate() != nil {
			return fmt.Errorf("the entry of %q has the image ID %q", d.Name, p.ID)
		}
		if p.Digest != "" && p.Digest.Validate() != nil {
			return fmt.Errorf("the entry of %q has the digest %q", d.Name, p.Digest)
		}
		if len(p.Platform) > maxCommand {
			return fmt.Errorf("the entry of %q has a platform of %d bytes", d.Name, len(p.Platform))
		}
	}
	return nil
}

// MergeRecord adds entries to the record of an image: those about names that it
// does not hold and of which its record says nothing newer.
func (w *Writer) MergeRecord(ctx context.Context, id string, entries []Displacement) error {
	lock, err := w.lockNames(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	img, err := w.image(id)
	if err != nil {
		return fmt.Errorf("recording what image %s lost: %w", id, err)
	}
	for _, e := range entries {
		newer := slices.ContainsFunc(img.Displaced, func(d Displacement) bool { return d.Name == e.Name && !d.At.Before(e.At) })
		if newer || slices.Contains(img.Names, e.Name) {
			continue
		}
		if err := w.appendRecord(id, e); err != nil {
			return err
		}
	}
	return nil
}
