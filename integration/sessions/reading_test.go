package sessions

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
)

// readers are the commands that only read; IMAGE stands for one that is here.
func readers() [][]string {
	return [][]string{
		{"images"}, {"images", "-a", "--format", "json"}, {"images", "--tree"}, {"images", "--dangling"}, {"image", "inspect", "IMAGE"}, {"inspect", "IMAGE"},
		{"why", "IMAGE"}, {"check", "IMAGE"}, {"df"}, {"info"}, {"info", "--host"}, {"doctor"}, {"prune", "--dry-run"}, {"version"},
		{"platforms", "IMAGE"}, {"manifest", "inspect", "IMAGE"}, {"inspect", "docker://IMAGE"}, {"pull", "--dry-run", "IMAGE"}, {"outdated"},
	}
}

// TestReadingCreatesNothing walks all of them over stores of each kind: what
// lies in the user's home, with TMPDIR and run roots, is the same afterwards.
func TestReadingCreatesNothing(t *testing.T) {
	s := newSession(t)
	const root = ".local/share/containers/storage"
	pull := func(driver string) { s.mpull("--storage-driver", driver, "pull", "-q", s.image) }
	few := testenv.Short(t)
	for k, kind := range []struct {
		name string
		make func()
	}{
		{"no store", func() {}},
		{"empty directory", func() {
			for _, dir := range []string{".local", ".local/share", ".local/share/containers", root} {
				s.mkdir(dir)
			}
		}},
		{"vfs", func() { pull("vfs") }},
		{"overlay", func() { pull("overlay") }},
		{"overlay after a reboot", func() {
			pull("overlay")
			s.remove(fmt.Sprintf("tmp/storage-run-%d", s.uid))
		}},
		{"overlay without locks", func() {
			pull("overlay")
			s.remove(root + "/userns.lock")
			s.remove(root + "/overlay-containers")
		}},
		{"another driver", func() {
			for _, dir := range []string{".local", ".local/share", ".local/share/containers", root, root + "/zfs-images", root + "/zfs-layers"} {
				s.mkdir(dir)
			}
		}},
		{"read-only", func() {
			pull("vfs")
			if err := os.Chmod(filepath.Join(s.home, root), 0o500); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			s.t = t
			s.clear()
			kind.make()
			for r, args := range readers() {
				if few && (r+k)%3 > 0 {
					continue // each reads some of the stores
				}
				before := tree(t, s.home)
				args = slices.Clone(args)
				for i, a := range args {
					args[i] = map[string]string{"IMAGE": s.image, "docker://IMAGE": "docker://" + s.image}[a]
					if args[i] == "" {
						args[i] = a
					}
				}
				out, _ := s.try(args...)
				compare(t, fmt.Sprintf("mpull %q", args), before, tree(t, s.home), out)
			}
		})
	}
}

func (s *session) remove(name string) {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.home, name)); err != nil {
		s.t.Fatal(err)
	}
}

// tree describes everything below a directory, and the users' runtime directories.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		all[path] = fmt.Sprintf("%v %d:%d", info.Mode(), st.Uid, st.Gid)
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all[path] += fmt.Sprintf(" %x", sha256.Sum256(data))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	users, err := filepath.Glob("/run/user/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		all[u] = "there"
	}
	return all
}

func compare(t *testing.T, what string, before, after map[string]string, out string) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(after)) {
		if before[path] != after[path] {
			t.Errorf("%s: %s was %q, is %q\n%s", what, path, before[path], after[path], out)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if after[path] == "" {
			t.Errorf("%s: %s is gone\n%s", what, path, out)
		}
	}
}
