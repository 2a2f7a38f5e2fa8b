package preflight

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/platform"
)

// A Command is what is to be started: the fields of an image's config, and the
// arguments that the user gave.
type Command struct {
	Entrypoint []string
	Cmd        []string
	Env        []string // NAME=value; of several PATH the last counts
	WorkingDir string   // "" is /
	User       string   // user[:group], names or numbers; "" is root
	// Args replaces Cmd when it is not empty.
	Args []string
	// Bad is what makes the config no command that could be started, and
	// BadHint the way out; "" for nothing.
	Bad, BadHint string
	// Claimed is the platform that the config names, Index the one that the
	// index does, if any. They decide nothing.
	Claimed, Index platform.Platform
}

// Limits of fs/exec.c on arguments and environment, with the usual stack limit
// of 8 MiB: 128 KiB for one string, a quarter of the stack for all.
const (
	maxArgString  = 128 << 10
	maxArgStrings = 2 << 20
)

// badStrings says why argv and env cannot be handed to execve, or "".
func badStrings(argv, env []string) string {
	total := 0
	for _, s := range slices.Concat(argv, env) {
		if strings.IndexByte(s, 0) >= 0 {
			return "an argument or variable contains a NUL byte"
		}
		if len(s) >= maxArgString {
			return "an argument or variable is longer than the kernel's 128 KiB (E2BIG)"
		}
		total += len(s) + 1 + 8
	}
	if total > maxArgStrings {
		return "arguments and environment are longer than 2 MiB (E2BIG with the usual stack limit)"
	}
	return ""
}

// chdir enters the working directory. A runtime makes a missing one, and
// enters it before it gives up its privileges.
func (k *check) chdir() *fault {
	k.cwd = "/"
	dir := k.cmd.Dir()
	if dir == "/" {
		return nil
	}
	if f := k.makeDir(dir); f != nil {
		return f
	}
	n, f := k.runtime.walk("/", dir)
	if f != nil {
		return f
	}
	k.cwd = n.path
	return nil
}

// makeDir is os.MkdirAll of Go, by which runc makes the working directory: the
// part of the name before the last slash first, then the last part. What it
// makes is there for all that follows.
func (k *check) makeDir(dir string) *fault {
	n, f := k.runtime.walk("/", dir)
	switch {
	case f == nil && n.info.Type.IsDir():
		return nil
	case f == nil:
		return &fault{errno: unix.ENOTDIR, at: dir, why: "the working directory is not a directory"}
	case f.errno != unix.ENOENT:
		return f
	}
	parent, last := path.Split(strings.TrimRight(dir, "/"))
	if f := k.makeDir(parent); f != nil {
		return f
	}
	in, f := k.runtime.walk("/", parent)
	if f != nil || last == "." || last == ".." { // mkdir finds those there
		return f
	}
	made := path.Join(in.path, last)
	if fi, err := k.runtime.lstat(made); err == nil {
		if fi.Type.IsDir() {
			return nil // missing only as it was written
		}
		return &fault{errno: unix.EEXIST, at: dir, why: "the working directory is a link to nothing, which the runtime cannot make"}
	}
	k.runtime.cache[made] = cached{info: FileInfo{Type: fs.ModeDir, Perm: 0o755}}
	k.step("working directory %q is made by the runtime", made)
	return nil
}

// search finds the file that the runtime hands to execve: a name with a slash
// as it is, others in PATH. The search goes on after an entry that is missing,
// a directory or not executable for this user; what kind of file is found does
// not matter. So do runtimes built with Go 1.20 or later; crun and older runc
// stop at an entry that others may execute. What is found through a relative
// element of PATH is refused by runc before 1.2, and not by crun: such an end is
// not known. Runtimes built with Go before 1.24.6 take a program that is itself an
// element of PATH for the name "" (CVE-2025-47906).
func (k *check) search(name string) (string, *fault) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	list, _ := k.cmd.variable("PATH")
	passed := ""
	switch {
	case list == "":
		return "", &fault{errno: unix.ENOENT, at: name, why: "PATH is empty"}
	case name == "" || name == "." || name == "..":
		return "", &fault{errno: unix.ENOENT, at: quote(name), why: "is no name to look for in PATH"}
	}
	for dir := range strings.SplitSeq(list, ":") {
		candidate := joinPath(dir, name)
		n, f := k.user.walk(k.cwd, candidate)
		switch {
		case f != nil && f.errno == 0:
			return "", f
		case f != nil:
			if f.link != "" && k.dead == nil {
				k.dead = f
			}
		case n.info.Type.IsDir():
			k.dir = cmp.Or(k.dir, n.path)
		case !k.user.cred.may(n.info, 1):
			k.passed = n.path
			passed = ", " + quote(candidate) + " is not executable for this user"
		case !strings.HasPrefix(dir, "/"):
			return "", &fault{at: name, why: "is found through the element " + quote(dir) + " of PATH, which is no absolute path: some runtimes refuse that (runc before 1.2)"}
		default:
			k.step("PATH leads to %q", candidate)
			return candidate, nil
		}
	}
	return "", &fault{errno: unix.ENOENT, at: name, why: "not found in PATH " + quote(list) + passed}
}

// joinPath joins like a runtime: an empty element of PATH is the working
// directory.
func joinPath(dir, name string) string {
	if dir == "" || dir == "." {
		return "./" + name
	}
	return path.Join(dir, name)
}

// open is do_open_execat of fs/exec.c: only a regular file that the user may
// execute. It returns the entry; its content is opened by the caller.
func (k *check) open(name string) (node, *fault) {
	n, f := k.user.walk(k.cwd, name)
	if f != nil {
		return n, f
	}
	if n.info.Type != 0 {
		return n, &fault{errno: unix.EACCES, at: n.path, why: "is not a regular file"}
	}
	if !k.user.cred.may(n.info, 1) {
		return n, &fault{errno: unix.EACCES, at: n.path, why: "is not executable for this user"}
	}
	return n, nil
}

// errNotThere is a part of a file that this process cannot see.
var errNotThere = errors.New("its content is not known here")
