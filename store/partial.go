package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// partialPrefix begins the names of partial blobs in DownloadDir; the rest of a
// name is the hex of the blob's digest.
const partialPrefix = "sha256-"

// Partial is the beginning of a blob that a pull has read, kept for the next
// one in case this one does not get to its end. It is a file in DownloadDir,
// named by the digest of the whole blob, which its owner holds a flock(2) on.
// Nothing vouches for what is in it: whoever reads it checks the whole blob.
// One goroutine may use it at a time, but Close comes from any.
type Partial struct {
	file *os.File
	path string
	size int64
}

// Partial opens what is kept of a blob, empty where that is nothing. It returns
// nil while another pull has it.
func (w *Writer) Partial(d digest.Digest) (*Partial, error) {
	if err := d.Validate(); err != nil || d.Algorithm() != digest.SHA256 {
		return nil, fmt.Errorf("keeping what comes of %q: it is named by no SHA-256", d)
	}
	dir := filepath.Join(w.Root(), DownloadDir)
	if err := makeOwnDir(dir); err != nil {
		return nil, fmt.Errorf("making the download directory: %w", err)
	}
	p := &Partial{path: filepath.Join(dir, partialPrefix+d.Encoded())}
	for {
		locked, err := p.open()
		if err != nil || !locked {
			return nil, err
		}
		here, err := os.Lstat(p.path)
		if info, statErr := p.file.Stat(); err == nil && statErr == nil && os.SameFile(here, info) {
			p.size = info.Size()
			return p, nil
		}
		// Its owner removed it between opening and locking.
		if err := p.Close(); err != nil {
			return nil, err
		}
	}
}

// open opens and locks the file.
func (p *Partial) open() (locked bool, err error) {
	if p.file, err = openOwn(p.path, os.O_RDWR|os.O_CREATE); err != nil {
		return false, err
	}
	info, err := p.file.Stat()
	if err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
			err = &PlantedError{p.path, "a file that has other names too"}
		}
	}
	if err != nil {
		return false, errors.Join(err, p.file.Close())
	}
	switch err := unix.Flock(int(p.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return false, p.file.Close()
	default:
		return false, errors.Join(&os.PathError{Op: "flock", Path: p.path, Err: err}, p.file.Close())
	}
}

// Size is how many bytes are kept.
func (p *Partial) Size() int64 { return p.size }

// ReadAt reads what is kept.
func (p *Partial) ReadAt(b []byte, offset int64) (int, error) { return p.file.ReadAt(b, offset) }

// Append keeps more bytes, the ones that follow.
func (p *Partial) Append(b []byte) error {
	n, err := p.file.WriteAt(b, p.size)
	p.size += int64(n)
	return err
}

// Clear forgets what is kept.
func (p *Partial) Clear() error {
	p.size = 0
	return p.file.Truncate(0)
}

// Remove removes the file and closes it.
func (p *Partial) Remove() error { return errors.Join(os.RemoveAll(p.path), p.Close()) }

// Close gives the file back, for the next pull.
func (p *Partial) Close() error { return p.file.Close() }

// Kept tells how many bytes are kept of a blob, by whomever.
func (s *Store) Kept(d digest.Digest) int64 {
	info, err := os.Lstat(filepath.Join(s.Root(), DownloadDir, partialPrefix+d.Encoded()))
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}

// Forget removes what is kept of a blob, unless a pull has it.
func (w *Writer) Forget(d digest.Digest) error {
	if w.Kept(d) == 0 {
		return nil
	}
	p, err := w.Partial(d)
	if err != nil || p == nil {
		return err
	}
	return p.Remove()
}

// isPartial tells a partial blob from the directory of a download.
func isPartial(e fs.DirEntry) bool {
	return e.Type().IsRegular() && strings.HasPrefix(e.Name(), partialPrefix)
}
