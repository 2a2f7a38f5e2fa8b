package preflight

import (
	"context"
	"io/fs"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/host"
)

func TestParseOverride(t *testing.T) {
	onDisk := FileInfo{Type: 0, Perm: 0o755, UID: 1, GID: 2, Size: 7}
	for value, want := range map[string]FileInfo{
		"0:0:0644":              {Perm: 0o644, Size: 7},
		"1000:5:4755:file":      {Perm: 0o4755, UID: 1000, GID: 5, Size: 7},
		"0:0:1777:dir":          {Type: fs.ModeDir, Perm: 0o1777, Size: 7},
		"0:0:0100755":           {Perm: 0o755, Size: 7},
		"0:0:0600:block-8-1":    {Type: fs.ModeDevice, Perm: 0o600, Size: 7},
		"0:0:0600:char-1-3":     {Type: fs.ModeDevice | fs.ModeCharDevice, Perm: 0o600, Size: 7},
		"4294967295:0:0:socket": {Type: fs.ModeSocket, UID: 1<<32 - 1, Size: 7},
	} {
		if got, err := parseOverride(value, onDisk); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", value, got, err, want)
		}
	}
	for _, value := range []string{"", "0:0", "0:0:0888", "-1:0:0644", "0:0:0644:door", "0:0:0644:file:x", "4294967296:0:0"} {
		if got, err := parseOverride(value, onDisk); err == nil {
			t.Errorf("%q is read as %+v", value, got)
		}
	}
}

// TestOverride has files whose modes on disk say the opposite of what they
// stand for.
func TestOverride(t *testing.T) {
	machine := host.Facts{Platform: lin("amd64", "")}
	tr := tree{Root: t.TempDir()}
	if err := unix.Setxattr(tr.Root, overrideXattr, []byte("0:0:0755"), 0); err != nil {
		t.Skip("user attributes are not possible here: ", err)
	}
	set := func(name string, disk os.FileMode, value string) {
		t.Helper()
		tr.ELF(name, elfSpec{})
		must(os.Chmod(tr.At(name), disk))
		if value != "" {
			must(unix.Setxattr(tr.At(name), overrideXattr, []byte(value), 0))
		}
	}
	set("closed", 0o755, "0:0:0644")
	set("open", 0o600, "0:0:0755")
	set("owner", 0o755, "1000:0:0700")
	set("device", 0o755, "0:0:0755:char-1-3")
	set("plain", 0o755, "")
	set("broken", 0o755, "what")
	root, err := OpenLayers([]string{tr.Root})
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, tt := range []struct {
		name, user string
		want       Verdict
	}{
		{"closed", "", PermissionDenied},
		{"open", "1000", Native},
		{"owner", "1000", Native},
		{"owner", "1001", PermissionDenied},
		{"device", "", PermissionDenied},
		{"plain", "", Native},
		{"broken", "", Unknown},
	} {
		c := Command{Args: []string{"/" + tt.name}, User: tt.user}
		if r := Check(context.Background(), root, c, machine); r.Verdict != tt.want {
			t.Errorf("%s as %q: %s %s, want %s", tt.name, tt.user, r.Verdict, r.Reason, tt.want)
		}
	}
}
