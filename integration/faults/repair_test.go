package faults

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// TestRepairRemovesOnlyWhatIsProven runs doctor where this machine fails, and
// on stores with paths that a mount does not take: nothing of that is damage.
func TestRepairRemovesOnlyWhatIsProven(t *testing.T) {
	testenv.Need(t, "strace")
	reg := newRegistry(t)
	id := push(t, reg, "app:1", testimage.Spec{Layers: 2, Seed: 1})
	for _, c := range []struct {
		name, folder string
		inject       string
		code         int
	}{
		{name: "a colon", folder: "a:b"}, {name: "a comma", folder: "a,b"}, {name: "a backslash", folder: `a\b`}, {name: "a blank", folder: "a b"},
		{name: "mount without memory", inject: "mount,mount_setattr,fsopen,fsconfig,fsmount,move_mount:error=ENOMEM"},
		{name: "mount not permitted", inject: "mount,mount_setattr,fsopen,fsconfig,fsmount,move_mount:error=EPERM"},
		{name: "files that do not open", inject: "openat2:error=EMFILE", code: 125},
		{name: "a disk that does not answer", inject: "openat2:error=EIO", code: 125},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/app:1")
			if c.folder != "" { // what is not read through a name that is in a list can be moved
				moved := filepath.Join(b.Dir, c.folder)
				if err := os.Rename(b.Root, moved); err != nil {
					t.Fatal(err)
				}
				b.Root = moved
			}
			before := contents(t, b.Root)
			cmd := b.Command("doctor", "--repair", "--force")
			if c.inject != "" {
				cmd.Args = slices.Concat([]string{"strace", "-f", "--seccomp-bpf", "-qq", "-o", filepath.Join(b.Dir, "log"), "-e", "inject=" + c.inject}, cmd.Args)
				cmd.Path = lookPath(t, "strace")
			}
			r := b.StartCommand(cmd).Wait()
			if r.Code != c.code || strings.Contains(r.Stdout, "damaged") || strings.Contains(r.Stdout, "removed") {
				t.Errorf("%s", r)
			}
			if diff := difference(before, contents(t, b.Root)); diff != "" {
				t.Errorf("changed: %s", diff)
			}
			if list := b.Must("images", "--no-trunc"); !strings.Contains(list.Stdout, id) {
				t.Errorf("the image is gone: %s", list)
			}
		})
	}
}

// TestRepairSparesWhatIsInUse damages an image with a container, and one that
// is mounted: they are named and stay.
func TestRepairSparesWhatIsInUse(t *testing.T) {
	testenv.Need(t, "podman", "buildah")
	reg := newRegistry(t)
	id := push(t, reg, "app:1", testimage.Spec{Layers: 2, Seed: 1})
	for _, use := range [][]string{{"buildah", "from", "--pull-never", id}, {"podman", "image", "mount", id}} {
		b := newBed(t)
		b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/app:1")
		if r := b.Tool(use[0], use[1:]...); r.Code != 0 {
			t.Fatal(r)
		}
		if err := garbage(filepath.Join(b.Root, "overlay", topLayer(t, b, id), "diff/data1/file0")); err != nil {
			t.Fatal(err)
		}
		if r := b.Mpull("doctor", "--repair", "--force"); r.Code == 0 || !strings.Contains(r.Stdout, "damaged image "+id) || strings.Contains(r.Stdout, "removed") {
			t.Errorf("%v: %s", use, r)
		}
		if list := b.Must("images", "--no-trunc"); !strings.Contains(list.Stdout, id) {
			t.Errorf("%v: the image is gone: %s", use, list)
		}
	}
}

func lookPath(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestStrangers puts something into a layer of the store: doctor finds it, repair
// removes the image, and the next pull brings it back whole.
func TestStrangers(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"file": func(path string) error { return os.WriteFile(path, []byte("x"), 0o755) },
		"link": func(path string) error { return os.Symlink("/bin/sh", path) },
	} {
		t.Run(name, func(t *testing.T) {
			b, reg := newBed(t), newRegistry(t)
			id := push(t, reg, "app:1", testimage.Spec{Layers: 2, Seed: 1})
			b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/app:1")
			b.Must("doctor")
			dirs, err := filepath.Glob(filepath.Join(b.Root, "overlay/*/diff"))
			if err != nil || len(dirs) == 0 {
				t.Fatal(dirs, err)
			}
			if err := put(filepath.Join(dirs[0], "stranger")); err != nil {
				t.Fatal(err)
			}
			if r := b.Mpull("doctor"); r.Code != 1 || !strings.Contains(r.Stdout, "/stranger") || !strings.Contains(r.Stdout, id) {
				t.Errorf("doctor: %s", r)
			}
			b.Must("doctor", "--repair", "--force")
			b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/app:1")
			b.Must("doctor")
		})
	}
}
