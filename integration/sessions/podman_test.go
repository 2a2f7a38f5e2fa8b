package sessions

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
)

// TestDefaultsOfPodman: in each environment an ordinary user's store, run root
// and driver are those that podman has, when it has been there first.
func TestDefaultsOfPodman(t *testing.T) {
	testenv.Need(t, "podman", "unshare", "mount")
	s := newSession(t)
	const roots = "runroot=\"/run/containers/storage\"\ngraphroot=\"/var/lib/containers/storage\"\n"
	for _, tt := range []struct {
		name    string
		machine string // /etc/containers/storage.conf
		own     string // the user's
		named   string // the one that CONTAINERS_STORAGE_CONF names
		env     []string
	}{
		{name: "nothing"},
		{name: "XDG_RUNTIME_DIR", env: []string{"XDG_RUNTIME_DIR=HOME/run"}},
		{name: "XDG_RUNTIME_DIR names none", env: []string{"XDG_RUNTIME_DIR=/run/user/none"}},
		{name: "XDG_DATA_HOME", env: []string{"XDG_DATA_HOME=HOME/run"}},
		{name: "STORAGE_DRIVER vfs", env: []string{"STORAGE_DRIVER=vfs"}},
		{name: "STORAGE_DRIVER overlay", env: []string{"STORAGE_DRIVER=overlay"}},
		{name: "as Fedora", machine: "[storage]\ndriver=\"overlay\"\n" + roots + "[storage.options]\nadditionalimagestores=[]\n[storage.options.overlay]\nmountopt=\"nodev,metacopy=on\"\n"},
		{name: "as Fedora, vfs", machine: "[storage]\ndriver=\"vfs\"\n" + roots},
		{name: "as Fedora, no driver", machine: "[storage]\ndriver=\"\"\n" + roots + "[storage.options.overlay]\nmountopt=\"nodev\"\n"},
		{name: "rootless_storage_path", machine: "[storage]\ndriver=\"overlay\"\n" + roots + "rootless_storage_path=\"$HOME/tmp/rsp-$UID\"\n"},
		{name: "the user's own file", machine: "[storage]\ndriver=\"overlay\"\n" + roots, own: "[storage]\ndriver=\"vfs\"\ngraphroot=\"HOME/tmp/gr\"\nrunroot=\"HOME/tmp/rr\"\n"},
		{name: "a named file without roots", machine: "[storage]\ndriver=\"overlay\"\n" + roots, named: "[storage]\ndriver=\"overlay\"\n"},
		{name: "a named file as Fedora's", named: "[storage]\ndriver=\"overlay\"\n" + roots},
		{name: "roots in a named file", machine: "[storage]\ndriver=\"overlay\"\n" + roots, named: "[storage]\ndriver=\"overlay\"\ngraphroot=\"HOME/tmp/gr\"\nrunroot=\"HOME/tmp/rr\"\n"},
		{name: "variables in a named file", named: "[storage]\ndriver=\"overlay\"\ngraphroot=\"$HOME/tmp/gr-$UID-$USER-$OTHER\"\nrunroot=\"$HOME/tmp/rr-$UID-$USER-$OTHER\"\n", env: []string{"USER=me", "OTHER=you"}},
		{name: "rootless_storage_path in a named file", named: "[storage]\ndriver=\"overlay\"\n" + roots + "rootless_storage_path=\"$HOME/tmp/rsp-$UID-$USER-$OTHER\"\n", env: []string{"USER=me", "OTHER=you"}},
		{name: "only rootless_storage_path in a named file", named: "[storage]\ndriver=\"overlay\"\nrootless_storage_path=\"$HOME/tmp/rsp-$UID\"\n"},
		{name: "both in a named file", named: "[storage]\ndriver=\"overlay\"\ngraphroot=\"HOME/tmp/gr\"\nrunroot=\"HOME/tmp/rr\"\nrootless_storage_path=\"$HOME/tmp/rsp-$UID\"\n"},
		{name: "rootless_storage_path in the user's own file", own: "[storage]\ndriver=\"overlay\"\nrootless_storage_path=\"$HOME/tmp/rsp-$UID\"\n"},
		{name: "both in the user's own file", own: "[storage]\ndriver=\"overlay\"\ngraphroot=\"HOME/tmp/gr\"\nrootless_storage_path=\"$HOME/tmp/rsp-$UID\"\n"},
		{name: "variables in the machine's file", machine: "[storage]\ndriver=\"overlay\"\ngraphroot=\"$HOME/tmp/gr-$UID-$USER\"\nrunroot=\"$HOME/tmp/rr-$UID\"\nrootless_storage_path=\"$HOME/tmp/rsp-$USER-$UID\"\n", env: []string{"USER=me"}},
		{name: "a named file beside the user's own", named: "[storage]\ndriver=\"overlay\"\nrootless_storage_path=\"$HOME/tmp/rsp\"\n", own: "[storage]\ndriver=\"vfs\"\ngraphroot=\"HOME/tmp/gr\"\n"},
		{name: "variables in the machine's file alone", machine: "[storage]\ndriver=\"overlay\"\ngraphroot=\"$HOME/tmp/gr-$UID-$USER\"\nrunroot=\"$HOME/tmp/rr-$UID\"\n", env: []string{"USER=me"}},
		{name: "an empty named file", machine: "[storage]\ndriver=\"overlay\"\n" + roots, named: "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			s.clear()
			here := strings.NewReplacer("$HOME", "$HOME", "HOME", s.home)
			conf := s.write("etc/storage.conf", tt.machine, 0o644)
			if tt.own != "" {
				s.write(".config/containers/storage.conf", here.Replace(tt.own), 0o644)
				if err := os.Chown(filepath.Join(s.home, ".config"), s.uid, s.uid); err != nil {
					t.Fatal(err)
				}
				if err := os.Chown(filepath.Join(s.home, ".config/containers"), s.uid, s.uid); err != nil {
					t.Fatal(err)
				}
			}
			if tt.named != "" {
				tt.env = append(tt.env, "CONTAINERS_STORAGE_CONF="+s.write("named.conf", here.Replace(tt.named), 0o644))
			}
			ask := func(program string, args ...string) string {
				t.Helper()
				script := `mount --bind "$1" /etc/containers && uid=$2 && shift 2 && exec setpriv --reuid "$uid" --regid "$uid" --clear-groups -- "$@"`
				cmd := exec.Command("unshare", append([]string{"-m", "sh", "-c", script, "sh", filepath.Dir(conf), fmt.Sprint(s.uid), program}, args...)...)
				var said strings.Builder
				cmd.Dir, cmd.Stderr = s.home, &said
				cmd.Env = s.env
				for _, v := range tt.env {
					cmd.Env = append(cmd.Env, here.Replace(v))
				}
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s: %v: %s", program, err, said.String())
				}
				return string(out)
			}
			podman := ask("podman", "--log-level", "fatal", "info", "--format", "{{.Store.GraphRoot}} {{.Store.RunRoot}} {{.Store.GraphDriverName}}")
			ask("podman", "--log-level", "fatal", "system", "migrate") // ends the process that holds its namespace
			if got := ask(s.binary, "info", "--format", "{{.Store.Root}} {{.Store.RunRoot}} {{.Store.Driver}}"); got != podman {
				t.Errorf("mpull %spodman %s", got, podman)
			}
			if out := ask(s.binary, "images", "-q"); out != "" { // opens it
				t.Errorf("images: %s", out)
			}
		})
	}
}

// TestFirstStoreIsPodmans pulls before podman has been there, with no driver
// named: podman has the image, since the store is the one that it would have made.
func TestFirstStoreIsPodmans(t *testing.T) {
	testenv.Need(t, "podman")
	s := newSession(t)
	s.mpull("pull", "-q", s.image)
	podman := func(args ...string) string {
		cmd := s.command(append([]string{"podman", "--log-level", "fatal"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("podman %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	defer podman("system", "migrate") // ends the process that holds its namespace
	if out := podman("images", "--format", "{{.Repository}}:{{.Tag}}"); strings.TrimSpace(out) != s.image {
		t.Errorf("podman has %q, not %s; mpull's driver is %s", out, s.image, s.mpull("info", "--format", "{{.Store.Driver}}"))
	}
}
