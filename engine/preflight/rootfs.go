package preflight

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// A RootFS is a container's root filesystem as seen from outside. Paths are
// absolute and clean, and their directories are real: links are resolved by
// this package, so that they cannot lead out of the root. An absent entry is
// reported as fs.ErrNotExist; every other error makes the verdict Unknown.
type RootFS interface {
	// Lstat describes an entry without following it.
	Lstat(name string) (FileInfo, error)
	// Readlink returns the target of a symbolic link.
	Readlink(name string) (string, error)
	// Open opens a regular file. It never waits and never opens a device.
	Open(name string) (File, error)
}

// A File is an open regular file.
type File interface {
	io.ReaderAt
	io.Closer
}

// FileInfo describes an entry of a RootFS as the container sees it.
type FileInfo struct {
	Type     fs.FileMode // type bits only; 0 is a regular file
	Perm     uint32      // the twelve permission bits, as in st_mode
	UID, GID uint32      // IDs inside the container
	Size     int64       // in bytes
}

// cred is who asks: the IDs of the process that calls execve. A container's
// root has CAP_DAC_OVERRIDE in the default capability set; others have none.
type cred struct {
	uid, gid uint32
	groups   []uint32
}

// rootCred is the runtime before it gives up its privileges.
func rootCred() cred { return cred{} }

// may evaluates permission bits (4 read, 2 write, 1 execute) like
// generic_permission of fs/namei.c: only the first class that fits counts, and
// root may do all but execute a file that nobody may execute.
func (c cred) may(fi FileInfo, want uint32) bool {
	if c.uid == 0 {
		return want&1 == 0 || fi.Type.IsDir() || fi.Perm&0o111 != 0
	}
	bits := fi.Perm
	switch {
	case fi.UID == c.uid:
		bits >>= 6
	case c.in(fi.GID):
		bits >>= 3
	}
	return bits&want == want
}

// changes reports whether executing a file changes the IDs, as bprm_fill_uid of
// fs/exec.c has it.
func (c cred) changes(fi FileInfo) bool {
	const setUID, setGID, groupX = 0o4000, 0o2000, 0o010
	return fi.Perm&setUID != 0 && fi.UID != c.uid || fi.Perm&(setGID|groupX) == setGID|groupX && fi.GID != c.gid
}

func (c cred) in(gid uint32) bool {
	return gid == c.gid || slices.Contains(c.groups, gid)
}

// Limits of the kernel on names (include/uapi/linux/limits.h, fs/namei.c).
const (
	nameMax  = 255
	pathMax  = 4096 // with the final NUL
	maxLinks = 40
)

// fault is why a step failed: an errno of the kernel, or, with errno 0, what
// could not be found out.
type fault struct {
	errno unix.Errno
	at    string // path inside the root that failed
	why   string // detail for people
	small bool   // a file was linked for smaller pages than the kernel's
	// link is the one that leads to what is not there, target what it says; "" when
	// none does.
	link, target string
}

// Error names the path, quoted when it holds anything but plain text, and why.
func (f *fault) Error() string {
	at := f.at
	if strings.ContainsFunc(at, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }) {
		at = quote(at)
	}
	if f.why == "" {
		return at + ": " + f.errno.Error()
	}
	return at + ": " + f.why
}

// node is an entry that a path led to.
type node struct {
	path string // clean and free of links
	info FileInfo
}

// walker resolves paths inside one root, as one process of the container.
type walker struct {
	root             RootFS
	cred             cred
	protectedSymlink bool
	cache            map[string]cached
}

type cached struct {
	info FileInfo
	err  error
}

func (w *walker) lstat(p string) (FileInfo, error) {
	if c, ok := w.cache[p]; ok {
		return c.info, c.err
	}
	fi, err := w.root.Lstat(p)
	if w.cache == nil {
		w.cache = map[string]cached{}
	}
	w.cache[p] = cached{fi, err}
	return fi, err
}

// as returns a walker for other credentials on the same root.
func (w *walker) as(c cred) *walker {
	v := *w
	v.cred = c
	return &v
}

// walk follows name from the directory cwd to the end, links included, as
// path_openat of fs/namei.c does. An empty name, which a #! line or PT_INTERP
// can hold, leads to cwd.
func (w *walker) walk(cwd, name string) (node, *fault) {
	if len(name) >= pathMax {
		return node{}, &fault{errno: unix.ENAMETOOLONG, at: name[:32] + "..."}
	}
	st := walkState{walker: w, dir: cwd, name: name}
	if strings.HasPrefix(name, "/") {
		st.dir = "/"
	}
	return st.run(name)
}

