package registry

import (
	"go.podman.io/image/v5/directory"
	ociarchive "go.podman.io/image/v5/oci/archive"
	"go.podman.io/image/v5/oci/layout"
)

// ReadsAtOnce tells whether several blobs may be read at the same time. The
// library leaves that open for directories, of which each blob is a file that
// GetBlob opens and does nothing else with.
func (i *Image) ReadsAtOnce() bool {
	switch i.Ref.Transport().Name() {
	case layout.Transport.Name(), ociarchive.Transport.Name(), directory.Transport.Name():
		return true
	}
	return i.Source().HasThreadSafeGetBlob()
}
