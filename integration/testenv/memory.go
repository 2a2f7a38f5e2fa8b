package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"

	"golang.org/x/sys/unix"
)

// dirVar has the directory of a package's run whose process was started again.
const dirVar = "MPULL_TEST_DIR"

// DirIs is the assignment that hands an empty directory to a child which is a
// package's tests as well: one in a directory of its own, below this one's,
// would have paths longer than podman takes for a run root.
func DirIs(path string) string { return dirVar + "=" + path }

// DiskVar of the environment keeps tests off memory (make test-all), so that
// what depends on the file system of TMPDIR is seen too.
const DiskVar = "MPULL_TEST_DISK"

// enoughMemory is a machine's memory of which half may be taken.
const enoughMemory = 4 << 30

// folder makes the directory of this run. Where the kernel lets it, that is a
// file system in memory, in a mount namespace of this process: a store syncs
// with each step, which takes most of a test's time on a disk, and mounts that
// a killed test leaves end with the namespace.
func folder() (string, error) {
	if dir := os.Getenv(dirVar); dir != "" {
		return dir, os.Unsetenv(dirVar)
	}
	dir, err := os.MkdirTemp(plainParent(), "mt-") // short: podman takes a run root of 50 characters at most
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // tests run programs as other users
		return "", err
	}
	if os.Getenv(DiskVar) != "" || os.Geteuid() != 0 || memory() < enoughMemory {
		return dir, nil
	}
	return dir, startInMemory(dir)
}

// plain is a path that is one word of a command line, a script and an option of
// a mount alike.
var plain = regexp.MustCompile(`^[\pL\pN/._+-]+$`)

// plainParent is TMPDIR where its path is plain, as the lines, scripts and mounts
// of many tests have paths below it. That mpull takes any other path has a test
// of its own: testdata/script/blanks.txtar.
func plainParent() string {
	for _, dir := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if info, err := os.Stat(dir); err == nil && info.IsDir() && plain.MatchString(dir) {
			return dir
		}
	}
	return os.TempDir()
}

// memory is this machine's, in bytes; 0 when it is not known.
func memory() uint64 {
	var machine unix.Sysinfo_t
	_ = unix.Sysinfo(&machine)
	return uint64(machine.Totalram) * uint64(machine.Unit) //nolint:unconvert // 32 bits wide on 32-bit machines
}

// startInMemory starts this program again, and returns where it may not make a
// namespace or mount.
func startInMemory(dir string) error {
	runtime.LockOSThread()
	if unix.Unshare(unix.CLONE_NEWNS) != nil {
		runtime.UnlockOSThread()
		return nil //nolint:nilerr // a disk does too
	}
	// From here on this thread has mounts of its own, so it is started again in any case.
	if unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "") == nil {
		_ = unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755")
	}
	// Not by its path: in a user's namespace it runs from a mount without one.
	err := unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), dirVar+"="+dir))
	return fmt.Errorf("starting the test again: %w", err)
}

// remove undoes folder.
func remove(dir string) {
	_ = unix.Unmount(dir, unix.MNT_DETACH)
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// Public makes a directory that other users reach: in the temporary directory
// of the tests unless a folder above it is closed to them.
func Public(pattern string) (string, error) {
	parent := os.TempDir()
	for dir := parent; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode()&1 == 0 {
			parent = "/var/tmp"
		}
	}
	return os.MkdirTemp(parent, pattern)
}

// MakeRemovable gives their owner the right to empty the directories below dir:
// those of an image may be read-only.
func MakeRemovable(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
}
