package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// ErrMounted is the ErrInUse of an image of which a layer is mounted: an
// image volume of Kubernetes, or what "podman image mount" gives somebody.
var ErrMounted = errors.New("image is mounted")

func errMounted(id string) error { return fmt.Errorf("image %s: %w: %w", id, ErrMounted, ErrInUse) }

// mountPoints returns the layers that this process sees mounted, with the
// number of mounts: where the driver mounts them, and by another store that has
// its images here and its containers elsewhere. The library's count lies in the
// run root and says all for the tools that use the same one; this finds the
// mounts of the others, too. It returns none where nothing can be told: vfs
// mounts nothing.
func (s *Store) mountPoints() map[string]int {
	found := map[string]int{}
	if s.Driver() != "overlay" {
		return found
	}
	var homes []string
	for _, home := range s.places().homes {
		if where, err := filepath.EvalSymlinks(home); err == nil {
			homes = append(homes, where)
		}
	}
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return found
	}
	for _, m := range mounts {
		if layer := mountedLayer(homes, m); layer != "" {
			found[layer]++
		}
	}
	return found
}

// mountedLayer returns the layer of the store that a mount shows, "" for none:
// its own, mounted at the driver's place, or the topmost that a mount elsewhere
// lies on. Layers are named by short links, the same in each store.
func mountedLayer(homes []string, m *mountinfo.Info) string {
	for _, home := range homes {
		if rest, below := strings.CutPrefix(m.Mountpoint, home+"/"); below {
			if id, name, _ := strings.Cut(rest, "/"); name == "merged" {
				return id
			}
			return ""
		}
	}
	if m.FSType != "overlay" {
		return ""
	}
	for option := range strings.SplitSeq(m.VFSOptions, ",") {
		if key, lower, _ := strings.Cut(option, "="); key == "lowerdir" || key == "lowerdir+" {
			top, _, _ := strings.Cut(lower, ":")
			return lowerLayer(homes, top)
		}
	}
	return ""
}

// lowerLayer returns the layer that a mount names as one below it: by its
// directory, HOME/ID/diff, or by its short link. Layers of the same contents have
// the same ID in each store; short links do not.
func lowerLayer(homes []string, path string) string {
	id := filepath.Base(filepath.Dir(path))
	if filepath.Base(path) != "diff" {
		return linkedLayer(homes, filepath.Base(path))
	}
	mounted, err := os.Stat(path)
	if err != nil || !isHexID(id) {
		return ""
	}
	for _, home := range homes {
		if own, err := os.Stat(filepath.Join(home, id, "diff")); err == nil && os.SameFile(own, mounted) {
			return id
		}
	}
	return ""
}

// linkedLayer follows a short link of the driver: l/NAME to ../ID/diff.
func linkedLayer(homes []string, name string) string {
	for _, home := range homes {
		if to, err := os.Readlink(filepath.Join(home, "l", name)); err == nil {
			return filepath.Base(filepath.Dir(to))
		}
	}
	return ""
}
