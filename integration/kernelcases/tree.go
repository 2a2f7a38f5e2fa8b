package kernelcases

import (
	"os"
	"path/filepath"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"
)

// A Tree builds the root filesystem of one case. Its methods panic on errors:
// they run in workers, which report what they recover.
type Tree struct{ Root string }

// At is the path of an entry outside of the root. Links on the way are followed
// inside of the root: an absolute one leads to nothing of this machine.
func (t Tree) At(name string) string {
	dir, base := filepath.Split(filepath.Clean("/" + name))
	parent, err := securejoin.SecureJoin(t.Root, dir)
	must(err)
	return filepath.Join(parent, base)
}

// followed is At with the entry itself followed, where it is a link.
func (t Tree) followed(name string) string {
	path, err := securejoin.SecureJoin(t.Root, name)
	must(err)
	return path
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// File writes a file with mode and, when given, uid and gid; directories on
// the way are made.
func (t Tree) File(name string, data []byte, mode uint32, owner ...int) {
	must(os.MkdirAll(filepath.Dir(t.At(name)), 0o755))
	must(os.WriteFile(t.followed(name), data, 0o600))
	t.Own(name, mode, owner...)
}

// Own sets the mode and, when given, uid and gid.
func (t Tree) Own(name string, mode uint32, owner ...int) {
	if len(owner) == 2 {
		must(os.Chown(t.followed(name), owner[0], owner[1]))
	}
	must(unix.Chmod(t.followed(name), mode))
}

// Text writes an executable file.
func (t Tree) Text(name, text string) { t.File(name, []byte(text), 0o755) }

// ELF writes a program.
func (t Tree) ELF(name string, s ELF) { t.File(name, s.Bytes(), 0o755) }

// Link makes a symbolic link.
func (t Tree) Link(name, target string) {
	must(os.MkdirAll(filepath.Dir(t.At(name)), 0o755))
	must(os.Symlink(target, t.At(name)))
}

// Dir makes a directory.
func (t Tree) Dir(name string, mode uint32, owner ...int) {
	must(os.MkdirAll(t.followed(name), 0o755))
	t.Own(name, mode, owner...)
}

// Fifo makes a FIFO.
func (t Tree) Fifo(name string) { must(unix.Mkfifo(t.At(name), 0o777)) }

// Device mounts the null device on a new file.
func (t Tree) Device(name string) {
	t.File(name, nil, 0o777)
	must(unix.Mount("/dev/null", t.At(name), "", unix.MS_BIND, ""))
}
