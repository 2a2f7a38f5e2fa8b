//go:build linux

package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"
)

// enterUserNamespace starts the program again in the user namespace that the
// store of an ordinary user, or of root without its rights, needs, and returns
// where it is in one or needs none. The library has a function for that, which
// fails for a user without an account and does not say in one line what is
// missing. quiet leaves out the note to a user who may map one ID alone.
func (p *program) enterUserNamespace(quiet bool) error {
	if !unshare.IsRootless() || os.Geteuid() == 0 && (unshare.GetRootlessUID() > 0 || os.Getenv(unshare.UsernsEnvName) != "") {
		return nil
	}
	if os.Geteuid() == 0 && !mayMapRoot() {
		return nil // a namespace would give no more rights than there are
	}
	if why := noUserNamespaces(); why != "" {
		return errors.New("this user's store needs a user namespace, and there are none: " + why)
	}
	cmd := unshare.Command(append([]string{os.Args[0] + "-in-a-user-namespace"}, os.Args[1:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), unshare.UsernsEnvName+"=1")
	cmd.UnshareFlags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS
	uids, gids, lack := subordinateIDs()
	if lack != "" && !quiet {
		p.line("Note: files of images belong to one user alone here, and images with files of several cannot be unpacked: %s", escape(lack))
	}
	if os.Geteuid() == 0 {
		cmd.UidMappings, cmd.GidMappings, cmd.GidMappingsEnableSetgroups = uids, gids, maySetGroups()
	} else {
		cmd.UidMappings, cmd.GidMappings = consecutive(os.Geteuid(), uids), consecutive(os.Getegid(), gids)
		cmd.UseNewuidmap, cmd.UseNewgidmap, cmd.GidMappingsEnableSetgroups = lack == "", lack == "", lack == ""
	}
	signals := make(chan os.Signal, 100)
	cmd.Hook = func(int) error {
		go func() {
			for {
				select { // told has one that came before there was somebody to pass it on to
				case s := <-p.told:
					_ = cmd.Process.Signal(s) // it may have ended
				case s := <-signals:
					_ = cmd.Process.Signal(s)
				}
			}
		}()
		return nil
	}
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return p.end(cmd.Run())
}

// end ends this process as the one in the namespace ended.
func (p *program) end(err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(exitOK)
	case errors.As(err, &exit):
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			os.Exit(128 + int(status.Signal()))
		}
		os.Exit(exit.ExitCode())
	}
	return fmt.Errorf("starting in a user namespace, which this user's store needs: %w", err)
}

// noUserNamespaces says what keeps this user from making one, and what mends
// it; "" when nothing is known to.
func noUserNamespaces() string {
	read := func(name string) string {
		text, _ := os.ReadFile("/proc/sys/" + name)
		return strings.TrimSpace(string(text))
	}
	if read("user/max_user_namespaces") == "0" {
		return "user.max_user_namespaces is 0; root mends it by: sysctl -w user.max_user_namespaces=15000"
	}
	if os.Geteuid() != 0 && read("kernel/unprivileged_userns_clone") == "0" {
		return "kernel.unprivileged_userns_clone is 0; root mends it by: sysctl -w kernel.unprivileged_userns_clone=1"
	}
	const noProc, forbidden = "/proc is not mounted; root mends it by: mount -t proc proc /proc",
		"the kernel refuses it, as it does in a chroot (enter the directory by systemd-nspawn -D DIR --as-pid2 instead) and in containers with the usual seccomp filter (start those with --security-opt seccomp=unconfined); or run mpull as root"
	if ids, err := os.ReadFile("/proc/self/uid_map"); err == nil && len(ids) == 0 {
		return "this process is in one without IDs already; start it with: unshare --map-root-user"
	}
	_, err := os.Readlink("/proc/self/exe")
	refused := errors.Is(tryNamespace(), unix.EPERM)
	switch {
	case err != nil && refused:
		return forbidden + "; " + noProc
	case err != nil:
		return noProc
	case refused:
		return forbidden
	}
	return ""
}

// tryNamespace makes a user namespace for a process that ends at once, as it has
// no program: the library's way tells a refusal in two lines of its own.
func tryNamespace() error {
	_, err := syscall.ForkExec("", nil, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS}})
	return err
}

