package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"

	"github.com/mpull/mpull/store/unpack"
)

// checkLayers finds what the library's check, which has made the report, does
// not look at or is not asked for, and adds it: to the layers, to the images
// that consist of them, and to the containers that were made from those.
func (s *Store) checkLayers(ctx context.Context, report *storage.CheckReport) error {
	layers, err := s.lib.Layers()
	if err != nil {
		return err
	}
	damage := map[string]error{}
	parents := make(map[string]string, len(layers))
	for i := range layers {
		l := &layers[i]
		parents[l.ID] = l.Parent
		contents := s.checkContents(ctx, l)
		if errors.Is(contents, ErrSparse) {
			contents = nil // its files are whole
		}
		err := errors.Join(s.checkFolder(l), s.checkLower(l), contents, s.checkStrangers(ctx, l))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			continue
		}
		damage[l.ID] = fmt.Errorf("layer %s: %w", l.ID, err)
		told := report.Layers
		if l.ReadOnly {
			told = report.ROLayers
		}
		told[l.ID] = append(told[l.ID], damage[l.ID])
	}
	if len(damage) == 0 {
		return nil
	}
	return s.spread(report, damage, parents)
}

// checkFolder finds a layer without the folder of its files: its contents tell
// that only where there are files.
func (s *Store) checkFolder(l *storage.Layer) error {
	if l.ReadOnly {
		return nil
	}
	below := map[string]string{"overlay": filepath.Join(l.ID, "diff"), "vfs": filepath.Join("dir", l.ID)}[s.Driver()]
	if below == "" {
		return nil
	}
	var err error
	for _, home := range s.places().homes {
		if _, err = os.Stat(filepath.Join(home, below)); err == nil {
			return nil
		}
	}
	return err
}

// checkLower finds a layer of the overlay driver that does not say what lies
// below it. The library has that in a second file since v1.63 and misses
// nothing; older tools show an image without its lower layers then.
func (s *Store) checkLower(l *storage.Layer) error {
	lower := filepath.Join(s.Root(), "overlay", l.ID, "lower")
	if s.Driver() == "overlay" && l.Parent != "" && !l.ReadOnly && exists(filepath.Dir(lower)) && !exists(lower) {
		return errors.New("its file lower is missing")
	}
	return nil
}

// ErrSparse says that the tar of a layer, whose files are whole, cannot be put
// together again.
var ErrSparse = errors.New("it has a sparse file whose map, in GNU tar's PAX format 1.0, the record of its tar lacks")

// checkContents reads a layer back. One without a digest belongs to a
// container.
func (s *Store) checkContents(ctx context.Context, l *storage.Layer) error {
	want := l.UncompressedDigest
	if want == "" {
		return nil
	}
	if err := want.Validate(); err != nil {
		return fmt.Errorf("its digest %q: %w", want, err)
	}
	got, size, err := s.layerDigest(ctx, l.ID, want.Algorithm())
	switch {
	case err != nil:
		return err
	case got != want:
		return fmt.Errorf("%w: it is %s, not %s", storage.ErrLayerIncorrectContentDigest, got, want)
	case l.UncompressedSize != -1 && size != l.UncompressedSize:
		return fmt.Errorf("%w: it has %d bytes, not %d", storage.ErrLayerIncorrectContentSize, size, l.UncompressedSize)
	}
	return nil
}

// checkStrangers finds what was put into a layer after it was stored. vfs has
// the files of the layers below in the same directory.
func (s *Store) checkStrangers(ctx context.Context, l *storage.Layer) error {
	if s.Driver() != "overlay" || l.UncompressedDigest == "" {
		return nil
	}
	dir, err := s.layerDir(l.ID)
	record := s.layerRecord(l.ID)
	if err != nil || dir == "" || record == "" {
		return nil //nolint:nilerr // checkContents has said so
	}
	found, err := unpack.Strangers(ctx, dir, record)
	if err != nil || len(found) == 0 {
		return nil //nolint:nilerr // what cannot be read, checkContents has met
	}
	return fmt.Errorf("something put files into it that are not its own: %s", strings.Join(found, ", "))
}

// layerDigest reads a layer back.
func (s *Store) layerDigest(ctx context.Context, id string, algorithm digest.Algorithm) (_ digest.Digest, size int64, err error) {
	tar, err := s.layerTar(ctx, id)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, tar.Close()) }()
	sum := algorithm.Digester()
	size, err = io.Copy(sum.Hash(), tar)
	if err == nil && unpack.Lossy(tar) {
		err = ErrSparse
	}
	return sum.Digest(), size, err
}

// spread tells of damaged layers where they are used.
func (s *Store) spread(report *storage.CheckReport, damage map[string]error, parents map[string]string) error {
	images, err := s.lib.Images()
	if err != nil {
		return err
	}
	damaged := map[string]error{}
	for i := range images {
		img := &images[i]
		for _, top := range append([]string{img.TopLayer}, img.MappedTopLayers...) {
			for id, n := top, 0; id != "" && n <= len(parents); id, n = parents[id], n+1 {
				if err := damage[id]; err != nil {
					damaged[img.ID] = err
				}
			}
		}
		switch err := damaged[img.ID]; {
		case err == nil:
		case img.ReadOnly:
			report.ROImages[img.ID] = append(report.ROImages[img.ID], err)
		default:
			report.Images[img.ID] = append(report.Images[img.ID], err)
		}
	}
	containers, err := s.lib.Containers()
	for i := range containers {
		if err := damaged[containers[i].ImageID]; err != nil {
			report.Containers[containers[i].ID] = append(report.Containers[containers[i].ID], err)
		}
	}
	return err
}
