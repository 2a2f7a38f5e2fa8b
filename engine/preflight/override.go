package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// overrideXattr holds the owner and mode that a file of a store with
// force_mask stands for; fuse-overlayfs shows those instead of the ones on
// disk (containers-storage.conf(5), force_mask; pkg/idtools of the storage
// library, FormatContainersOverrideXattr). The directory of a layer of such a
// store has it too.
const overrideXattr = "user.containers.override_stat"

// override applies the attribute of a file, if it has one.
func override(fd int, fi FileInfo) (FileInfo, error) {
	if fi.Type == fs.ModeSymlink { // has no such attributes
		return fi, nil
	}
	var buf [128]byte
	n, err := unix.Getxattr(procFD(fd), overrideXattr, buf[:])
	if errors.Is(err, unix.ENODATA) {
		return fi, nil
	}
	if err != nil {
		return fi, fmt.Errorf("reading %s: %w", overrideXattr, err)
	}
	return parseOverride(string(buf[:n]), fi)
}

// parseOverride reads UID:GID:MODE[:TYPE[-MAJOR-MINOR]], MODE in octal.
func parseOverride(value string, fi FileInfo) (FileInfo, error) {
	parts := strings.Split(value, ":")
	bad := fmt.Errorf("%s is %q, not UID:GID:MODE[:TYPE]", overrideXattr, value)
	if len(parts) < 3 || len(parts) > 4 {
		return fi, bad
	}
	var numbers [3]uint32
	for i, base := range []int{10, 10, 8} {
		n, err := strconv.ParseUint(parts[i], base, 32)
		if err != nil {
			return fi, bad
		}
		numbers[i] = uint32(n)
	}
	fi.UID, fi.GID, fi.Perm = numbers[0], numbers[1], numbers[2]&0o7777
	if len(parts) == 3 {
		return fi, nil
	}
	kind, _, _ := strings.Cut(parts[3], "-")
	types := map[string]fs.FileMode{
		"file": 0, "dir": fs.ModeDir, "symlink": fs.ModeSymlink, "pipe": fs.ModeNamedPipe, "socket": fs.ModeSocket,
		"block": fs.ModeDevice, "char": fs.ModeDevice | fs.ModeCharDevice,
	}
	t, ok := types[kind]
	if !ok {
		return fi, bad
	}
	fi.Type = t
	return fi, nil
}
