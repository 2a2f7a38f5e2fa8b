package store

import (
	"encoding/json"
	"os"
	"path/filepath"

	"go.podman.io/storage/pkg/ioutils"
)

// journalFile says which images a deletion is about to take out of their list.
// Between that and the end of their directories a kill leaves directories of
// images that no list names, which look like those of a list that was lost:
// with the journal, they are known to be rubbish. It is written when there is
// room; without it, doctor has to be asked.
const journalFile = "mpull-deleting.json"

// deleting returns the images of a deletion that did not end.
func (s *Store) deleting() map[string]bool {
	var ids []string
	data, err := os.ReadFile(filepath.Join(s.Root(), journalFile))
	if err != nil || json.Unmarshal(data, &ids) != nil {
		return nil
	}
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = isName(id)
	}
	return set
}

func (b *batch) journal() {
	ids := make([]string, 0, len(b.doomed))
	for _, at := range b.doomed {
		ids = append(ids, b.images.rows[at].ID)
	}
	if data, err := json.Marshal(ids); err == nil {
		_ = ioutils.AtomicWriteFile(filepath.Join(b.store.Root(), journalFile), data, 0o600)
	}
}

// endOther finishes what a killed deletion left of images.
func (b *batch) endOther() error {
	for id, ok := range b.store.deleting() {
		if _, there := b.images.at[id]; there || !ok {
			continue
		}
		for _, dir := range b.store.places().imageDirs {
			if err := os.RemoveAll(filepath.Join(dir, id)); err != nil {
				return err
			}
		}
	}
	return b.endJournal()
}

func (b *batch) endJournal() error { return os.RemoveAll(filepath.Join(b.store.Root(), journalFile)) }
