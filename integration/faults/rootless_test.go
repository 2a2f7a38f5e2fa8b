package faults

import (
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.podman.io/storage/pkg/unshare"

	"github.com/mpull/mpull/integration/testenv"
)

// rootlessAll are the tests that TestAsOrdinaryUser runs, with small figures.
// TestPowerLoss is not among them: an ordinary user has no loop devices.
const (
	rootlessFew = "TestKill|TestSignals|TestFullDisk|TestHostileLayers|TestReadOnlyStore|TestPullIsSound|TestResume"
	rootlessAll = rootlessFew + "|TestPullersOfOneTag|TestSecondTagOnFullDisk|TestPruneFullDisk|TestBombs|TestToxicRegistry|TestFlakyRegistry"
)

// TestAsOrdinaryUser makes a user, with subordinate IDs as useradd gives them,
// and runs tests of this package as that user, in a user namespace.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 || unshare.IsRootless() {
		t.Skip("only root can make a user; this user's own run tests rootless")
	}
	testenv.Need(t, "useradd", "userdel", "setpriv", "newuidmap", "unshare", "podman", "strace")
	account := addUser(t)
	dir := userFolder(t, account)
	rootless := rootlessAll
	if testenv.Short(t) {
		rootless = rootlessFew
	}
	cmd := exec.Command("setpriv", "--reuid", account.Uid, "--regid", account.Gid, "--clear-groups", "--",
		filepath.Join(dir, "faults.test"), "-test.short", "-test.v", "-test.run", "^("+rootless+")$", testenv.Timeout())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "USER="+account.Username, "LOGNAME="+account.Username, "TMPDIR="+filepath.Join(dir, "t"),
		testenv.DirIs(filepath.Join(dir, "t")), testenv.BinaryIs(filepath.Join(dir, "mpull")))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as %s: %v\n%s", account.Username, err, out)
	}
	want := strings.Count(rootless, "|") + 1
	if passed := strings.Count(string(out), "\n--- PASS: "); passed != want {
		t.Errorf("%d tests passed as %s, not %d:\n%s", passed, account.Username, want, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "_test.go:") && !strings.Contains(line, "exit code") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

func addUser(t *testing.T) *osuser.User {
	t.Helper()
	name := fmt.Sprintf("mpull-f%d", os.Getpid())
	if out, err := exec.Command("useradd", "--no-create-home", "--shell", "/bin/sh", name).CombinedOutput(); err != nil {
		t.Fatalf("useradd: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("userdel", name).CombinedOutput(); err != nil {
			t.Errorf("userdel: %v: %s", err, out)
		}
	})
	account, err := osuser.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// userFolder makes a directory that belongs to the user, with this test and the
// program that it tests.
func userFolder(t *testing.T, account *osuser.User) string {
	t.Helper()
	dir, err := testenv.Public("m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"faults.test": self, "mpull": testenv.Binary()} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"", "run", "t"} {
		path := filepath.Join(dir, d)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
