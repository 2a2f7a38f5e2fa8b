package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
)

// DamageKind tells what a damaged object is.
type DamageKind string

// Kinds of damaged objects.
const (
	DamagedFile      DamageKind = "file" // one of the store's JSON files; ID is its path
	DamagedLayer     DamageKind = "layer"
	DamagedImage     DamageKind = "image"
	DamagedContainer DamageKind = "container"
)

// Damage is one damaged object of a store.
type Damage struct {
	Kind     DamageKind
	ID       string
	Names    []string // of an image
	Problems []string
	ReadOnly bool // in an additional, read-only image store: not to be repaired here
}

// CheckFiles reads the JSON files of a store without opening it: one of them
// that cannot be parsed keeps every tool from opening the store. They are never
// rewritten: which of their records are right nobody can tell.
func CheckFiles(o Options) ([]Damage, error) {
	options, err := o.resolve()
	if err != nil {
		return nil, err
	}
	driver := options.GraphDriverName
	if driver == "" {
		driver = driverOf(options.GraphRoot)
	}
	paths := []string{filepath.Join(options.RunRoot, driver+"-layers", "mountpoints.json")}
	for _, name := range []string{"images/images", "layers/layers", "layers/volatile-layers", "containers/containers", "containers/volatile-containers"} {
		paths = append(paths, filepath.Join(options.GraphRoot, driver+"-"+name+".json"))
	}
	var found []Damage
	for _, path := range paths {
		if err := checkJSON(path); err != nil {
			found = append(found, Damage{Kind: DamagedFile, ID: path, Problems: []string{err.Error()}})
		}
	}
	return found, nil
}

// checkJSON reads a file that holds one JSON array of objects, or nothing.
func checkJSON(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return errors.Join(err, emptyOrOdd(info))
	}
	decoder := json.NewDecoder(f)
	var all []json.RawMessage
	if err := decoder.Decode(&all); err != nil {
		return fmt.Errorf("it is no list of records: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the list of records")
	}
	return nil
}

// emptyOrOdd judges a file that holds no bytes: the library takes an empty one
// for an empty list.
func emptyOrOdd(info fs.FileInfo) error {
	if info != nil && !info.Mode().IsRegular() {
		return fmt.Errorf("it is no regular file but %s", info.Mode().Type())
	}
	return nil
}

// Check lists the damaged objects of a store: what the library's own check
// finds, unreferenced layers left out, and images whose manifest or config has
// other content than its digest says. The layers' digests are computed, so it
// reads all of the store. What another process is just writing may look
// damaged: believe it only behind the exclusive lock.
func (s *Store) Check(ctx context.Context) ([]Damage, error) {
	if s.lib == nil {
		return nil, nil
	}
	report, err := s.check(ctx)
	if err != nil {
		return nil, err
	}
	images, err := s.lib.Images()
	if err != nil {
		return nil, fmt.Errorf("checking the store at %s: %w", s.Root(), err)
	}
	for i := range images {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if errs := s.checkDigests(&images[i]); len(errs) > 0 && !images[i].ReadOnly {
			report.Images[images[i].ID] = append(report.Images[images[i].ID], errs...)
		}
	}
	var found []Damage
	found = appendDamage(found, DamagedLayer, report.Layers, false, nil)
	found = appendDamage(found, DamagedLayer, report.ROLayers, true, nil)
	found = appendDamage(found, DamagedImage, report.Images, false, images)
	found = appendDamage(found, DamagedImage, report.ROImages, true, images)
	return appendDamage(found, DamagedContainer, report.Containers, false, nil), nil
}

// check runs the library's check, without layers that are just unreferenced:
// those are no damage, and prune takes them. The layers' contents are read back
// by mpull's own reader: the library's leaves a layer's directory where the
// names in it say so.
func (s *Store) check(ctx context.Context) (storage.CheckReport, error) {
	forever := time.Duration(1<<63 - 1)
	options := storage.CheckMost()
	options.LayerUnreferencedMaximumAge = &forever
	options.LayerDigests = false
	report, err := s.lib.Check(options)
	if err == nil {
		err = s.checkLayers(ctx, &report)
	}
	if err != nil {
		return report, fmt.Errorf("checking the store at %s: %w", s.Root(), err)
	}
	return report, nil
}

// checkDigests compares an image's documents with the digests that they are
// kept under.
func (s *Store) checkDigests(li *storage.Image) []error {
	var errs []error
	for _, key := range li.BigDataNames {
		want := digest.Digest(strings.TrimPrefix(key, storage.ImageDigestManifestBigDataNamePrefix+"-"))
		if key == storage.ImageDigestBigDataKey {
			want = li.BigDataDigests[key] // li.Digest is the index's, where there is one
		}
		if want.Validate() != nil || li.BigDataSizes[key] > maxConfig {
			continue
		}
		blob, err := s.lib.ImageBigData(li.ID, key)
		if err != nil {
			continue // the library's check has said so
		}
		if got := want.Algorithm().FromBytes(blob); got != want {
			errs = append(errs, fmt.Errorf("%s has other content than its digest says", key))
		}
	}
	img := toImage(li)
	if s.ReadDetails(&img); img.ConfigError != nil {
		errs = append(errs, img.ConfigError)
	}
	return errs
}

func appendDamage(found []Damage, kind DamageKind, report map[string][]error, readOnly bool, images []storage.Image) []Damage {
	ids := make([]string, 0, len(report))
	for id := range report {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		d := Damage{Kind: kind, ID: id, ReadOnly: readOnly}
		for _, err := range report[id] {
			if text := err.Error(); !slices.Contains(d.Problems, text) {
				d.Problems = append(d.Problems, text)
			}
		}
		if i := slices.IndexFunc(images, func(img storage.Image) bool { return img.ID == id }); i >= 0 {
			d.Names = images[i].Names
		}
		found = append(found, d)
	}
	return found
}

// Repair removes the damaged images and layers, and nothing else: containers
// stay, and so do the images that they were made from. What could not be
// removed is in the error; what is damaged after it, Check tells.
func (d *Deleter) Repair(ctx context.Context) error {
	report, err := d.check(ctx)
	if err != nil {
		return err
	}
	images, err := d.lib.Images()
	if err != nil {
		return fmt.Errorf("repairing the store at %s: %w", d.Root(), err)
	}
	for i := range images {
		if errs := d.checkDigests(&images[i]); len(errs) > 0 && !images[i].ReadOnly {
			report.Images[images[i].ID] = append(report.Images[images[i].ID], errs...)
		}
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	return errors.Join(d.lib.Repair(report, &storage.RepairOptions{RemoveContainers: false})...)
}
