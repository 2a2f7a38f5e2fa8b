package store

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"go.podman.io/storage/types"
)

// versionWait bounds the asking of podman for its version.
const versionWait = 5 * time.Second

// firstDriver is the driver of an ordinary user's store that is not there yet,
// where nothing names one: that of the podman that is installed, so that both
// have the same store whoever makes it. Before 4.6 podman takes vfs
// (github.com/containers/storage before 1.48, types/options.go), since then what
// the library of today takes, for which "" stands.
func firstDriver(options types.StoreOptions) string {
	if !perUser() || len(options.GraphDriverPriority) > 0 {
		return ""
	}
	temp, err := scratch()
	if err != nil {
		return ""
	}
	defer func() { _ = os.RemoveAll(temp) }()
	ctx, stop := context.WithTimeout(context.Background(), versionWait)
	defer stop()
	podman := exec.CommandContext(ctx, "podman", "--version")
	podman.Env = append(os.Environ(), runtimeVar+"="+temp) // lest it makes directories of its own
	out, err := podman.Output()
	if err != nil {
		return "" // there is none
	}
	return driverOfPodman(string(out))
}

// driverOfPodman takes what podman --version says.
func driverOfPodman(version string) string {
	var major, minor int
	if n, _ := fmt.Sscanf(version, "podman version %d.%d", &major, &minor); n == 2 && (major < 4 || major == 4 && minor < 6) {
		return "vfs"
	}
	return ""
}
