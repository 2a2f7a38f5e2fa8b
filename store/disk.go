package store

import (
	"fmt"
	"math"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Disk is the state of a file system, in bytes.
type Disk struct {
	Free  int64 // what an ordinary user may still write
	Total int64
	Files int64 // how many more there may be; any number where the file system does not count them
}

// Part of a disk that is left free for everybody else, as ostree does: 3 %, but not
// more than a gigabyte of a big one.
const (
	diskReservePercent = 3
	maxDiskReserve     = 1 << 30
)

// Reserve is how many bytes of a disk pulls and saves leave free.
func (d Disk) Reserve() int64 { return min(d.Total/100*diskReservePercent, maxDiskReserve) }

// DiskOf reads the state of the file system of path, or of the nearest folder
// above it that is there.
func DiskOf(path string) (Disk, error) {
	for !exists(path) && path != filepath.Dir(path) {
		path = filepath.Dir(path)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Disk{}, fmt.Errorf("reading the free space at %s: %w", path, err)
	}
	block := int64(st.Frsize) //nolint:unconvert // 32 bits wide on 32-bit machines
	disk := Disk{Free: int64(st.Bavail) * block, Total: int64(st.Blocks) * block, Files: int64(st.Ffree)}
	if st.Files == 0 {
		disk.Files = math.MaxInt64
	}
	return disk, nil
}
