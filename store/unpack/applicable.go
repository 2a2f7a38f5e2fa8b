package unpack

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
)

// Applicable says why Fetch cannot be used on this store for these layers, or
// "" when it can. It looks at facts only and fetches nothing; Fetch may still
// refuse a layer because of what is in it.
func Applicable(store storage.Store, layers []Layer, opts Options) string {
	if reason := storeReason(store, opts); reason != "" {
		return reason
	}
	for i, l := range layers {
		if reason := layerReason(l); reason != "" {
			return fmt.Sprintf("layer %d: %s", i+1, reason)
		}
	}
	return ""
}

func storeReason(store storage.Store, opts Options) string {
	if os.Geteuid() != 0 {
		return "running neither as root nor in a user namespace"
	}
	driver, err := store.GraphDriver()
	if err != nil {
		return fmt.Sprintf("storage driver: %v", err)
	}
	if opts.Library == nil && !stages(store) {
		return fmt.Sprintf("storage driver %q cannot stage layers", driver.String())
	}
	return ""
}

// stages tells whether the driver takes layers that were unpacked beside it. It
// does not with composefs, where it wants them by what their files hold.
func stages(store storage.Store) bool {
	driver, err := store.GraphDriver()
	if err != nil {
		return false
	}
	for _, option := range store.GraphOptions() {
		key, value, _ := strings.Cut(option, "=")
		if on, err := strconv.ParseBool(value); err == nil && on && strings.HasSuffix(strings.ToLower(key), "use_composefs") {
			return false
		}
	}
	_, ok := driver.(graphdriver.DriverWithDiffer)
	return ok
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
