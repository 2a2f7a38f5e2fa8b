package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.podman.io/image/v5/manifest"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// Moved is what a name move did.
type Moved struct {
	Name  string
	Loser *Image        // the image that lost the name; nil when none held it
	Entry *Displacement // what was recorded about it; nil when Loser is nil
	// Hidden is an image of a read-only store that has the name too. It loses
	// nothing: it is found again under the name when no writable image has it.
	Hidden *Image
}

// MoveName gives name to the image with the ID to. An image that holds the
// name loses it in the same write of the library, and has a displacement
// record with command before that: a crash in between leaves a record about a
// name that the image still holds, which readers ignore. Moving a name to its
// holder does nothing.
func (w *Writer) MoveName(ctx context.Context, name, to, command string) (*Moved, error) {
	lock, err := w.lockNames(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	target, err := w.image(to)
	if err != nil {
		return nil, fmt.Errorf("naming image %s: %w", to, err)
	}
	moved := &Moved{Name: name}
	holder, err := w.image(name)
	switch {
	case err == nil && holder.ID == target.ID && slices.Contains(target.Names, name):
		return moved, nil
	case err == nil && holder.ReadOnly:
		moved.Hidden = holder // nothing can be written there, and nothing is lost
	case err == nil && slices.Contains(holder.Names, name):
		moved.Loser = holder
		moved.Entry = &Displacement{Name: name, At: now(), By: target.party(), Was: holder.loser(), Command: command}
		if err := w.appendRecord(holder.ID, *moved.Entry); err != nil {
			return nil, err
		}
	case err != nil && !IsGone(err):
		return nil, fmt.Errorf("looking up %s: %w", name, err)
	}
	if target.ReadOnly && moved.Loser != nil && slices.Contains(target.Names, name) {
		// The image of the read-only store has the name already, behind the one
		// that gives it up.
		err = w.lib.RemoveNames(moved.Loser.ID, []string{name})
	} else {
		err = w.lib.AddNames(target.ID, []string{name})
	}
	if err != nil {
		return nil, fmt.Errorf("moving the name %s to image %s: %w", name, target.ID, err)
	}
	return moved, nil
}

// RemoveName takes name from its image, which gets a displacement record
// without a successor. A name that nobody holds is an error of IsGone's kind.
func (w *Writer) RemoveName(ctx context.Context, name, command string) (*Moved, error) {
	lock, err := w.lockNames(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	holder, err := w.image(name)
	if err == nil && !slices.Contains(holder.Names, name) {
		err = storage.ErrImageUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("removing the name %s: %w", name, err)
	}
	if holder.ReadOnly {
		return nil, fmt.Errorf("removing the name %s: image %s is in a read-only image store: %w", name, holder.ID, ErrReadOnly)
	}
	entry := Displacement{Name: name, At: now(), Was: holder.loser(), Command: command}
	if err := w.appendRecord(holder.ID, entry); err != nil {
		return nil, err
	}
	if err := w.lib.RemoveNames(holder.ID, []string{name}); err != nil {
		return nil, fmt.Errorf("removing the name %s from image %s: %w", name, holder.ID, err)
	}
	return &Moved{Name: name, Loser: holder, Entry: &entry}, nil
}

// KeepIndex keeps an index with an image that came from it, under its digest, as
// the library does where it follows the index itself. The image is then known by
// that digest too. Keeping it again changes nothing.
func (w *Writer) KeepIndex(id string, index []byte) error {
	d, err := manifest.Digest(index)
	if err == nil {
		err = w.lib.SetImageBigData(id, storage.ImageDigestManifestBigDataNamePrefix+"-"+d.String(), index, manifest.Digest)
	}
	if err != nil {
		return fmt.Errorf("keeping the index of image %s: %w", id, err)
	}
	return nil
}

// lockNames makes record and move one step among mpulls: two of them moving
// one name would otherwise both record the first holder, and the one in the
// middle would lose the name without a record.
func (w *Writer) lockNames(ctx context.Context) (*os.File, error) {
	return flock(ctx, filepath.Join(w.Root(), namesLockFile), unix.LOCK_EX)
}

// image reads one image, with its config, by ID or name.
func (s *Store) image(idOrName string) (*Image, error) {
	lib, err := s.library()
	if err != nil {
		return nil, err
	}
	li, err := lib.Image(idOrName)
	if err != nil {
		return nil, err
	}
	img := toImage(li)
	s.ReadDetails(&img)
	return &img, nil
}

// Lookup returns the image that holds name or has the ID name, with its
// details. An unknown one is an error of IsGone's kind. For more than one
// image take a Snapshot.
func (s *Store) Lookup(name string) (*Image, error) {
	if !s.Exists() {
		return nil, fmt.Errorf("looking up %s: %w", name, storage.ErrImageUnknown)
	}
	img, err := s.image(name)
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", name, err)
	}
	return img, nil
}

// loser is an image that loses a name: the record lies on it, and needs no ID.
func (i *Image) loser() Party { return Party{Digest: i.Digest, Platform: i.Platform()} }

func (i *Image) party() Party { return Party{ID: i.ID, Digest: i.Digest, Platform: i.Platform()} }

// now is the time written into records: seconds are enough for people and
// keep the records short.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
