package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ground is what a row's stores are like, and whose they are.
type ground struct {
	driver  string
	options []string // of the driver
	account *account // nil: root
	conf    string   // a storage.conf with enable_partial_images; "" for none
}

// wants tells whether a row is to be run.
func (o options) wants(name string) bool {
	first, _, _ := strings.Cut(name, "-")
	only := strings.Split(o.only, ",")
	return o.only == "" || slices.Contains(only, name) || slices.Contains(only, first)
}

// plain tells that a ground is that of the first rows.
func (g ground) plain() bool { return g.driver == "overlay" && g.options == nil && g.account == nil }

// fromLayout tells that a source is a directory and no registry.
func fromLayout(source string) bool { return strings.HasPrefix(source, "oci:") }

func overlay() ground { return ground{driver: "overlay"} }

// account is an ordinary user that is made for one run.
type account struct {
	name     string
	uid, gid int
	home     string
}

// newAccount makes a user with subordinate IDs, as useradd gives them.
func newAccount(dir string) (*account, error) {
	a := &account{name: fmt.Sprintf("mpull-b%d", os.Getpid()), home: filepath.Join(dir, "home")}
	if out, err := exec.Command("useradd", "--no-create-home", "--shell", "/bin/sh", a.name).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("useradd: %w: %s", err, out)
	}
	u, err := user.Lookup(a.name)
	if err == nil {
		a.uid, _ = strconv.Atoi(u.Uid)
		a.gid, _ = strconv.Atoi(u.Gid)
		err = errors.Join(os.MkdirAll(filepath.Join(a.home, "run"), 0o700), a.own(a.home), a.own(filepath.Join(a.home, "run")))
	}
	if err != nil {
		return nil, errors.Join(err, a.remove())
	}
	return a, nil
}

func (a *account) own(path string) error { return os.Chown(path, a.uid, a.gid) }

// remove ends what the user still runs, which is the process by which podman
// keeps its user namespace, and deletes the user.
func (a *account) remove() error {
	running, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, path := range running {
		info, err := os.Stat(path)
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != uint32(a.uid) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		if err := end(pid); err != nil {
			return err
		}
	}
	if out, err := exec.Command("userdel", a.name).CombinedOutput(); err != nil {
		return fmt.Errorf("userdel: %w: %s", err, out)
	}
	return nil
}

// end kills a process and waits until it is gone.
func end(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil // it is gone
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return err
	}
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
	return err
}

// accountVar tells the process that measures as whom the command is to run.
const accountVar = "MPULL_BENCH_ACCOUNT"

// env is the environment of a command on this ground.
func (g ground) env() (env []string) {
	if g.conf != "" {
		env = append(env, "CONTAINERS_STORAGE_CONF="+g.conf, partialVar+"=true")
	}
	if g.account == nil {
		return env
	}
	return append(env,
		fmt.Sprintf("%s=%d:%d", accountVar, g.account.uid, g.account.gid), "HOME="+g.account.home, "USER="+g.account.name, "LOGNAME="+g.account.name,
		"XDG_RUNTIME_DIR="+filepath.Join(g.account.home, "run"))
}

// credential is the other end of env.
func credential() (*syscall.SysProcAttr, error) {
	who := os.Getenv(accountVar)
	if who == "" {
		return nil, nil //nolint:nilnil // as who this process is
	}
	var uid, gid uint32
	if _, err := fmt.Sscanf(who, "%d:%d", &uid, &gid); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}, nil
}

// flags name a driver as podman and mpull are told it.
func (g ground) flags() []string {
	flags := []string{"--storage-driver", g.driver}
	for _, o := range g.options {
		flags = append(flags, "--storage-opt", o)
	}
	return flags
}

// grounds are the rows of cold pulls by other users, into other stores and from
// other sources than the first rows.
func (r *run) grounds() []row {
	fuse := ground{driver: "overlay", options: []string{"overlay.mount_program=" + peer("fuse-overlayfs")}}
	var rows []row
	for _, g := range []struct {
		name, title string
		ground
		asUser, oci bool
	}{
		{name: "user", title: "as a user", ground: overlay(), asUser: true},
		{name: "fuse", title: "as a user, fuse-overlayfs", ground: fuse, asUser: true},
		{name: "vfs", title: "vfs", ground: ground{driver: "vfs"}},
		{name: "oci", title: "from oci:", ground: overlay(), oci: true},
	} {
		for _, image := range []struct{ name, title string }{{"mid", "43,000 files"}, {"many", "60 layers"}} {
			rows = append(rows, row{g.name + "-" + image.name, func(ctx context.Context) error {
				if g.name == "fuse" && strings.HasSuffix(g.options[0], "=") {
					return nil
				}
				source := r.host + "/bench/" + image.name + ":1"
				if g.oci {
					source = "oci:" + filepath.Join(r.dir, "oci-"+image.name) + ":1"
				}
				on := g.ground
				if g.asUser {
					var err error
					if on, err = r.asUser(on); err != nil {
						return err
					}
				}
				return r.cold(ctx, image.title+", "+g.title, source, on)
			}})
		}
	}
	rows = append(rows, row{"update", func(ctx context.Context) error { return r.update(ctx, "update in parts, 20 of 3,000 files", overlay()) }},
		row{"user-update", func(ctx context.Context) error {
			on, err := r.asUser(overlay())
			if err != nil {
				return err
			}
			return r.update(ctx, "update in parts, as a user", on)
		}})
	return rows
}

// asUser is a ground as an ordinary user, who is made for the first such row.
func (r *run) asUser(on ground) (ground, error) {
	if r.account == nil {
		a, err := newAccount(r.dir)
		if err != nil {
			return on, err
		}
		r.account = a
	}
	on.account = r.account
	return on, nil
}
