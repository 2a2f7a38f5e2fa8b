package container

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// InitName is the name, as argv[0], by which a Container starts this program again
// where it is confined.
const InitName = "mpull-run-init"

// Init is the main function of a program that was started by the name
// InitName. It is the first process of a PID namespace: it mounts the
// namespace's /proc, without which a runtime does not find its processes, and
// becomes the runtime. When the process that started it dies the kernel kills this one
// (PR_SET_PDEATHSIG) and with it all of the namespace (pid_namespaces(7)), so
// that no program outlives a killed mpull. It does not return.
func Init() {
	runtime.LockOSThread()
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, InitName+" is started by mpull run only")
		os.Exit(1)
	}
	dir, argv := os.Args[1], os.Args[2:]
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
	if err == nil {
		err = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	if err == nil {
		err = syscall.Exec(argv[0], argv, os.Environ())
	}
	said, _ := json.Marshal(logEntry{"making a PID namespace for the runtime: " + err.Error()})
	_ = os.WriteFile(filepath.Join(dir, runtimeLog), said, 0o600)
	os.Exit(1)
}

// namespaced makes cmd the first process of a PID namespace, through Init.
func (c *Container) namespaced(cmd *exec.Cmd) {
	cmd.Args = append([]string{InitName, c.Dir}, cmd.Args...)
	cmd.Path = "/proc/self/exe"
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS
}
