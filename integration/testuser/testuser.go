// Package testuser makes an ordinary user of the machine, with subordinate IDs
// as useradd gives them, and runs a test's own binary as that user.
package testuser

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testenv"
)

// User is an ordinary user with a folder of its own, until its test ends.
type User struct {
	*user.User
	Dir string // home; it has run and tmp below it
	t   testing.TB
}

// New makes a user. The test is skipped by name, failed where CI is set, where
// there are no such users: without root, useradd, newuidmap or user namespaces.
func New(t testing.TB) *User {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a user; this user's own run tests rootless")
	}
	testenv.Root(t) // in name only, useradd would leave half a user
	testenv.Need(t, "useradd", "userdel", "setpriv", "newuidmap", "newgidmap", "unshare")
	u := &User{User: add(t), Dir: "/", t: t}
	if out, err := u.Command(nil, "unshare", "--map-root-user", "--map-auto", "true").CombinedOutput(); err != nil {
		testenv.Missing(t, "ordinary users have no user namespaces with subordinate IDs: "+strings.TrimSpace(string(out)))
	}
	dir, err := testenv.Public("mu-") // short: podman takes a run root of 50 characters at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	u.Dir = dir
	uid, gid := u.ids()
	for _, d := range []string{"", "run", "tmp"} {
		path := filepath.Join(dir, d)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

func add(t testing.TB) *user.User {
	t.Helper()
	name := fmt.Sprintf("mpull-u%d-%04x", os.Getpid(), rand.Uint32N(1<<16))
	if out, err := exec.Command("useradd", "--no-create-home", "--shell", "/bin/sh", name).CombinedOutput(); err != nil {
		t.Fatalf("useradd: %v: %s", err, out)
	}
	t.Cleanup(func() {
		endAll(t, name)
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

// endTime bounds the wait for processes that were killed.
const endTime = 30 * time.Second

// endAll ends what the user still runs, such as the process that keeps podman's
// namespace, and waits until it is gone: userdel removes no user who runs something.
// Whose children they are reaps them, so all there is to wait for is /proc.
func endAll(t testing.TB, name string) {
	t.Helper()
	for end := time.Now().Add(endTime); ; time.Sleep(10 * time.Millisecond) { //nolint:forbidigo // see above
		out, err := exec.Command("pgrep", "-u", name).Output()
		if err != nil {
			return // there is none
		}
		if time.Now().After(end) {
			t.Errorf("%s still runs: %s", name, out)
			return
		}
		for pid := range strings.FieldsSeq(string(out)) {
			if n, err := strconv.Atoi(pid); err == nil {
				_ = unix.Kill(n, unix.SIGKILL)
			}
		}
	}
}

func (u *User) ids() (uid, gid int) {
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid
}

// Command is a command line run by the user, in the user's folder, with env
// added to a login's environment.
func (u *User) Command(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command("setpriv", append([]string{"--reuid", u.Uid, "--regid", u.Gid, "--clear-groups", "--"}, args...)...)
	cmd.Dir = u.Dir
	cmd.Env = append(append(os.Environ(), "HOME="+u.Dir, "USER="+u.Username, "LOGNAME="+u.Username,
		"TMPDIR="+filepath.Join(u.Dir, "tmp"), "XDG_RUNTIME_DIR="+filepath.Join(u.Dir, "run")), env...)
	return cmd
}

// Self is the running test's binary, with flags for it, as the user runs it.
func (u *User) Self(env []string, flags ...string) *exec.Cmd {
	u.t.Helper()
	self, err := os.Executable()
	if err != nil {
		u.t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		u.t.Fatal(err)
	}
	path := filepath.Join(u.Dir, "self.test") // what go test built lies where only root may look
	if err := os.WriteFile(path, program, 0o755); err != nil {
		u.t.Fatal(err)
	}
	return u.Command(env, append([]string{path}, flags...)...)
}
