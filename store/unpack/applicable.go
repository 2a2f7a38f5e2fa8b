package unpack

import (
	"fmt"
	"os"
	"strings"

	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/unshare"
)

// Applicable says why Fetch cannot be used on this store for these layers, or
// "" when it can. It looks at facts only and fetches nothing; Fetch may still
// refuse a layer because of what is in it.
func Applicable(store storage.Store, layers []Layer) string {
	if reason := storeReason(store); reason != "" {
		return reason
	}
	for i, l := range layers {
		if reason := layerReason(l); reason != "" {
			return fmt.Sprintf("layer %d: %s", i+1, reason)
		}
	}
	return ""
}

func storeReason(store storage.Store) string {
	switch {
	case store.GraphDriverName() != "overlay":
		return fmt.Sprintf("storage driver is %q, not overlay", store.GraphDriverName())
	case os.Geteuid() != 0 || unshare.IsRootless():
		return "not running as root of the initial user namespace"
	case len(store.UIDMap()) > 0 || len(store.GIDMap()) > 0:
		return "the store maps user or group IDs"
	}
	for _, option := range store.GraphOptions() {
		if reason := optionReason(option); reason != "" {
			return reason
		}
	}
	driver, err := store.GraphDriver()
	if err != nil {
		return fmt.Sprintf("storage driver: %v", err)
	}
	if _, ok := driver.(graphdriver.DriverWithDiffer); !ok {
		return "storage driver cannot stage layers"
	}
	return ""
}

// optionReason looks at one storage option, "overlay.NAME=VALUE". The driver
// takes the part after the last dot and ignores case, so does this.
func optionReason(option string) string {
	key, value, _ := strings.Cut(option, "=")
	name := strings.ToLower(key[strings.LastIndexByte(key, '.')+1:])
	switch name {
	case "mount_program", "force_mask":
		if value != "" {
			return "storage option " + name + " is set"
		}
	case "ignore_chown_errors", "use_composefs":
		// strconv.ParseBool spells false in these ways.
		switch strings.ToLower(value) {
		case "", "0", "f", "false":
		default:
			return "storage option " + name + " is set"
		}
	}
	return ""
}

func layerReason(l Layer) string {
	if err := l.Digest.Validate(); err != nil || l.Digest.Algorithm() != "sha256" {
		return fmt.Sprintf("blob digest %q is not a SHA-256", l.Digest)
	}
	if err := l.DiffID.Validate(); err != nil || l.DiffID.Algorithm() != "sha256" {
		return fmt.Sprintf("DiffID %q is not a SHA-256", l.DiffID)
	}
	switch l.MediaType {
	case "application/vnd.oci.image.layer.v1.tar",
		"application/vnd.oci.image.layer.v1.tar+gzip",
		"application/vnd.oci.image.layer.v1.tar+zstd",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.docker.image.rootfs.diff.tar.zstd":
		return ""
	}
	return fmt.Sprintf("media type %q", l.MediaType)
}
