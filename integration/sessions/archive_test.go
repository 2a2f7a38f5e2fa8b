package sessions

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestOwnArchive has an ordinary user look into an archive that save made: its
// entries belong to root, whom only a user namespace has here.
func TestOwnArchive(t *testing.T) {
	s := newSession(t)
	s.mpull("pull", "-q", s.image)
	archive := "oci-archive:" + filepath.Join(s.home, "tmp", "app.tar")
	s.mpull("save", "-q", "-o", strings.TrimPrefix(archive, "oci-archive:"), s.image)
	for _, command := range []string{"inspect", "manifest inspect", "match", "platforms", "tags"} {
		if out := s.mpull(append(strings.Fields(command), archive)...); strings.TrimSpace(out) == "" {
			t.Errorf("%s says nothing of it", command)
		}
	}
}
