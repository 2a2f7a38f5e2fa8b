package integration

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
)

// rootlessVar marks the child that runs as an ordinary user.
const rootlessVar = "MPULL_TEST_ROOTLESS"

// TestAsOrdinaryUser makes a user, with subordinate IDs as useradd gives them,
// and runs the scripts and the peers' tests as that user: rootless, each in
// overlay and vfs.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Getenv(rootlessVar) != "" {
		return
	}
	testenv.Root(t)
	testenv.Need(t, "useradd", "userdel", "setpriv", "newuidmap", "unshare")
	name := fmt.Sprintf("mpull-t%d", os.Getpid())
	account := addUser(t, name)
	if out, err := asUser(account, t.TempDir(), nil, "unshare", "--user", "true").CombinedOutput(); err != nil {
		testenv.Missing(t, "ordinary users have no user namespaces: "+string(out))
	}
	dir := userFolder(t, account)
	on := rootlessDrivers(t, account, dir)
	if testenv.Short(t) {
		on = on[:1]
	}
	env := append(os.Environ(), rootlessVar+"=1", driversVar+"="+strings.Join(on, ","),
		"HOME="+dir, "USER="+name, "LOGNAME="+name, "XDG_RUNTIME_DIR="+filepath.Join(dir, "run"), "TMPDIR="+filepath.Join(dir, "tmp"),
		testenv.BinaryIs(filepath.Join(dir, "mpull")))
	cmd := asUser(account, filepath.Join(dir, "integration"), env, filepath.Join(dir, "integration.test"),
		"-test.run", "^(TestScripts|TestPeersSeeTheSame|TestPruneKeepsWhat.*|TestSameStoreUnderAnyUmask|TestLoadsAllNames|TestHalfImages|TestSchema1|TestRun.*)$", "-test.v", "-test.short="+fmt.Sprint(testing.Short()), testenv.Timeout())
	out, err := cmd.CombinedOutput()
	t.Cleanup(func() { unmountBelow(dir) })
	if err != nil {
		t.Fatalf("as %s: %v\n%s", name, err, out)
	}
	passed := strings.Count(string(out), "--- PASS: TestScripts/")
	if passed < 10 {
		t.Errorf("only %d scripts ran as %s:\n%s", passed, name, out)
	}
	t.Logf("%d scripts passed as %s", passed, name)
}

func addUser(t *testing.T, name string) *user.User {
	t.Helper()
	if out, err := exec.Command("useradd", "--no-create-home", "--shell", "/bin/sh", name).CombinedOutput(); err != nil {
		t.Fatalf("useradd: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("userdel", name).CombinedOutput(); err != nil {
			t.Errorf("userdel: %v: %s", err, out)
		}
	})
	account, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		ids, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(ids), name+":") {
			testenv.Missing(t, "useradd gives no subordinate IDs in "+file)
		}
	}
	return account
}

// userFolder makes a directory that belongs to the user, with this test, its
// data and what Debian has under /run/user.
func userFolder(t *testing.T, account *user.User) string {
	t.Helper()
	dir, err := testenv.Public("mr-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, d := range []string{"integration/testdata", "run", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "integration/testdata"), os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"integration.test": self, "mpull": testenv.Binary()} { // the checkout may be closed to others
		program, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), program, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	uid, gid := ids(account)
	err = filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func ids(account *user.User) (uid, gid int) {
	uid, _ = strconv.Atoi(account.Uid)
	gid, _ = strconv.Atoi(account.Gid)
	return uid, gid
}

// asUser is a command line run by another user, in a session of its own.
func asUser(account *user.User, dir string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command("setpriv", append([]string{"--reuid", account.Uid, "--regid", account.Gid, "--clear-groups", "--"}, args...)...)
	cmd.Dir, cmd.Env = dir, env
	return cmd
}

// rootlessDrivers leaves overlay out where the kernel does not let users mount
// it, and says so.
func rootlessDrivers(t *testing.T, account *user.User, dir string) []string {
	t.Helper()
	script := "mkdir l u w m && mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m && umount m; e=$?; rm -rf l u w m; exit $e"
	out, err := asUser(account, filepath.Join(dir, "tmp"), os.Environ(), "unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Logf("rootless overlay is left out: %s", out)
		return []string{"vfs"}
	}
	return []string{"overlay", "vfs"}
}