// mayMapRoot tells whether root, without CAP_SYS_ADMIN, may make a user namespace
// with a root in it (user_namespaces(7)).
func mayMapRoot() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return false
	}
	const needed = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETFCAP
	return data[0].Effective&needed == needed
}

// maySetGroups tells whether this namespace lets its processes set groups, as
// unshare --map-root-user does not; then none below may either
// (user_namespaces(7)).
func maySetGroups() bool {
	text, err := os.ReadFile("/proc/self/setgroups")
	return err != nil || strings.TrimSpace(string(text)) == "allow"
}

// subordinateIDs are the IDs that this user may map beside their own; for root
// those of this namespace. lack says why there are none, and what mends it.
func subordinateIDs() (uids, gids []specs.LinuxIDMapping, lack string) {
	if os.Geteuid() == 0 {
		if uids, gids, err := unshare.GetHostIDMappings(""); err == nil {
			return same(uids), same(gids), ""
		}
		return consecutive(0, nil), consecutive(0, nil), "the IDs of this namespace cannot be read"
	}
	account, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	if err != nil {
		return nil, nil, fmt.Sprintf("user %d has no account, and so no subordinate IDs", os.Geteuid())
	}
	uids, gids, err = unshare.GetSubIDMappings(account.Username, account.Username)
	if err != nil || len(uids) == 0 || len(gids) == 0 {
		return nil, nil, fmt.Sprintf("user %[1]s has no subordinate IDs; root gives them by: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %[1]s", account.Username)
	}
	for _, program := range []string{"newuidmap", "newgidmap"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, nil, program + " is not installed (Debian: apt install uidmap; Fedora: dnf install shadow-utils)"
		}
	}
	return uids, gids, ""
}

// same maps the IDs of this namespace to themselves.
func same(list []specs.LinuxIDMapping) []specs.LinuxIDMapping {
	for i := range list {
		list[i].HostID = list[i].ContainerID
	}
	return list
}

// consecutive maps an ID of this process to 0 and the others behind it.
func consecutive(own int, others []specs.LinuxIDMapping) []specs.LinuxIDMapping {
	list := append([]specs.LinuxIDMapping{{HostID: uint32(own), Size: 1}}, others...)
	next := uint32(0)
	for i := range list {
		list[i].ContainerID = next
		next += list[i].Size
	}
	return list
}

// nobody stands for the user outside whom this namespace calls root, where that
// user is called root there too: in a namespace in a namespace.
const nobody = 65534

// settleNamespace looks whether this process is root only of a user namespace
// that somebody made around it (unshare --map-root-user), and may not write where
// the machine's root does. Then it tells the libraries, by the variables that
// podman sets for what it starts, that an ordinary user runs this. It comes
// before the libraries look for the first time.
func settleNamespace() {
	const uidVar, gidVar = "_CONTAINERS_ROOTLESS_UID", "_CONTAINERS_ROOTLESS_GID"
	if os.Geteuid() != 0 || os.Getenv(unshare.UsernsEnvName) != "" || os.Getenv(uidVar) != "" || !closed("/var/lib/containers/storage") {
		return
	}
	uid, foreign := rootOutside("/proc/self/uid_map")
	if !foreign {
		return
	}
	gid, _ := rootOutside("/proc/self/gid_map")
	for name, value := range map[string]string{unshare.UsernsEnvName: "done", uidVar: fmt.Sprint(uid), gidVar: fmt.Sprint(gid)} {
		_ = os.Setenv(name, value) // fails for a name or value with a zero byte alone
	}
}

// rootOutside returns who the root of this user namespace is outside of it, and
// whether there is such a namespace.
func rootOutside(path string) (id uint32, foreign bool) {
	text, err := os.ReadFile(path)
	var inside, count uint32
	if _, scanErr := fmt.Sscan(string(text), &inside, &id, &count); err != nil || scanErr != nil || count == math.MaxUint32 {
		return 0, false
	}
	if id == 0 {
		id = nobody
	}
	return id, true
}

// closed tells whether one may not write to a path, or make it.
func closed(path string) bool {
	for {
		err := unix.Access(path, unix.W_OK)
		if !errors.Is(err, unix.ENOENT) || path == "/" {
			return errors.Is(err, unix.EACCES)
		}
		path = filepath.Dir(path)
	}
}
