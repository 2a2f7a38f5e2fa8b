package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"go.podman.io/storage"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/store/unpack"
)

// fetchAgain is how often layers are fetched anew when what was staged vanished.
// The library may have taken away with it the files of a layer that another
// process had just made, which Fetch gives back and the library's own path does not.
const fetchAgain = 2

// FetchLayers makes the layers of an image present in the store in one pass
// over their bytes, in parallel; where the driver cannot stage layers, that pass
// leads to files, out of which the library unpacks them. ok is false, with the
// reason, when one of these layers needs the library's own path instead; nothing
// is there then that was not before, but layers that were finished. So it is when
// what was staged vanishes: storage before 1.54 (podman 4) removes the staging
// directory of every process when it shuts down, but not where the library stages.
func (w *Writer) FetchLayers(ctx context.Context, layers []unpack.Layer, open unpack.Opener, opts unpack.Options) (result unpack.Result, ok bool, reason string, err error) {
	if w.Driver() == "vfs" && !may(unix.CAP_SYS_CHROOT) {
		return result, false, "", ErrMayNotChroot
	}
	now, err := DiskOf(w.Root())
	if err != nil {
		return result, false, "", err
	}
	opts.Library = &unpack.Library{
		Spool: func() (*os.File, error) { return SpoolIn(w.Root()) },
		Tar:   w.LayerTar, Put: w.putWhole, Room: now.Free,
	}
	if w.options.ImageStore == "" {
		opts.Library.Commit = w.commit
	}
	read, tell := make([]int64, len(layers)), opts.OnRead
	opts.OnRead = func(i int, n int64) {
		read[i] += n // of one layer, by one goroutine at a time
		if tell != nil {
			tell(i, n)
		}
	}
	result, err = unpack.Fetch(ctx, w.lib, layers, open, opts)
	for again := 0; again < fetchAgain && errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil; again++ {
		for i := range read {
			opts.OnRead(i, -read[i])
		}
		result, err = unpack.Fetch(ctx, w.lib, layers, open, opts)
	}
	if unsupported, ok := errors.AsType[*unpack.UnsupportedError](err); ok {
		return result, false, unsupported.Error(), nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return result, false, fmt.Sprintf("another tool took away what was staged: %v", err), nil
	}
	return result, err == nil, "", err
}

// putWhole has the library unpack a layer, and makes sure that it could be read
// back. It is, unless its files tell as much.
func (w *Writer) putWhole(ctx context.Context, id, parent string, options *storage.LayerOptions, tar io.Reader, intact func(dir string) bool) error {
	layer, _, err := w.lib.PutLayer(id, parent, nil, "", false, options, tar)
	if err != nil {
		w.takeAway(id)
		return err
	}
	return w.whole(ctx, layer, intact)
}
