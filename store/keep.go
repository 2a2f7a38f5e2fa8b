package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/manifest"
)

// OwnDigests returns the digests of an image's own manifests, the one that it is
// known by first; mostly there is one. The digest of an index that it came from,
// which is that of each of the index's images, is none of them, unless the
// image is that index, as a local manifest list is.
func (s *Store) OwnDigests(img *Image) []digest.Digest {
	if img.IsList {
		return []digest.Digest{img.Digest}
	}
	var own []digest.Digest
	for _, d := range img.Digests {
		blob, err := s.Manifest(img, d)
		if err != nil || manifest.MIMETypeIsMultiImage(manifest.GuessMIMEType(blob)) {
			continue
		}
		if d == img.Digest {
			own = slices.Insert(own, 0, d)
		} else {
			own = append(own, d)
		}
	}
	return own
}

// KeepName gives an image the name repository@DIGEST of its own manifest, by
// which no tool takes it for dangling, and returns it. An image that has such a
// name needs no other. The name is never taken from another image: where one
// has it, or the image has no manifest, it is an error and nothing changes.
func (w *Writer) KeepName(ctx context.Context, repository, id string) (string, error) {
	lock, err := w.lockNames(ctx)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	img, err := w.image(id)
	if err != nil {
		return "", fmt.Errorf("keeping image %s: %w", id, err)
	}
	var names []string
	for _, d := range w.OwnDigests(img) {
		names = append(names, repository+"@"+d.String())
	}
	if at := slices.IndexFunc(names, func(n string) bool { return slices.Contains(img.Names, n) }); at >= 0 {
		return names[at], nil
	}
	for _, name := range names {
		holder, err := w.image(name)
		if err == nil && slices.Contains(holder.Names, name) {
			continue
		}
		if err != nil && !IsGone(err) {
			return "", fmt.Errorf("looking up %s: %w", name, err)
		}
		if err := w.lib.AddNames(img.ID, []string{name}); err != nil {
			return "", fmt.Errorf("keeping image %s as %s: %w", img.ID, name, err)
		}
		return name, nil
	}
	if len(names) == 0 {
		return "", fmt.Errorf("image %.12s cannot be kept: the store has no manifest of it", img.ID)
	}
	return "", fmt.Errorf("image %.12s cannot be kept: another image has the name %s", img.ID, strings.Join(names, ", "))
}
