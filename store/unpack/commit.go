package unpack

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/klauspost/compress/gzip"
	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/idtools"
)

// record is what a layer's tar-split record is written to: not to memory, because
// its size is that of all headers of the layer. The library compresses it into
// the store, where that makes the layer.
type record struct {
	io.Writer
	file   *os.File
	packer *gzip.Writer // nil: the library will compress it
}

// newPackers returns a pool of what compresses records: each has a megabyte, and
// most layers are small.
func newPackers() *sync.Pool {
	return &sync.Pool{New: func() any {
		z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // as the library; the level is a valid one
		return z
	}}
}

// newRecord makes a record in a directory.
func (s *stager) newRecord(dir string) (*record, error) {
	file, err := Nameless(dir)
	if err != nil || !s.commits {
		return &record{file, file, nil}, err
	}
	packer := s.packers.Get().(*gzip.Writer)
	packer.Reset(file)
	return &record{packer, file, packer}, nil
}

// finish ends a record.
func (s *stager) finish(r *record) (*os.File, error) {
	if r.packer == nil {
		return r.file, nil
	}
	defer s.packers.Put(r.packer)
	return r.file, r.packer.Close()
}

// pack compresses a record that the library made, where it will not do so.
func (s *stager) pack(output *graphdriver.DriverWithDifferOutput) error {
	from := output.TarSplit
	if !s.commits || from == nil {
		return nil
	}
	packed, err := s.newRecord(filepath.Dir(output.Target))
	if err != nil {
		return err
	}
	output.TarSplit = packed.file
	defer from.Close()
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(packed, from); err != nil {
		return err
	}
	_, err = s.finish(packed)
	return err
}

// Ready is a layer that is staged, to become one of the store. Its TarSplit is
// compressed already.
type Ready struct {
	ID, Parent string
	*graphdriver.DriverWithDifferOutput
}

// Place has the driver make the layer out of what is staged, and writes its record
// into the directory of those, which the driver may have another mount for. Both
// are what the library would have done by then (layerStore.create and
// applyDiffFromStagingDirectory in storage's layers.go). It calls step before each
// change on disk.
func (r *Ready) Place(driver graphdriver.Driver, records string, step func()) error {
	staging, ok := driver.(graphdriver.DriverWithDiffer)
	if !ok {
		return storage.ErrNotSupported
	}
	step()
	if err := driver.Create(r.ID, r.Parent, &graphdriver.CreateOpts{IDMappings: &idtools.IDMappings{}}); err != nil {
		return err
	}
	if err := inherit(driver, r.DriverWithDifferOutput, r.Parent); err != nil {
		return err
	}
	step()
	if err := r.writeRecord(filepath.Join(records, r.ID+".tar-split.gz")); err != nil {
		return err
	}
	step()
	if err := staging.ApplyDiffFromStagingDirectory(r.ID, r.Parent, r.DriverWithDifferOutput, &graphdriver.ApplyDiffWithDifferOpts{}); err != nil {
		return err
	}
	_ = os.Remove(filepath.Dir(r.Target)) // the driver leaves it, empty, until the store shuts down
	return nil
}

func (r *Ready) writeRecord(path string) error {
	from := r.TarSplit
	if from == nil {
		return nil
	}
	r.TarSplit = nil
	defer from.Close()
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}

// commit gets staged layers into the store, the first of them with the index i,
// and reports for each whether this call fetched it. They are used up.
func (f *fetcher) commit(ctx context.Context, i int, layers []staged) (fetched []bool, err error) {
	ready := make([]*Ready, len(layers))
	for j, l := range layers {
		ready[j] = &Ready{ID: f.chain[i+j], DriverWithDifferOutput: l.DriverWithDifferOutput}
		if i+j > 0 {
			ready[j].Parent = f.chain[i+j-1]
		}
	}
	made := make([]bool, len(layers))
	lock, err := f.alone(ctx)
	if err == nil {
		defer lock.Close()
		if made, err = f.opts.Library.Commit(ctx, ready); err != nil {
			failed := i
			for last := i + len(made) - 1; failed < last && (made[failed-i] || f.whole(failed)); {
				failed++
			}
			err = f.parentGone(failed, err)
		}
	}
	for j, l := range layers {
		in := made[j]
		if !in && err == nil && !f.whole(i+j) {
			in, err = f.mend(i+j, l.DriverWithDifferOutput)
		}
		if !in {
			err = errors.Join(err, f.store.CleanupStagedLayer(l.DriverWithDifferOutput))
		}
		f.opts.Group.release(f.claims[ready[j].ID])
		if in || err == nil || f.whole(i+j) {
			fetched = append(fetched, in && l.fetched)
		}
	}
	return fetched, err
}
