package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/lockfile"
	"go.podman.io/storage/types"
	"golang.org/x/sys/unix"
)

// DamageKind tells what a damaged object is.
type DamageKind string

// Kinds of damaged objects.
const (
	DamagedFile      DamageKind = "file" // one of the store's JSON files; ID is its path
	DamagedLayer     DamageKind = "layer"
	DamagedImage     DamageKind = "image"
	DamagedContainer DamageKind = "container"
	Unlisted         DamageKind = "directory" // of an image or container that no list names; ID is its path
	Leftover         DamageKind = "leftover"  // no damage: what interrupted work left; ID is its path
	Note             DamageKind = "note"      // no damage: an image of which something is to be known; ID is its own
)

// Damage is one damaged object of a store.
type Damage struct {
	Kind     DamageKind
	ID       string
	Names    []string // of an image
	Problems []string
	ReadOnly bool // in an additional, read-only image store: not to be repaired here
	// Removable tells that removing it is a repair.
	Removable bool
	// Unproven tells that this machine could not read it, which says nothing
	// about it.
	Unproven bool
}

// CheckFiles reads the JSON files of a store without opening it, and compares
// them with what lies in the store. One that cannot be parsed keeps every tool
// from opening the store. They are never rewritten: which of their records are
// right nobody can tell.
func CheckFiles(o Options) ([]Damage, error) {
	options, err := o.resolve()
	if err != nil {
		return nil, err
	}
	driver := options.GraphDriverName
	if driver == "" {
		return nil, nil // no store, no files
	}
	return checkFiles(options, driver, lockOf(options))
}

// lockOf returns the way in which this process has the lock files of a store: each
// can be had in one only, and one that is not whole is opened to be read.
func lockOf(options types.StoreOptions) func(path string) (*lockfile.LockFile, error) {
	if whole(options) {
		return lockfile.GetLockFile
	}
	return lockfile.GetROLockFile
}

// noLock is for whoever looks before it is known how this process will have the
// lock files: where somebody is just deleting more may look odd.
func noLock(string) (*lockfile.LockFile, error) { return nil, errors.ErrUnsupported }

func checkFiles(options types.StoreOptions, driver string, lock func(path string) (*lockfile.LockFile, error)) ([]Damage, error) {
	p := placesOf(options.GraphRoot, options.RunRoot, options.ImageStore, driver, options.TransientStore)
	var found []Damage
	for _, path := range slices.Concat([]string{p.mounts}, p.images, p.layers, p.containers) {
		if err := checkJSON(path); err != nil {
			found = append(found, Damage{Kind: DamagedFile, ID: path, Problems: []string{err.Error()}})
		}
	}
	if len(found) > 0 || !exists(options.GraphRoot) {
		return found, nil
	}
	return lookOver(p, driver, additionalStores(options.GraphDriverOptions), (&Store{options: options}).deleting(), lock)
}

// checkJSON reads a file that holds one JSON array of records with IDs, or
// nothing: the library takes an empty one for an empty list.
func checkJSON(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("it is no regular file but %s", info.Mode().Type())
	}
	if err == nil {
		_, err = readTable(path)
	}
	return err
}

// Check lists the damaged objects of a store: what the library's own check
// finds, unreferenced layers left out, and images whose manifest or config has
// other content than its digest says. The layers' digests are computed, so it
// reads all of the store. What another process is just writing may look
// damaged: believe it only behind the exclusive lock.
func (s *Store) Check(ctx context.Context) ([]Damage, error) {
	if !s.Exists() {
		return nil, nil
	}
	if _, err := s.library(); err != nil {
		return nil, err
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
// names in it say so. Nothing is mounted: a mount that fails says more about
// the machine than about the layer.
func (s *Store) check(ctx context.Context) (storage.CheckReport, error) {
	forever := time.Duration(1<<63 - 1)
	options := storage.CheckMost()
	options.LayerUnreferencedMaximumAge = &forever
	options.LayerDigests, options.LayerMountable = false, false
	report, err := s.lib.Check(options)
	// What lies in the driver's folder without a record is told by lookOver.
	for id, errs := range report.Layers {
		if errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, storage.ErrLayerUnaccounted) }); len(errs) > 0 {
			report.Layers[id] = errs
		} else {
			delete(report.Layers, id)
		}
	}
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
		same := want.Algorithm().FromBytes(blob) == want
		if key != want.String() { // a manifest: in schema 1 the digest leaves out the signatures
			same, err = manifest.MatchesDigest(blob, want)
		}
		if err != nil || !same {
			errs = append(errs, fmt.Errorf("%s has other content than its digest says", key))
		}
	}
	img := toImage(li)
	if s.ReadDetails(&img); img.ConfigError != nil {
		return append(errs, img.ConfigError)
	}
	if err := s.checkChain(&img); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// checkChain finds an image that has other layers than its config says. A layer
// that is missing altogether the library's check has found.
func (s *Store) checkChain(img *Image) error {
	if img.IsList {
		return nil
	}
	missing := false
	chain := chainOf(img.TopLayer, func(id string) (string, digest.Digest, bool) {
		l, err := s.lib.Layer(id)
		if err != nil {
			missing = true
			return "", "", false
		}
		return l.Parent, l.UncompressedDigest, true
	})
	if missing {
		return nil
	}
	return img.CheckChain(chain)
}

func appendDamage(found []Damage, kind DamageKind, report map[string][]error, readOnly bool, images []storage.Image) []Damage {
	for _, id := range slices.Sorted(maps.Keys(report)) {
		d := Damage{Kind: kind, ID: id, ReadOnly: readOnly, Unproven: !slices.ContainsFunc(report[id], proven)}
		d.Removable = !readOnly && !d.Unproven && (kind == DamagedLayer || kind == DamagedImage)
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

// proven tells whether an error of a check is about the store: something in it
// is missing or other than it should be. What the system refuses otherwise (no
// memory, no permission, no more files, a disk that does not answer) is about
// this machine at this moment.
func proven(err error) bool {
	errno, ofSystem := errors.AsType[unix.Errno](err)
	return !ofSystem || errno == unix.ENOENT || errno == unix.ENOTDIR || errno == unix.EISDIR || errno == unix.ELOOP
}
