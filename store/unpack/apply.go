package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/system"
	"golang.org/x/sys/unix"
)

// alone waits until no other process of ours is between looking and applying:
// the library replaces the files of a layer that exists already, also under a
// running container. The lock is not on the staging directory: storage before
// 1.54 (podman 4) removes that whole when it shuts down. Closing it unlocks.
func (f *fetcher) alone(ctx context.Context) (io.Closer, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	root, err := os.Open(f.store.GraphRoot())
	if err != nil {
		return nil, err
	}
	return Flock(ctx, root, unix.LOCK_EX, "another process")
}

// apply has the library commit a staged layer, unless another process has done
// so. Either way the output is used up.
func (f *fetcher) apply(ctx context.Context, i int, from staged) (applied bool, err error) {
	output := from.DriverWithDifferOutput
	defer func() {
		if !applied {
			err = errors.Join(err, f.store.CleanupStagedLayer(output))
		}
	}()
	lock, err := f.alone(ctx)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	if f.whole(i) {
		return false, nil
	}
	parent := ""
	if i > 0 {
		parent = f.chain[i-1]
	}
	driver, err := f.store.GraphDriver()
	if err != nil {
		return false, err
	}
	if err := inherit(driver, output, parent); err != nil {
		return false, f.parentGone(i, err)
	}
	if f.store.Exists(f.chain[i]) {
		return f.mend(i, output)
	}
	target := output.Target
	_, err = f.store.ApplyStagedLayer(storage.ApplyStagedLayerOptions{
		ID: f.chain[i], ParentLayer: parent, DiffOutput: output,
		DiffOptions: &graphdriver.ApplyDiffWithDifferOpts{},
	})
	if errors.Is(err, storage.ErrDuplicateID) {
		return false, nil
	}
	if err != nil {
		return false, f.parentGone(i, err)
	}
	_ = os.Remove(filepath.Dir(target)) // the driver leaves it, empty, until the store shuts down
	return true, nil
}

// mend gives a layer that has lost its files the staged ones, unless another
// tool does so at this moment. Its record is right: the same DiffIDs lie below.
func (f *fetcher) mend(i int, output *graphdriver.DriverWithDifferOutput) (applied bool, err error) {
	driver, err := f.store.GraphDriver()
	if err == nil && driver.SyncMode() == graphdriver.SyncModeFilesystem {
		err = system.Syncfs(output.Target) // as the library does before it records a layer
	}
	if err != nil {
		return false, err
	}
	err = unix.Renameat2(unix.AT_FDCWD, output.Target, unix.AT_FDCWD, f.diff(i), unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("layer %d (%s): %w", i+1, f.layers[i].Digest, err)
	}
	return true, f.store.CleanupStagedLayer(output)
}

// diff is where the driver keeps the files of a layer.
func (f *fetcher) diff(i int) string {
	return filepath.Join(f.store.GraphRoot(), "overlay", f.chain[i], "diff")
}

// LockPoll is how often a waiting lock is tried: waiting must end when the
// context does, which a blocking flock cannot.
const LockPoll = 10 * time.Millisecond

// Flock takes the flock(2) how (unix.LOCK_SH or unix.LOCK_EX) of an open file, or
// closes it: holder, who may have the lock, is waited for until ctx ends.
func Flock(ctx context.Context, f *os.File, how int, holder string) (*os.File, error) {
	tick := time.NewTicker(LockPoll)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", f.Name(), err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for the lock %s, held by %s: %w", f.Name(), holder, context.Cause(ctx)), f.Close())
		case <-tick.C:
		}
	}
}
