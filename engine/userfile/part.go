package userfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// part is a file that is being written. Where the file system can do that it
// has no name until it is complete, so that nothing of it stays when the
// program is killed.
type part struct {
	*os.File
	path string // "" while it has no name
}

// newPart makes a file in the directory of target.
func newPart(target string, mode fs.FileMode) (*part, error) {
	dir := filepath.Dir(target)
	if f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, mode); err == nil {
		return &part{File: f}, nil
	}
	p := &part{}
	err := p.freeName(target, func(path string) (err error) {
		p.File, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// freeName has take try names beside target until one is free.
func (p *part) freeName(target string, take func(path string) error) error {
	for {
		path := filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+".part-"+rand.Text()[:10])
		err := take(path)
		if err == nil {
			p.path = path
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

// become puts the file in the place of target.
func (p *part) become(target string) error {
	if p.path == "" {
		// There is no way to link a file over another: it has a name of its own
		// for the time between two calls.
		err := p.freeName(target, func(path string) error {
			return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", p.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
		})
		if err != nil {
			return &fs.PathError{Op: "linkat", Path: target, Err: err}
		}
	}
	return os.Rename(p.path, target)
}

// remove takes the name away again.
func (p *part) remove() error {
	if p.path == "" {
		return nil
	}
	return os.Remove(p.path)
}
