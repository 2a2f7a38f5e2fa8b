package unpack

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sys/unix"
)

// manner is in what the files of one layer differ from those of another store.
// The driver decides it by its options and by who it works for; it says so in
// the options with which it would have archive.Unpack called.
type manner struct {
	// opaque is the attribute of an opaque directory. It is "" for a mount
	// program, which takes whiteouts as the archive has them: as files.
	opaque string
	// userNS: there are no devices, nor attributes that need the real root.
	userNS bool
	// keepOwner: who cannot own a file does not, and its creator does.
	keepOwner bool
	// mask is the mode of all files and directories, which then belong to their
	// creator. Devices and pipes become files. An attribute keeps what was meant.
	mask *fs.FileMode
	// ids maps the owners in archives to those on disk.
	ids *idtools.IDMappings
}

func mannerOf(o *archive.TarOptions) manner {
	m := manner{userNS: o.InUserNS, keepOwner: o.IgnoreChownErrors, mask: o.ForceMask, ids: idtools.NewIDMappingsFromMaps(o.UIDMaps, o.GIDMaps)}
	if o.WhiteoutFormat == archive.OverlayWhiteoutFormat {
		m.opaque = archive.GetOverlayXattrName("opaque")
	}
	return m
}

// mapOwner puts the owner on disk in place of that in the archive.
func (m *manner) mapOwner(hdr *tar.Header) error {
	if m.ids.Empty() {
		return nil
	}
	owner, err := m.ids.ToHost(idtools.IDPair{UID: hdr.Uid, GID: hdr.Gid})
	hdr.Uid, hdr.Gid = owner.UID, owner.GID
	return err
}

// kind is what becomes of an entry.
func (m *manner) kind(hdr *tar.Header) byte {
	switch hdr.Typeflag {
	case tar.TypeDir, tar.TypeSymlink, tar.TypeLink:
		return hdr.Typeflag
	}
	if m.mask != nil {
		return tar.TypeReg
	}
	return hdr.Typeflag
}

// leftOut tells that nothing becomes of an entry.
func (m *manner) leftOut(hdr *tar.Header) bool {
	switch m.kind(hdr) {
	case tar.TypeXGlobalHeader:
		return true
	case tar.TypeChar, tar.TypeBlock:
		return m.userNS
	}
	return false
}

// chown gives an entry to its owner.
func (m *manner) chown(hdr *tar.Header, chown func(uid, gid int) error) error {
	if m.mask != nil {
		return nil
	}
	if err := chown(hdr.Uid, hdr.Gid); err != nil && !m.keepOwner {
		return err
	}
	return nil
}

// mode returns the permission, setuid, setgid and sticky bits.
func (m *manner) mode(hdr *tar.Header) uint32 {
	if m.mask != nil {
		return uint32(m.mask.Perm())
	}
	return uint32(hdr.Mode & 0o7777)
}

// xattrs calls set for each extended attribute of an entry.
func (m *manner) xattrs(hdr *tar.Header, set func(name string, value []byte) error) error {
	for key, value := range hdr.PAXRecords {
		name, ok := strings.CutPrefix(key, archive.PaxSchilyXattr)
		if !ok || name == xattrIgnored {
			continue
		}
		err := set(name, []byte(value))
		if errors.Is(err, unix.ENOTSUP) || m.userNS && errors.Is(err, unix.EPERM) {
			continue // the library warns, which nobody sees
		}
		if err != nil {
			return &os.PathError{Op: "setxattr " + name, Path: hdr.Name, Err: err}
		}
	}
	if kind := m.kind(hdr); m.mask == nil || kind != tar.TypeReg && kind != tar.TypeDir {
		return nil
	}
	meant := idtools.FormatContainersOverrideXattrDevice(hdr.Uid, hdr.Gid, hdr.FileInfo().Mode(), int(hdr.Devmajor), int(hdr.Devminor))
	if err := set(idtools.ContainersOverrideXattr, []byte(meant)); err != nil {
		return fmt.Errorf("noting the owner and mode: %w", err)
	}
	return nil
}

// own gives the tree to root before anything is in it.
func (m *manner) own(root int) error {
	if m.ids.Empty() {
		return nil
	}
	owner := m.ids.RootPair()
	return unix.Fchown(root, owner.UID, owner.GID)
}

// noteRoot keeps what was meant for the root; hdr is nil where no entry is.
func (m *manner) noteRoot(root int, hdr *tar.Header) error {
	if m.mask == nil {
		return nil
	}
	uid, gid, mode := 0, 0, fs.ModeDir|0o755
	if hdr != nil {
		uid, gid, mode = hdr.Uid, hdr.Gid, fs.ModeDir|fs.FileMode(hdr.Mode)
	}
	meant := idtools.FormatContainersOverrideXattrDevice(uid, gid, mode, 0, 0)
	return unix.Fsetxattr(root, idtools.ContainersOverrideXattr, []byte(meant), 0)
}

// rootMode returns the mode of the root where the layer decides it, nil where
// the layer below does.
func (m *manner) rootMode(hdr *tar.Header) *fs.FileMode {
	if m.mask != nil || hdr == nil {
		return m.mask
	}
	mode := hdr.FileInfo().Mode()
	return &mode
}
