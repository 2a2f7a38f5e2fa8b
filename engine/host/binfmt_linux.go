package host

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// binfmtDir is where binfmt_misc is mounted.
const binfmtDir = "/proc/sys/fs/binfmt_misc"

// ReadBinfmt reads the handlers of the binfmt_misc mounted at dir.
//
// Their order is the order of the directory entries, unsorted. A registered
// handler is put at the head of the list that the kernel walks (list_add in
// bm_register_write), and under the same lock its new directory entry is put
// at the head of the children of the directory (d_alloc), which
// dcache_readdir walks from the head. Nothing renames or moves entries, and
// look-ups of absent names leave none behind. Times are too coarse to tell
// the order, and inode numbers are handed out per CPU.
func ReadBinfmt(dir string) Binfmt {
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if errors.Is(err, fs.ErrNotExist) {
		return Binfmt{}
	}
	b := Binfmt{Enabled: string(bytes.TrimSpace(status)) == "enabled"}
	if err != nil {
		return Binfmt{Unread: err.Error()}
	}
	d, err := os.Open(dir)
	if err != nil {
		return Binfmt{Unread: err.Error()}
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return Binfmt{Unread: err.Error()}
	}
	for _, name := range names {
		if name == "status" || name == "register" {
			continue
		}
		e, err := readHandler(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			b.Unread = err.Error()
			continue
		}
		b.Handlers = append(b.Handlers, e)
	}
	return b
}

func readHandler(dir, name string) (Handler, error) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return Handler{}, err
	}
	e, err := parseHandler(name, text)
	if err == nil && e.Has('F') {
		e.Opened = readOpened(e.Interpreter)
	}
	return e, err
}

// readOpened reads the beginning of an interpreter that the kernel opened when
// the handler was registered. The path is that of the registering process; a
// file that is not there, or is no regular file, tells nothing.
func readOpened(path string) *OpenedFile {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil
	}
	head, err := io.ReadAll(io.LimitReader(f, maxOpenedHead))
	if err != nil {
		return nil
	}
	return &OpenedFile{Size: st.Size(), Head: trimHead(head)}
}

// trimHead keeps what a kernel reads of a program without a loader: its
// header and program headers. Other files keep all.
func trimHead(head []byte) []byte {
	end, interp, whole := programHeaders(head)
	if !whole || interp {
		return head
	}
	return slices.Clone(head[:max(end, headSize)])
}

// hidden reports whether the kernel may have handlers that are not to be seen:
// binfmt_misc is part of it, and not mounted at its usual place. So it is in
// containers, whose files the host's handlers take all the same.
func hidden(b Binfmt) bool {
	_, err := os.Stat(binfmtDir + "/status")
	return b.Unread == "" && errors.Is(err, os.ErrNotExist) && strings.Contains(readHead("/proc/filesystems", 65536), "\tbinfmt_misc\n")
}

// nested reports whether this process is in a user namespace other than the
// machine's. Since Linux 6.7 each may have a binfmt_misc of its own, that of the
// nearest one that has is in force, and the one mounted here may be another.
func nested() bool {
	const initial = 0xeffffffd // PROC_USER_INIT_INO of include/linux/proc_ns.h
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/user", &st) != nil || st.Ino != initial
}
