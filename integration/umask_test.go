package integration

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// graphRoot is where the machine's own store is.
func (m *machine) graphRoot() string {
	if os.Geteuid() == 0 {
		return filepath.Join(m.dir, "store", "root")
	}
	return filepath.Join(m.dir, "store", "containers", "storage")
}

// TestSameStoreUnderAnyUmask pulls, loads and tags under three umasks: the three
// stores have the same files, with the same modes, owners and contents. What the
// user gets as a file keeps to the umask.
func TestSameStoreUnderAnyUmask(t *testing.T) {
	for _, driver := range drivers(t) {
		t.Run(driver, func(t *testing.T) {
			var first []string
			for _, mask := range []string{"022", "000", "077"} {
				m, registry := newMachine(t, driver)
				img, err := testimage.Image(testimage.Spec{Platform: "linux/" + runtime.GOARCH, Seed: 700, Layers: 2, OCI: true, Extra: []testimage.File{
					{Name: "implied/by/a-file", Type: tar.TypeReg, Mode: 0o644, Data: []byte("x")},
				}})
				if err != nil {
					t.Fatal(err)
				}
				if err := registry.PushImage("umask:1", img); err != nil {
					t.Fatal(err)
				}
				name := registry.Host + "/umask:1"
				archive := filepath.Join(m.dir, "a.tar")
				for _, args := range [][]string{{"pull", "-q", name}, {"save", "-q", "-o", archive, name}, {"rmi", name}, {"load", "-q", "-i", archive}, {"tag", name, "localhost/other:1"}} {
					m.under(mask, args...)
				}
				info, err := os.Stat(archive)
				if want := map[string]fs.FileMode{"022": 0o644, "000": 0o666, "077": 0o600}[mask]; err != nil || info.Mode() != want {
					t.Errorf("umask %s: the archive has %v, want %v, %v", mask, info.Mode(), want, err)
				}
				got := storeLines(t, m.graphRoot(), registry.Host)
				if first == nil {
					first = got
					if !slices.ContainsFunc(got, func(l string) bool { return strings.Contains(l, "implied/by drwxr-xr-x") }) {
						t.Errorf("the folder without an entry is not there with 0755:\n%s", strings.Join(got, "\n"))
					}
					continue
				}
				for _, line := range got {
					if !slices.Contains(first, line) {
						t.Errorf("umask %s: %s", mask, line)
					}
				}
				for _, line := range first {
					if !slices.Contains(got, line) {
						t.Errorf("umask %s lacks: %s", mask, line)
					}
				}
			}
		})
	}
}

// under runs mpull with a umask.
func (m *machine) under(mask string, args ...string) {
	m.t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", "umask " + mask + `; exec "$0" "$@"`, testenv.Binary()}, args...)...)
	cmd.Env, cmd.Dir = m.env, m.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("umask %s: %v: %v: %s", mask, args, err, out)
	}
}

// storeLines describes all files of a store, without what is another in each:
// times, and the random names of overlay's short links.
func storeLines(t *testing.T, root, host string) []string {
	t.Helper()
	random := regexp.MustCompile(`\b[A-Z0-9]{26}\b`)
	moment := regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)`)
	address := regexp.MustCompile(regexp.QuoteMeta(host))
	plain := func(s string) string {
		return address.ReplaceAllString(moment.ReplaceAllString(random.ReplaceAllString(s, "LINK"), "TIME"), "HOST")
	}
	var lines []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %v %d:%d", plain(name), info.Mode(), st.Uid, st.Gid)
		if info.Mode().IsRegular() && !strings.HasSuffix(path, ".lock") {
			data, err := os.ReadFile(path)
			if err != nil {
				line += " unreadable" // of another user of the namespace
			} else {
				line += fmt.Sprintf(" %x", sha256.Sum256([]byte(plain(string(data)))))
			}
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}
