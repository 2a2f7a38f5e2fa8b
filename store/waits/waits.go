// Package waits tells which lock of a file this process is waiting for, and who
// holds it: mpull's own locks (flock(2)) and those of the storage library
// (fcntl(2)), which waits for them without a word and without an end. It asks
// the kernel, which knows (proc_locks(5)); no lock has to be registered.
package waits

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Lock is a lock that this process waits for.
type Lock struct {
	Path    string // "" where the file is not open here
	PID     int    // who holds it; 0 where that cannot be seen from here
	Command string // its program, and what it does, without flags
	Stopped bool   // the holder is stopped (Ctrl-Z): it will not go on by itself
}

// String says it in words, such as "waiting for process 7 (podman pull), ...".
func (l Lock) String() string {
	var b strings.Builder
	b.WriteString("waiting for ")
	switch {
	case l.PID <= 0:
		b.WriteString("a process that cannot be seen from here")
	case l.Command == "":
		fmt.Fprintf(&b, "process %d", l.PID)
	default:
		fmt.Fprintf(&b, "process %d (%s)", l.PID, l.Command)
	}
	if l.Path != "" {
		b.WriteString(", which holds the lock " + l.Path)
	}
	if l.Stopped {
		fmt.Fprintf(&b, " and is stopped: kill -CONT %d lets it go on", l.PID)
	}
	return b.String()
}

// held is a line of /proc/locks.
type held struct {
	id, kind, file string
	waiting        bool
	pid            int
}

// parse reads a line such as "1: POSIX  ADVISORY  WRITE 5550 00:27:4679 0 EOF"
// or "1: -> POSIX ...".
func parse(line string) (h held, ok bool) {
	f := strings.Fields(line)
	if len(f) > 1 && f[1] == "->" {
		h.waiting = true
		f = append(f[:1], f[2:]...)
	}
	if len(f) < 6 {
		return h, false
	}
	pid, err := strconv.Atoi(f[4])
	h.id, h.kind, h.file, h.pid = f[0], f[1], f[5], pid
	return h, err == nil
}

// OfThis returns the lock that this process waits for, false when there is none
// or the kernel does not say.
func OfThis() (Lock, bool) {
	data, err := os.ReadFile("/proc/locks")
	if err != nil {
		return Lock{}, false
	}
	h, path, ok := find(data, os.Getpid(), openFiles())
	if !ok {
		return Lock{}, false
	}
	l := Lock{Path: path, PID: h.pid}
	l.Command, l.Stopped = describe(h.pid)
	return l, true
}

// find looks for a lock that pid waits for, in the kernel's list: one that it
// is noted as waiting for, or, as mpull's own locks are tried again and again,
// one of flock's that another process holds and whose file pid has open, which
// it has for nothing else.
func find(list []byte, pid int, open map[string]string) (h held, path string, ok bool) {
	mine := map[string]bool{}
	var holder held
	var others []held
	for line := range bytes.Lines(list) {
		h, ok := parse(string(line))
		switch {
		case !ok:
		case h.waiting && h.pid == pid && h.id == holder.id && holder.pid != pid:
			return holder, open[holder.file], true
		case h.waiting:
		case h.pid == pid:
			holder = h
			mine[h.file] = true
		default:
			holder = h
			if h.kind == "FLOCK" {
				others = append(others, h)
			}
		}
	}
	for _, h := range others {
		if path := open[h.file]; path != "" && !mine[h.file] {
			return h, path, true
		}
	}
	return held{}, "", false
}

// openFiles maps the files that are open here, as /proc/locks names them, to
// their paths. Standard streams are the shell's affair.
func openFiles() map[string]string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	files := map[string]string{}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err != nil || fd <= unix.Stderr {
			continue
		}
		var st unix.Stat_t
		path, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || unix.Stat(filepath.Join(dir, e.Name()), &st) != nil {
			continue
		}
		dev := uint64(st.Dev) //nolint:unconvert // 32 bits on some machines
		files[fmt.Sprintf("%02x:%02x:%d", unix.Major(dev), unix.Minor(dev), st.Ino)] = path
	}
	return files
}

// maxWords of a command line are shown; flags end it, as they may hold secrets.
const maxWords = 3

// describe tells what a process is, and whether it is stopped.
func describe(pid int) (command string, stopped bool) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return "", false
	}
	var words []string
	for i, w := range strings.Split(strings.TrimRight(string(line), "\x00"), "\x00") {
		if i == 0 {
			w = filepath.Base(w)
		}
		if strings.HasPrefix(w, "-") || i == maxWords {
			break
		}
		words = append(words, w)
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if _, state, ok := bytes.Cut(stat, []byte(") ")); err == nil && ok {
		stopped = state[0] == 'T' || state[0] == 't'
	}
	return strings.Join(words, " "), stopped
}
