package pack

import (
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/store"
)

// room refuses an archive that cannot fit: it has each layer about as large as
// the registry had it, and as many as are packed at the same time are on the disk
// twice for a moment.
func (w *saving) room(groups []Group, o Options) error {
	seen := map[digest.Digest]bool{}
	var all, twice int64
	var sizes []int64
	for _, g := range groups {
		for _, img := range g.Images {
			p, err := w.parts(img)
			if err != nil {
				return err
			}
			for _, l := range p.manifest.LayerInfos() {
				if !seen[l.Digest] && l.Size > 0 && l.Size < 1<<50 {
					seen[l.Digest] = true
					all, sizes = all+l.Size, append(sizes, l.Size)
				}
			}
		}
	}
	slices.Sort(sizes)
	for _, n := range sizes[max(0, len(sizes)-packsAtOnce()):] {
		twice += n
	}
	if o.TempDir != "" {
		all += twice // beside the archive
	} else if err := needs("layers of the archive", w.s.Root(), twice); err != nil {
		return err
	}
	return needs(store.SpaceOfArchive, o.Disk, all)
}

// needs compares what is needed with what is free. A disk that does not tell is
// tried, and "" is none.
func needs(what, path string, need int64) error {
	if path == "" {
		return nil
	}
	disk, err := store.DiskOf(path)
	if err != nil || disk.Free >= need {
		return nil //nolint:nilerr // see above
	}
	return &store.SpaceError{What: what, Path: path, Need: need, Free: disk.Free}
}
