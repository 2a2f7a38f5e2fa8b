package testenv

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// NoRuntime says why no container can be started here, "" when one can.
func NoRuntime() string {
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/") // below the tmpfs of hybrid control groups too
	for _, dir := range append(groups, "/sys/fs/cgroup") {
		if os.Geteuid() == 0 && errors.Is(unix.Access(dir, unix.W_OK), unix.EROFS) {
			return "a container needs a control group, and " + dir + " is read-only here"
		}
	}
	for _, name := range []string{"runc", "crun", "/usr/sbin/runc", "/usr/bin/crun"} {
		if _, err := exec.LookPath(name); err == nil {
			return ""
		}
	}
	return "no OCI runtime is installed"
}
