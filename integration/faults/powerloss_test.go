package faults

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// TestPowerLoss keeps a store on ext4 in an image file and copies that file at
// moments of a pull and after it, without a word to the file system: a copy
// holds what had reached the disk. Mounted, which replays the journal, each is
// judged. Either way the store opens, the tag is the old or the new image, and
// doctor and a pull heal what was damaged; with overlay.sync=filesystem nothing
// is.
func TestPowerLoss(t *testing.T) {
	testbed.NeedRoot(t)
	if unshare.IsRootless() {
		t.Skip("loop devices need root outside of a user namespace")
	}
	testenv.Need(t, "mkfs.ext4", "mount")
	for _, sync := range []string{"none", "filesystem"} {
		t.Run("sync="+sync, func(t *testing.T) {
			x := &powerLoss{t: t, option: "--storage-opt=overlay.sync=" + sync}
			instants := figure(t, 2, 6, 50)
			damaged, lost := 0, 0
			for n := range instants {
				layers, names := x.round(n, instants)
				damaged, lost = damaged+layers, lost+names
			}
			t.Logf("sync=%s: %d power losses: %d stores with a damaged layer, %d tags lost, all healed", sync, instants, damaged, lost)
			if lost > 0 || sync == "filesystem" && damaged > 0 {
				t.Errorf("%d damaged, %d lost", damaged, lost)
			}
		})
	}
}

type powerLoss struct {
	t      *testing.T
	option string
}

// disk mounts the ext4 image file of that name on the bed's store.
func (x *powerLoss) disk(b *testbed.Bed, file string) {
	x.t.Helper()
	if err := os.MkdirAll(b.Root, 0o700); err != nil {
		x.t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop,commit=300", file, b.Root).CombinedOutput(); err != nil {
		testenv.Missing(x.t, fmt.Sprintf("no loop device: %v: %s", err, out))
	}
}

// round loses power once, and returns whether a layer's content was damaged
// and whether the tag was lost.
func (x *powerLoss) round(n, of int) (damaged, lost int) {
	t := x.t
	b, reg := newBed(t), newRegistry(t)
	file, snapshot := filepath.Join(b.Dir, "disk"), filepath.Join(b.Dir, "snapshot")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 96<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	x.disk(b, file)
	name := reg.Host + "/app:1"
	spec := testimage.Spec{Layers: 4, Files: 10, FileSize: 16 << 10}
	old := push(t, reg, "app:1", spec)
	took := b.Must(x.option, "pull", "--quiet", "--tls-verify=false", name).Took
	syncDisk(t, b.Root)
	spec.Seed = uint64(n + 1)
	next := push(t, reg, "app:1", spec)
	p := b.Start(x.option, "pull", "--quiet", "--tls-verify=false", name)
	select {
	case <-p.Ended():
	case <-time.After(took * time.Duration(n+1) / time.Duration(of-1)):
	}
	// The last instant comes after the pull: what it said is done must hold.
	if n == of-1 {
		p.Wait()
	}
	// A disk loses power at one instant: nothing may be written meanwhile.
	_ = unix.Kill(-p.Pid(), unix.SIGSTOP) // it may have ended
	copyFile(t, file, snapshot)
	for tries := 0; !sameFile(t, file, snapshot); tries++ {
		if tries == 10 {
			t.Fatal("the disk does not come to rest")
		}
		copyFile(t, file, snapshot)
	}
	_ = unix.Kill(-p.Pid(), unix.SIGCONT)
	if r := p.Wait(); r.Code != 0 {
		t.Fatal(r)
	}
	b.Unmount()
	x.disk(b, snapshot)
	v := b.Judge()
	for _, f := range v.Faults {
		damaged = 1
		if !strings.HasPrefix(f, "layer ") && !strings.HasPrefix(f, "image ") {
			t.Errorf("broken promise: %s", f)
		}
	}
	if v.Names[name] != old && v.Names[name] != next {
		lost = 1
	}
	b.Mpull("doctor", "--repair", "--force")
	b.Must("pull", "--quiet", "--tls-verify=false", name)
	if v := sound(t, b, false); v.Names[name] != next {
		t.Errorf("after doctor and a pull the tag is %q", v.Names[name])
	}
	b.Unmount()
	return damaged, lost
}

func syncDisk(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
}

// copyFile copies the data of a sparse file.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	var sums [2]digest.Digest
	for i, path := range []string{a, b} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if sums[i], err = digest.Canonical.FromReader(f); err != nil {
			t.Fatal(err)
		}
	}
	return sums[0] == sums[1]
}
