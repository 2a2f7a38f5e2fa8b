package store

import (
	"strings"

	"github.com/opencontainers/go-digest"
)

// KnownByLists tells whether an image has the ID by which the image library
// knows one with that config some of whose layers it knows by the lists of their
// files, not by their contents: where storage.conf allows that
// (insecure_allow_unpredictable_image_contents), it has not seen them whole.
// chain are its layers, bottom first (computeID in storage_dest.go of
// containers/image).
func (i *Image) KnownByLists(config digest.Digest, chain []*Layer) bool {
	var id strings.Builder
	id.WriteString("@With TOC:" + config.Encoded() + "|")
	some := false
	for _, l := range chain {
		if l.UncompressedDigest == "" && l.TOCDigest != "" {
			some = true
			id.WriteString(l.TOCDigest.String())
		}
		id.WriteString("|")
	}
	return some && digest.FromString(id.String()).Encoded() == i.ID
}

// TrustsLists tells whether storage.conf allows images that are known so.
func (s *Store) TrustsLists() bool {
	return strings.EqualFold(s.PartialPulls()["insecure_allow_unpredictable_image_contents"], "true")
}
