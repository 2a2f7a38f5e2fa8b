package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"
)

const runtimeVar = "XDG_RUNTIME_DIR"

// nowhere stands for a runtime directory that is not there yet: every machine
// has it, and nobody can keep files of ours in it. Without the variable the
// libraries make directories while they read their configuration, and take the
// namespace's root for the user.
const nowhere = "/proc/sys/kernel"

// SettleRuntimeDir finds the directory of an ordinary user's files that a
// reboot may lose, and names it to the libraries and to programs started from
// here, in XDG_RUNTIME_DIR, as podman does. It creates nothing: what it
// returns need not exist. For root it returns "" and changes nothing.
func SettleRuntimeDir() string {
	if !perUser() {
		return ""
	}
	dir := runtimeDir()
	named := dir
	if !ownDir(dir) {
		named = nowhere
	}
	if os.Getenv(runtimeVar) != named {
		_ = os.Setenv(runtimeVar, named) // fails for a name with a zero byte alone
	}
	return dir
}

// makeRuntimeDir creates what SettleRuntimeDir found.
func makeRuntimeDir() error {
	dir := SettleRuntimeDir()
	if dir == "" || ownDir(dir) {
		return nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("%s names no directory of yours, and none can be made; make one with mode 0700 and name it there: %w", runtimeVar, err)
	}
	SettleRuntimeDir()
	return nil
}

// perUser tells whether the store is one of an ordinary user's, in a user
// namespace made for it or before that.
func perUser() bool { return unshare.IsRootless() && unshare.GetRootlessUID() != 0 }

// runtimeDir is where podman keeps a user's runtime files: before version 5
// under podman-run-, or containers-user- where the variable names none that is
// there, since then where the library does. The first that is there counts, else
// the first of the library's that can be made. A directory of somebody else's (su
// keeps the variable) is none.
func runtimeDir() string {
	uid := strconv.Itoa(unshare.GetRootlessUID())
	temp := os.TempDir()
	list := []string{filepath.Join("/run/user", uid), filepath.Join(temp, "podman-run-"+uid)}
	made := []string{filepath.Join(temp, "storage-run-"+uid)}
	if home, err := unshare.HomeDir(); err == nil {
		made = append(made, filepath.Join(home, "rundir"))
	}
	if named := os.Getenv(runtimeVar); named != "" && named != nowhere {
		if dir, err := filepath.EvalSymlinks(named); err == nil && ownDir(dir) {
			return dir
		}
		list = slices.Insert(list, 1, filepath.Join(temp, "containers-user-"+uid))
	}
	for _, dir := range append(list, made...) {
		if ownDir(dir) {
			return dir
		}
	}
	for _, dir := range made {
		if !exists(dir) && unix.Access(filepath.Dir(dir), unix.W_OK) == nil {
			return dir
		}
	}
	return made[0]
}

// ownDir tells whether path is a directory that belongs to this user, and that
// nobody else may write to.
func ownDir(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o722 != 0o700 {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// inRuntimeDir puts the user's runtime directory into a path that the libraries
// made when there was none.
func inRuntimeDir(path string) string {
	if rest, ok := strings.CutPrefix(path, nowhere+"/"); ok {
		return filepath.Join(SettleRuntimeDir(), rest)
	}
	return path
}