// walkState is one walk: the directory reached, and the links counted.
type walkState struct {
	*walker
	dir   string
	links int
	name  string
	// link is the one followed last; behind its target len(behind) bytes follow.
	link, target string
	behind       int
}

// run walks rest from the directory reached. A link puts its target in front
// of what is left; a slash at the very end asks for a directory.
func (s *walkState) run(rest string) (node, *fault) {
	mustDir := false
	for {
		rest = strings.TrimLeft(rest, "/")
		if rest == "" {
			fi, f := s.stat(s.dir)
			if f == nil && mustDir && !fi.Type.IsDir() {
				f = &fault{errno: unix.ENOTDIR, at: s.dir, why: "is not a directory"}
			}
			return node{s.dir, fi}, f
		}
		part, after, slash := strings.Cut(rest, "/")
		last := strings.Trim(after, "/") == ""
		mustDir = mustDir || slash && last
		next, target, f := s.step(part, last)
		if f != nil {
			if f.errno == unix.ENOENT && s.link != "" && len(rest) > s.behind {
				f.link, f.target = s.link, s.target
			}
			return node{}, f
		}
		if target == "" {
			s.dir, rest = next, after
			continue
		}
		s.link, s.target, s.behind = next, target, 0
		if target[0] == '/' {
			s.dir = "/"
		}
		rest = target
		if !last {
			rest, s.behind = rest+"/"+after, len(after)+1
		}
	}
}

// stat describes an entry; the root itself is always there.
func (s *walkState) stat(p string) (FileInfo, *fault) {
	fi, err := s.lstat(p)
	switch {
	case err == nil:
		return fi, nil
	case errors.Is(err, fs.ErrNotExist):
		return fi, &fault{errno: unix.ENOENT, at: p}
	}
	return fi, &fault{at: p, why: "cannot be read here: " + err.Error()}
}

// step looks one part up in the directory reached. It returns its path, and the
// target when it is a link.
func (s *walkState) step(part string, last bool) (next, target string, f *fault) {
	if f := s.searchable(); f != nil {
		return "", "", f
	}
	switch {
	case part == ".":
		return s.dir, "", nil
	case part == "..":
		return path.Dir(s.dir), "", nil
	case len(part) > nameMax:
		return "", "", &fault{errno: unix.ENAMETOOLONG, at: part[:32] + "..."}
	}
	next = path.Join(s.dir, part)
	fi, f := s.stat(next)
	if f != nil || fi.Type != fs.ModeSymlink {
		return next, "", f
	}
	target, f = s.follow(next, fi, last)
	return next, target, f
}

// searchable tells why nothing can be looked up in the directory reached.
func (s *walkState) searchable() *fault {
	if s.dir == "/" && s.cred.uid == 0 {
		return nil // always a directory, and root may search each: nothing to ask
	}
	dir, f := s.stat(s.dir)
	switch {
	case f != nil:
		return f
	case !dir.Type.IsDir():
		return &fault{errno: unix.ENOTDIR, at: s.dir, why: "is not a directory"}
	case !s.cred.may(dir, 1):
		return &fault{errno: unix.EACCES, at: s.dir, why: "the directory may not be searched"}
	}
	return nil
}

// follow reads a link, as pick_link and may_follow_link of fs/namei.c.
func (s *walkState) follow(p string, fi FileInfo, last bool) (string, *fault) {
	s.links++
	if s.links > maxLinks {
		return "", &fault{errno: unix.ELOOP, at: s.name, why: "leads through more than 40 links"}
	}
	if last && s.protectedSymlink && fi.UID != s.cred.uid {
		dir, f := s.stat(s.dir)
		if f != nil {
			return "", f
		}
		if dir.Perm&0o1002 == 0o1002 && fi.UID != dir.UID {
			return "", &fault{errno: unix.EACCES, at: p, why: "a link of another user in a sticky directory (fs.protected_symlinks)"}
		}
	}
	target, err := s.root.Readlink(p)
	if err != nil {
		return "", &fault{at: p, why: "the link cannot be read here: " + err.Error()}
	}
	if target == "" {
		return "", &fault{errno: unix.ENOENT, at: p, why: "an empty link"}
	}
	return target, nil
}
