package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"
)

// Root ends a test that needs root with root's rights, or a user namespace with
// them: a sandbox, or unshare -r, leaves root in name only.
func Root(t testing.TB) {
	t.Helper()
	if why := notRoot(); why != "" {
		t.Skip(why)
	}
}

// Store ends a test that fills a store where neither root can, with all of
// root's rights, nor an ordinary user, in a user namespace.
func Store(t testing.TB) {
	t.Helper()
	if why := NoStore(); why != "" {
		t.Skip(why)
	}
}

// NoStore says why no store can be filled here, "" where one can.
func NoStore() string {
	if os.Geteuid() == 0 {
		return notRoot()
	}
	account, err := user.Current()
	if err != nil {
		return "this user has no account, and so no user namespace for a store"
	}
	if _, _, err := unshare.GetSubIDMappings(account.Username, account.Username); err != nil {
		return "this user has no subordinate IDs, which a store needs"
	}
	if exec.Command("unshare", "--user", "--map-root-user", "--mount", "true").Run() != nil {
		return "this user may make no user namespace, which a store needs"
	}
	return ""
}

// Overlay is Store for tests of the overlay driver, which needs more: an
// ordinary user's kernel, and the file system below, must let it mount.
func Overlay(t testing.TB) {
	t.Helper()
	Store(t)
	if os.Geteuid() == 0 {
		return
	}
	dir, err := os.MkdirTemp("", "overlay-") // not t.TempDir: a comma in a test's name would end an option
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	at := make(map[string]string)
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		at[name] = filepath.Join(dir, name)
		if err := os.Mkdir(at[name], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", at["lower"], at["upper"], at["work"])
	out, err := exec.Command("unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "overlay", "-o", options, "overlay", at["merged"]).CombinedOutput()
	if err != nil {
		t.Skipf("this user may not mount overlay here: %s", strings.TrimSpace(string(out)))
	}
}

// notRoot says what this process lacks to be root as tests need it.
func notRoot() string {
	if os.Geteuid() != 0 {
		return "only root can do this"
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return "root's capabilities are not known: " + err.Error()
	}
	for _, c := range []struct {
		number int
		name   string
	}{
		{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}, {unix.CAP_SYS_CHROOT, "CAP_SYS_CHROOT"}, {unix.CAP_MKNOD, "CAP_MKNOD"},
		{unix.CAP_CHOWN, "CAP_CHOWN"}, {unix.CAP_SETUID, "CAP_SETUID"}, {unix.CAP_SETGID, "CAP_SETGID"}, {unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
	} {
		if data[c.number/32].Effective&(1<<(c.number%32)) == 0 {
			return "root lacks " + c.name + " here"
		}
	}
	if ids() < 65536 {
		return "root has fewer than 65536 user IDs here"
	}
	return ""
}

// ids counts the user IDs of this process's user namespace.
func ids() (n int) {
	table, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) == 3 {
			count, _ := strconv.Atoi(f[2])
			n += count
		}
	}
	return n
}
