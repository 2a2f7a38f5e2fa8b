package engine

import (
	"context"
	"errors"
	"io"
	"os"

	"go.podman.io/image/v5/pkg/compression"

	"github.com/mpull/mpull/store"
)

// seekable returns in, or what it gives in a file, unpacked where it is
// compressed.
func (e *Engine) seekable(ctx context.Context, in io.Reader) (*os.File, error) {
	f, ok := in.(*os.File)
	if ok {
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		at, err := f.Seek(0, io.SeekCurrent)
		ok = info.Mode().IsRegular() && at == 0 && err == nil
	}
	spool, err := store.Spool(e.config.Store)
	if err != nil {
		return nil, err
	}
	out := &sparing{file: spool}
	// Nothing ends a read of a pipe but who writes into it: when ctx ends, that
	// read is left to the end of the program, and nothing more is written.
	copied := make(chan error, 1)
	direct := false
	go func() {
		decompress, stream, err := compression.DetectCompression(in)
		switch {
		case err != nil:
		case decompress != nil:
			var plain io.ReadCloser
			if plain, err = decompress(stream); err == nil {
				_, err = io.Copy(out, until{ctx, plain})
				err = errors.Join(err, plain.Close())
			}
		case ok:
			_, err = f.Seek(0, io.SeekStart)
			direct = true
		default:
			_, err = io.Copy(out, until{ctx, stream})
		}
		copied <- err
	}()
	select {
	case err = <-copied:
	case <-ctx.Done():
		return nil, context.Cause(ctx) // the copy may still hold the spool
	}
	if err != nil || direct {
		err = errors.Join(err, spool.Close())
		return f, err
	}
	return spool, nil
}

// until reads no more once ctx has ended.
type until struct {
	ctx context.Context //nolint:containedctx // as long as one copy
	io.Reader
}

// Read implements io.Reader.
func (u until) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.Reader.Read(p)
}

// sparing writes into a file of which nobody knows how long it will be, and ends
// where no more would be free on its disk than is kept free.
type sparing struct {
	file *os.File
	left int64 // bytes until the disk is looked at again
}

// lookEvery is after how many bytes the disk is looked at again, less where it
// has less: others write too.
const lookEvery = 16 << 20

// Write implements io.Writer.
func (s *sparing) Write(p []byte) (int, error) {
	if int64(len(p)) > s.left {
		disk, err := store.DiskOf(s.file.Name())
		if err != nil {
			return 0, err
		}
		room := disk.Free - disk.Reserve()
		if room < int64(len(p)) {
			return 0, &store.SpaceError{What: store.SpaceOfArchive, Path: s.file.Name(), Free: disk.Free, Reserve: disk.Reserve()}
		}
		s.left = min(lookEvery, max(room/2, int64(len(p))))
	}
	n, err := s.file.Write(p)
	s.left -= int64(n)
	return n, err
}
