package preflight

import (
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"
)

// linkRoot is a root with one link, /d/l, to a file /f.
type linkRoot struct{ dir, link FileInfo }

func (r linkRoot) Lstat(name string) (FileInfo, error) {
	switch name {
	case "/":
		return FileInfo{Type: fs.ModeDir, Perm: 0o755}, nil
	case "/d":
		return r.dir, nil
	case "/d/l":
		return r.link, nil
	case "/f":
		return FileInfo{Perm: 0o755}, nil
	}
	return FileInfo{}, fs.ErrNotExist
}

func (linkRoot) Readlink(string) (string, error) { return "/f", nil }

func (linkRoot) Open(string) (File, error) { return nil, fs.ErrInvalid }

// TestProtectedLinks is the table of may_follow_link of fs/namei.c.
func TestProtectedLinks(t *testing.T) {
	const me, other, owner = 1000, 1001, 1002
	for _, tt := range []struct {
		name            string
		protected       bool
		perm, dir, link uint32 // of the directory; who owns it, and the link
		want            unix.Errno
	}{
		{"another's link", true, 0o1777, owner, other, unix.EACCES},
		{"not protected", false, 0o1777, owner, other, 0},
		{"one's own link", true, 0o1777, owner, me, 0},
		{"the link of the directory's owner", true, 0o1777, owner, owner, 0},
		{"not sticky", true, 0o777, owner, other, 0},
		{"not for all to write", true, 0o1775, owner, other, 0},
	} {
		root := linkRoot{FileInfo{Type: fs.ModeDir, Perm: tt.perm, UID: tt.dir}, FileInfo{Type: fs.ModeSymlink, Perm: 0o777, UID: tt.link}}
		w := &walker{root: root, cred: cred{uid: me, gid: me}, protectedSymlink: tt.protected}
		n, f := w.walk("/", "/d/l")
		if tt.want == 0 && (f != nil || n.path != "/f") || tt.want != 0 && (f == nil || f.errno != tt.want) {
			t.Errorf("%s: %+v, %v", tt.name, n, f)
		}
	}
}
