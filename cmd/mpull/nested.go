//go:build linux

package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"
)

// nobody is who a user of an outer namespace is here, where that is root's name
// there too: a namespace in a namespace.
const nobody = 65534

// settleNamespace tells the libraries, as podman does for what it starts, that
// who runs this is an ordinary user in a user namespace: root of one that
// somebody made around this program, as unshare --map-root-user does, and to
// whom the directories of the machine's root are closed. It comes before the
// libraries look for the first time.
func settleNamespace() {
	const uidVar, gidVar = "_CONTAINERS_ROOTLESS_UID", "_CONTAINERS_ROOTLESS_GID"
	if os.Geteuid() != 0 || os.Getenv(unshare.UsernsEnvName) != "" || os.Getenv(uidVar) != "" || !closed("/var/lib/containers/storage") {
		return
	}
	uid, foreign := outside0("/proc/self/uid_map")
	if !foreign {
		return
	}
	gid, _ := outside0("/proc/self/gid_map")
	for name, value := range map[string]string{unshare.UsernsEnvName: "done", uidVar: fmt.Sprint(uid), gidVar: fmt.Sprint(gid)} {
		_ = os.Setenv(name, value) // fails for a name or value with a zero byte alone
	}
}

// outside0 returns who the root of this user namespace is outside, and whether
// it is not that of the machine.
func outside0(path string) (id uint32, foreign bool) {
	text, err := os.ReadFile(path)
	var inside, count uint32
	if _, scanErr := fmt.Sscan(string(text), &inside, &id, &count); err != nil || scanErr != nil || count == math.MaxUint32 {
		return 0, false
	}
	if id == 0 {
		id = nobody
	}
	return id, true
}

// closed tells whether one may not write to a path, or make it.
func closed(path string) bool {
	for {
		err := unix.Access(path, unix.W_OK)
		if !errors.Is(err, unix.ENOENT) || path == "/" {
			return errors.Is(err, unix.EACCES)
		}
		path = filepath.Dir(path)
	}
}
