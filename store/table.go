package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"go.podman.io/storage/pkg/ioutils"
	"go.podman.io/storage/pkg/lockfile"
)

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

// tops returns the layers that an image points at.
func (r *row) tops() []string { return append([]string{r.Layer}, r.Mapped...) }

// table is one of the store's lists, from the one or the several files in
// which the library keeps it. Records are kept byte for byte, so that what a
// newer library writes survives.
type table struct {
	files []string
	raw   []json.RawMessage // nil: deleted
	rows  []row
	from  []int          // index in files
	at    map[string]int // the first of an ID: the library too ignores a second one in another file
}

func readTable(files ...string) (*table, error) {
	t := &table{files: files, at: map[string]int{}}
	for i := range files {
		if err := t.read(i); err != nil {
			return nil, fmt.Errorf("reading %s: %w", files[i], err)
		}
	}
	return t, nil
}

func (t *table) read(file int) error {
	data, err := os.ReadFile(t.files[file])
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	seen := make(map[string]bool, len(raw))
	for i := range raw {
		var r row
		if err := json.Unmarshal(raw[i], &r); err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
		if seen[r.ID] || !isName(r.ID) {
			return fmt.Errorf("record %d has the ID %q, which is empty, a path or used twice", i, r.ID)
		}
		seen[r.ID] = true
		if _, known := t.at[r.ID]; !known {
			t.at[r.ID] = len(t.rows)
		}
		t.rows, t.raw, t.from = append(t.rows, r), append(t.raw, raw[i]), append(t.from, file)
	}
	return nil
}

// add adds a record to the first file, in the place of one with its ID.
func (t *table) add(id string, raw json.RawMessage) (at int) {
	at, there := t.at[id]
	if !there {
		at = len(t.rows)
		t.at[id] = at
		t.rows, t.raw, t.from = append(t.rows, row{}), append(t.raw, nil), append(t.from, 0)
	}
	t.rows[at], t.raw[at] = row{ID: id}, raw
	return at
}

// isName tells whether an ID is safe as the name of a directory.
func isName(id string) bool {
	return id != "" && id != "." && id != ".." && !strings.ContainsAny(id, "/\x00")
}

// save writes the files that hold the given records, without those that are
// deleted, as the library does: first the notes in the lock files that make
// others read again, then a new file, synced and renamed into place.
func (t *table) save(step func(), locks []*lockfile.LockFile, records []int) error {
	for _, lock := range locks {
		step()
		if _, err := lock.RecordWrite(); err != nil {
			return err
		}
	}
	for file, path := range t.files {
		if !slices.ContainsFunc(records, func(at int) bool { return t.from[at] == file }) {
			continue
		}
		left := make([]json.RawMessage, 0, len(t.raw))
		for i, raw := range t.raw {
			if raw != nil && t.from[i] == file {
				left = append(left, raw)
			}
		}
		data, err := json.Marshal(left)
		if err != nil {
			return err
		}
		step()
		if err := ioutils.AtomicWriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// flagIncomplete is the flag by which the library knows a layer that is to be removed.
const flagIncomplete = "incomplete"

// markIncomplete sets that flag.
func markIncomplete(raw json.RawMessage, old map[string]any) (json.RawMessage, error) {
	var record map[string]json.RawMessage
	if err := json.Unmarshal(raw, &record); err != nil {
		return nil, err
	}
	flags := map[string]any{}
	maps.Copy(flags, old)
	flags[flagIncomplete] = true
	data, err := json.Marshal(flags)
	if err != nil {
		return nil, err
	}
	record["flags"] = data
	return json.Marshal(record)
}
