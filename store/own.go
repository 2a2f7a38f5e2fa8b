package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// PlantedError says that a name of mpull's own in a store is taken by something
// that mpull does not make: a link that leads elsewhere, a FIFO, a file of
// somebody else. Whoever may write to the store's root could put it there.
type PlantedError struct {
	Path string
	What string // what it is, in words
}

func (e *PlantedError) Error() string {
	return fmt.Sprintf("%s is %s, which mpull did not make: remove it", e.Path, e.What)
}

// openOwn opens a file of mpull's own, or a directory with unix.O_DIRECTORY in
// flags. It follows no link and waits for nothing, and refuses what mpull does
// not make with a *PlantedError.
func openOwn(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0o600)
	if err != nil {
		if info, statErr := os.Lstat(path); statErr == nil {
			if planted := judgeOwn(path, info, flags); planted != nil {
				return nil, planted
			}
		}
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = judgeOwn(path, info, flags)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// judgeOwn refuses what is not of the kind that flags ask for, or belongs
// neither to this user nor to the owner of the directory around it.
func judgeOwn(path string, info fs.FileInfo, flags int) error {
	wrong := func(what string) error { return &PlantedError{path, what} }
	switch m := info.Mode(); {
	case m&fs.ModeSymlink != 0:
		return wrong("a symbolic link")
	case flags&unix.O_DIRECTORY != 0 && !m.IsDir():
		return wrong("no directory")
	case flags&unix.O_DIRECTORY == 0 && m.IsDir():
		return wrong("a directory")
	case flags&unix.O_DIRECTORY == 0 && !m.IsRegular():
		return wrong("no regular file")
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	around, err := os.Stat(filepath.Dir(path))
	if err != nil || !ok {
		return err
	}
	if owner, ok := around.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() && st.Uid != owner.Uid {
		return wrong(fmt.Sprintf("of user %d", st.Uid))
	}
	return nil
}

// makeOwnDir makes a directory of mpull's own where there is none, and refuses
// what else has its name.
func makeOwnDir(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := openOwn(path, unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	return f.Close()
}

// readOwnDir lists a directory of mpull's own, which may not be there yet.
func readOwnDir(path string) ([]fs.DirEntry, error) {
	f, err := openOwn(path, unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}
