package store

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
)

// ErrMounted is the ErrInUse of an image of which a layer is mounted: an
// image volume of Kubernetes, or what "podman image mount" gives somebody.
var ErrMounted = errors.New("image is mounted")

func errMounted(id string) error { return fmt.Errorf("image %s: %w: %w", id, ErrMounted, ErrInUse) }

// mountPoints returns the layers that this process sees mounted where the
// driver mounts them, with the number of mounts. The library's count lies in
// the run root and says all for the tools that use the same one; this finds
// the mounts of the others, too. It returns none where nothing can be told:
// vfs mounts nothing.
func (s *Store) mountPoints() map[string]int {
	found := map[string]int{}
	if s.Driver() != "overlay" {
		return found
	}
	for _, home := range s.places().homes {
		where, err := filepath.EvalSymlinks(home)
		if err != nil {
			continue
		}
		mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(where))
		if err != nil {
			continue
		}
		for _, m := range mounts {
			if dir, name := filepath.Split(m.Mountpoint); name == "merged" && filepath.Dir(filepath.Clean(dir)) == where {
				found[filepath.Base(dir)]++
			}
		}
	}
	return found
}
