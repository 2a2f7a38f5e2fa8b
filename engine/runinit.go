package engine

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

// RunInitName is the name, as argv[0], by which Run starts this program again
// when Config.RunInit is set.
const RunInitName = "mpull-run-init"

// RunInit is the main function of a program that Run started by the name
// RunInitName. It is the first process of a PID namespace: it mounts the
// namespace's /proc, without which a runtime does not find its processes, and
// becomes the runtime. When Run's process dies the kernel kills this one
// (PR_SET_PDEATHSIG) and with it all of the namespace (pid_namespaces(7)), so
// that no program outlives a killed Run. It does not return.
func RunInit() {
	runtime.LockOSThread()
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, RunInitName+" is started by mpull run only")
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

// namespaced makes cmd the first process of a PID namespace, through RunInit.
func (b *bundle) namespaced(cmd *exec.Cmd) {
	cmd.Args = append([]string{RunInitName, b.dir}, cmd.Args...)
	cmd.Path = "/proc/self/exe"
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS
}
