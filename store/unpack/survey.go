package unpack

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"

	splittar "github.com/vbatts/tar-split/archive/tar"
	"go.podman.io/storage/pkg/archive"
)

// Survey reads the layers of one image before the library unpacks them, and
// refuses what the library would not stop at: it has no limits, and it expands
// the holes of sparse files, which a header of a few bytes can make as large as
// it likes. Layers may be read at the same time. The zero value allows no holes
// and sets no other limit.
type Survey struct {
	// MaxBytes and MaxEntries limit the unpacked tars together, 0 does not.
	MaxBytes, MaxEntries int64
	// Room limits the bytes of all sparse files: what is free on the disk.
	Room int64

	bytes, entries, sparse atomic.Int64
	names                  atomic.Int64 // of the inventories
}

// Read reads a layer, compressed or not. The only errors are a *LimitError and
// the cause of the end of ctx: a layer that cannot be read is left to the
// library, which has the same parser and says what is wrong.
func (s *Survey) Read(ctx context.Context, blob io.Reader) error {
	plain, err := archive.DecompressStream(&stoppable{ctx, blob})
	if err != nil {
		return context.Cause(ctx)
	}
	defer plain.Close()
	if err = s.walk(ctx, &tally{plain, s}, nil); errors.As(err, new(*LimitError)) {
		return err
	}
	return context.Cause(ctx)
}

// walk parses with the reader by which the library expands sparse files in this
// process. The passage, if any, is what it reads through.
func (s *Survey) walk(ctx context.Context, plain io.Reader, p *passage) error {
	limited := &headerLimit{plain, maxHeader}
	r := splittar.NewReader(limited)
	r.RawAccounting = p != nil
	for padding := int64(0); ; {
		p.hold()
		hdr, err := r.Next()
		limited.left = -1
		raw := r.RawBytes()
		if errors.Is(err, io.EOF) {
			p.release()
			rest, err := io.Copy(io.Discard, limited) // what follows the archive is recorded
			if p != nil {
				p.known += int64(len(raw)) + rest
			}
			return err
		}
		if err == nil {
			err = s.entry(hdr)
		}
		if err != nil {
			return err
		}
		if p != nil {
			p.note(hdr, raw, padding)
			padding = r.ExpectedPadding()
		}
		p.release()
		if _, err := io.Copy(io.Discard, &stoppable{ctx, r}); err != nil {
			return err
		}
		limited.left = maxHeader
	}
}

func (s *Survey) entry(hdr *splittar.Header) error {
	if err := count(&s.entries, 1, "entries", s.MaxEntries); err != nil {
		return err
	}
	if !isSparse(hdr.PAXRecords, hdr.Typeflag) {
		return nil
	}
	// Compared before it is added, which may overflow; no disk is so large that
	// the sum of two that fit does.
	if hdr.Size > s.Room || s.sparse.Add(hdr.Size) > s.Room {
		return &LimitError{"bytes of sparse files", s.Room}
	}
	return s.unpacked(hdr.Size)
}

func (s *Survey) unpacked(n int64) error { return count(&s.bytes, n, "unpacked bytes", s.MaxBytes) }

// count adds to what is counted, and refuses more than a limit, 0 for none.
func count(sum *atomic.Int64, n int64, what string, most int64) error {
	if sum.Add(n) > most && most > 0 {
		return &LimitError{what, most}
	}
	return nil
}

// isSparse tells whether a header is of a file with holes, in any of the forms
// of GNU tar.
func isSparse(records map[string]string, typeflag byte) bool {
	for key := range records {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return typeflag == splittar.TypeGNUSparse
}

// tally counts the bytes of a tar.
type tally struct {
	io.Reader
	survey *Survey
}

func (t *tally) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if limit := t.survey.unpacked(int64(n)); limit != nil {
		return n, limit
	}
	return n, err
}

// stoppable is a reader that ends with its context.
type stoppable struct {
	ctx context.Context
	io.Reader
}

func (s *stoppable) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.Reader.Read(p)
}
