package kernelcases

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Isolate makes a command of root start in user and mount namespaces of its
// own, with 65536 IDs, so that its mounts and handlers are not the machine's.
func Isolate(cmd *exec.Cmd) {
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:                 syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings:                ids,
		GidMappings:                ids,
		GidMappingsEnableSetgroups: true,
		Credential:                 &syscall.Credential{},
		Pdeathsig:                  syscall.SIGKILL,
	}
}

// MountBinfmt mounts an empty binfmt_misc of the user namespace at misc, and
// keeps mounts from spreading. It needs Linux 6.7.
func MountBinfmt(misc string) error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("binfmt_misc", misc, "binfmt_misc", 0, ""); err != nil {
		return fmt.Errorf("mounting binfmt_misc: %w", err)
	}
	return nil
}

// ClearHandlers removes every handler of the binfmt_misc mounted at misc.
func ClearHandlers(misc string) {
	must(os.WriteFile(filepath.Join(misc, "status"), []byte("-1"), 0))
}

// Switch switches all handlers on or off.
func Switch(misc string, on bool) {
	state := "0"
	if on {
		state = "1"
	}
	must(os.WriteFile(filepath.Join(misc, "status"), []byte(state), 0))
}

// Register registers a handler: :name:type:offset:magic:mask:interpreter:flags.
func Register(misc, line string) {
	if err := os.WriteFile(filepath.Join(misc, "register"), []byte(line), 0); err != nil {
		panic(fmt.Sprintf("registering %q: %v", line, err))
	}
}
