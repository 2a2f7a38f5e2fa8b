package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/compression"
	"go.podman.io/storage"

	"github.com/mpull/mpull/store/unpack"
)

// PutLayers makes the layers of an image present in the store by the library's
// own path, one after the other: for stores that FetchLayers does not support.
// Each blob is read three times, and unpacked only once it is known to be what
// its DiffID promises, as a layer is found by the DiffIDs of its chain, and to
// keep to the limits of survey.
func (w *Writer) PutLayers(ctx context.Context, layers []unpack.Layer, open unpack.Opener, survey *unpack.Survey) error {
	diffIDs := make([]digest.Digest, len(layers))
	for i, l := range layers {
		diffIDs[i] = l.DiffID
	}
	parent := ""
	for i, id := range unpack.ChainIDs(diffIDs) {
		if !w.lib.Exists(id) {
			if err := w.putLayer(ctx, id, parent, layers[i], open, survey); err != nil {
				return fmt.Errorf("adding layer %d (%s): %w", i+1, layers[i].Digest, err)
			}
		}
		parent = id
	}
	return nil
}

func (w *Writer) putLayer(ctx context.Context, id, parent string, l unpack.Layer, open unpack.Opener, survey *unpack.Survey) error {
	if err := checkDiffID(ctx, l, open); err != nil {
		return err
	}
	if err := surveyLayer(ctx, l, open, survey); err != nil {
		return err
	}
	blob, err := open(ctx, l)
	if err != nil {
		return err
	}
	defer blob.Close()
	layer, _, err := w.lib.PutLayer(id, parent, nil, "", false, nil, blob)
	if errors.Is(err, storage.ErrDuplicateID) {
		return nil
	}
	if err != nil {
		w.takeAway(id)
		return err
	}
	if layer.UncompressedDigest != l.DiffID { // the file changed between the two readings
		return errors.Join(&unpack.MismatchError{What: "DiffID", Want: l.DiffID.String(), Got: layer.UncompressedDigest.String()}, w.lib.DeleteLayer(id))
	}
	return w.readsBack(ctx, layer)
}

func surveyLayer(ctx context.Context, l unpack.Layer, open unpack.Opener, survey *unpack.Survey) error {
	blob, err := open(ctx, l)
	if err != nil {
		return err
	}
	return errors.Join(survey.Read(ctx, blob), blob.Close())
}

func checkDiffID(ctx context.Context, l unpack.Layer, open unpack.Opener) error {
	blob, err := open(ctx, l)
	if err != nil {
		return err
	}
	defer blob.Close()
	tar, _, err := compression.AutoDecompress(blob)
	if err != nil {
		return err
	}
	defer tar.Close()
	got, err := digest.Canonical.FromReader(tar)
	if err != nil {
		return err
	}
	if got != l.DiffID {
		return &unpack.MismatchError{What: "DiffID", Want: l.DiffID.String(), Got: got.String()}
	}
	return nil
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

// maxCommand bounds the command of an entry, in bytes.
const maxCommand = 4096

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
