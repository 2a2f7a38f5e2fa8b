package preflight

import (
	"errors"
	"io/fs"
	"strings"
)

// Mounted is a root filesystem as a container shows it: where the runtime
// mounts something, the image's own files do not show. /dev is one with the
// devices of every container; what is in /proc and /sys is not known before;
// empty are directories with an empty file system of their own.
//
// See "Default Filesystems" and "Default Devices" of the OCI runtime
// specification's config-linux.md.
func Mounted(root RootFS, empty ...string) RootFS {
	return mounted{RootFS: root, over: append([]string{"/dev"}, empty...)}
}

// Unmountable says why a runtime cannot make a container of a root filesystem:
// something else lies where it mounts a file system; "" when it can.
func Unmountable(root RootFS) string {
	for _, dir := range []string{"/proc", "/sys", "/dev"} {
		fi, err := root.Lstat(dir)
		followed := dir == "/dev" && fi.Type == fs.ModeSymlink
		if err == nil && !fi.Type.IsDir() && !followed {
			return dir + " of the image is no directory, and the runtime mounts a file system there"
		}
	}
	return ""
}

type mounted struct {
	RootFS
	over []string // directories of which nothing of the image shows, see fresh
}

// fresh tells whether nothing of the image shows at or below dir, one of m.over:
// where the image has a link there, the runtime follows it and mounts elsewhere.
func (m mounted) fresh(dir string) bool {
	fi, err := m.RootFS.Lstat(dir)
	return err != nil || fi.Type.IsDir()
}

var errKernels = errors.New("the runtime mounts a file system of the kernel there")

func (m mounted) Lstat(name string) (FileInfo, error) {
	for _, dir := range []string{"/proc", "/sys"} {
		switch {
		case name == dir:
			return FileInfo{Type: fs.ModeDir, Perm: 0o555}, nil
		case strings.HasPrefix(name, dir+"/"):
			return FileInfo{}, errKernels
		}
	}
	for _, dir := range m.over {
		if name != dir && !strings.HasPrefix(name, dir+"/") || !m.fresh(dir) {
			continue
		}
		if fi, ok := ofRuntime(name); ok {
			return fi, nil
		}
		if name == dir {
			return FileInfo{Type: fs.ModeDir, Perm: 0o1777}, nil
		}
		return FileInfo{}, fs.ErrNotExist
	}
	return m.RootFS.Lstat(name)
}

func (m mounted) Readlink(name string) (string, error) {
	if target, ok := deviceLinks()[name]; ok && m.fresh("/dev") {
		return target, nil
	}
	return m.RootFS.Readlink(name)
}

// deviceLinks are the links of a container's /dev.
func deviceLinks() map[string]string {
	return map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2",
		"/dev/ptmx": "pts/ptmx",
	}
}

// ofRuntime describes what a runtime puts into /dev.
func ofRuntime(name string) (FileInfo, bool) {
	if _, ok := deviceLinks()[name]; ok {
		return FileInfo{Type: fs.ModeSymlink, Perm: 0o777}, true
	}
	switch name {
	case "/dev", "/dev/pts":
		return FileInfo{Type: fs.ModeDir, Perm: 0o755}, true
	case "/dev/shm", "/dev/mqueue":
		return FileInfo{Type: fs.ModeDir, Perm: 0o1777}, true
	case "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty":
		return FileInfo{Type: fs.ModeDevice | fs.ModeCharDevice, Perm: 0o666}, true
	}
	return FileInfo{}, false
}
