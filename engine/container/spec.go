package container

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/moby/sys/capability"
	"github.com/moby/sys/user"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/store/query"
)

// defaultCaps are the capabilities of a container's root, those of podman's
// default. Other users have none.
func defaultCaps() []capability.Cap {
	return []capability.Cap{
		capability.CAP_CHOWN, capability.CAP_DAC_OVERRIDE, capability.CAP_FOWNER, capability.CAP_FSETID,
		capability.CAP_KILL, capability.CAP_NET_BIND_SERVICE, capability.CAP_SETFCAP, capability.CAP_SETGID,
		capability.CAP_SETPCAP, capability.CAP_SETUID, capability.CAP_SYS_CHROOT,
	}
}

// spec writes what an OCI runtime needs to start command: processes, mounts, host name and IPC of its own,
// a network of its own without a way out unless the host's is asked for, no
// new privileges, the usual paths of /proc masked or read-only. There is no
// seccomp filter and no limit on memory, CPU or processes.
func (c *Container) spec(command preflight.Command) (*specs.Spec, error) {
	o := c.Options
	p, err := processOf(withDefaults(command, c.ID, o.TTY), c.Root)
	if err != nil {
		return nil, err
	}
	caps, err := capabilitiesOf(p.UID == 0)
	if err != nil {
		return nil, err
	}
	spec := &specs.Spec{
		Version:  "1.0.2", // what runtimes of 2020 and later know
		Hostname: query.ShortID(c.ID),
		Root:     &specs.Root{Path: c.Root, Readonly: o.ReadOnly},
		Process: &specs.Process{
			Terminal: o.TTY, Args: p.Args, Cwd: p.Dir, Env: p.Env,
			User:         specs.User{UID: p.UID, GID: p.GID, AdditionalGids: p.Groups},
			Capabilities: caps, NoNewPrivileges: true, SelinuxLabel: c.ProcessLabel,
		},
		Mounts: mountsOf(o),
		Linux: &specs.Linux{
			MountLabel: c.MountLabel,
			Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}},
			Resources:  &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}},
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
				"/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/dev/block", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	if !o.HostNetwork {
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	}
	return spec, nil
}

// processOf is the process of command in the root filesystem mounted at root.
// Links in there lead nowhere but into root.
func processOf(command preflight.Command, root string) (p preflight.Process, err error) {
	dir, err := preflight.OpenDir(root)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if p, err = command.Process(dir); err != nil {
		err = fmt.Errorf("user %q of the container: %w", command.User, err)
	}
	return p, err
}

// withDefaults adds what mpull sets of its own and the image may set otherwise.
func withDefaults(command preflight.Command, id string, tty bool) preflight.Command {
	defaults := []string{"HOSTNAME=" + query.ShortID(id)}
	if tty {
		defaults = append(defaults, "TERM=xterm")
	}
	command.Env = slices.Concat(defaults, command.Env)
	return command
}

// capabilitiesOf returns defaultCaps, less what this process cannot give.
func capabilitiesOf(root bool) (*specs.LinuxCapabilities, error) {
	own, err := capability.NewPid2(0)
	if err == nil {
		err = own.Load()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the capabilities of this process: %w", err)
	}
	var names []string
	for _, c := range defaultCaps() {
		if own.Get(capability.BOUNDING, c) {
			names = append(names, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	caps := &specs.LinuxCapabilities{Bounding: names}
	if root {
		caps.Effective, caps.Permitted = names, names
	}
	return caps, nil
}

// Temporary are the directories that are writable and empty in a container
// whose root filesystem is not.
func (o *Options) Temporary() []string {
	if o.ReadOnly {
		return []string{"/tmp", "/run", "/var/tmp"}
	}
	return nil
}

func mountsOf(o *Options) []specs.Mount {
	ptmx := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	if idMapped("/proc/self/gid_map", 5) {
		ptmx = append(ptmx, "gid=5") // the group of terminals, by convention
	}
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: ptmx},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	}
	for _, dir := range o.Temporary() {
		mounts = append(mounts, specs.Mount{Destination: dir, Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777"}})
	}
	if !o.HostNetwork {
		return append(mounts, specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}})
	}
	// A sysfs of its own goes with a network of its own: only who owns the
	// network may mount one.
	mounts = append(mounts, specs.Mount{Destination: "/sys", Type: "none", Source: "/sys", Options: []string{"rbind", "nosuid", "noexec", "nodev", "ro"}})
	for _, file := range []string{"/etc/resolv.conf", "/etc/hosts"} {
		if st, err := os.Stat(file); err == nil && st.Mode().IsRegular() {
			mounts = append(mounts, specs.Mount{Destination: file, Type: "none", Source: file, Options: []string{"bind", "nosuid", "noexec", "nodev", "ro"}})
		}
	}
	return mounts
}

// idMapped tells whether an ID exists in this user namespace, by its map as in
// user_namespaces(7): lines of first ID inside, first ID outside, length.
func idMapped(file string, id int64) bool {
	maps, err := user.ParseIDMapFile(file)
	return err == nil && slices.ContainsFunc(maps, func(m user.IDMap) bool { return id >= m.ID && id < m.ID+m.Count })
}
